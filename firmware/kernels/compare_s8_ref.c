/* Comparison of int8 values with broadcast. Reference: the other variants equal it bit for bit.
 *
 *   a_i = requant((in_i + in_i_offset) * 2^8, mult_i, shift_i),  i = 1, 2
 *   out = whether the order of a_1 and a_2 is among `accepts`
 *
 * out: `dims`, contiguous, bytes of 0 and 1; in_1 and in_2 as strides say; workspace: none. Source:
 * ComparisonWithScaling in TensorFlow Lite, reference/comparisons.h. */
#include "broadcast_walk.h"
#include "mcuprune_nn.h"
#include "mp_numerics.h"

enum { LEFT_SHIFT = 8 };

static uint8_t compare(const mp_compare_s8 *op, int32_t x1, int32_t x2)
{
    const int32_t a1 = mp_requant(mp_shift_left(x1 + op->in1_offset, LEFT_SHIFT), op->mult1, op->shift1);
    const int32_t a2 = mp_requant(mp_shift_left(x2 + op->in2_offset, LEFT_SHIFT), op->mult2, op->shift2);
    return (op->accepts & (a1 < a2 ? MP_LESS : a1 == a2 ? MP_EQUAL : MP_GREATER)) != 0;
}

void mp_compare_s8_ref(const mp_compare_s8 *op, const int8_t *in1, const int8_t *in2, uint8_t *out)
{
    const uint32_t step1 = op->stride1[3], step2 = op->stride2[3];
    mp_walk walk = {{0}, 0, 0};
    do {
        const int8_t *x1 = in1 + walk.in1, *x2 = in2 + walk.in2;
        for (uint32_t left = op->dims[3]; left > 0; left--, x1 += step1, x2 += step2)
            *out++ = compare(op, *x1, *x2);
    } while (mp_next_row(&walk, op->dims, op->stride1, op->stride2));
}
