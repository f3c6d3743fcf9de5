/* Elementwise sum with broadcast, int8. Reference: the other variants equal it bit for bit.
 *
 *   a_i = requant((in_i + in_i_offset) * 2^left_shift, mult_i, shift_i),  i = 1, 2
 *   out = clamp(requant(a_1 + a_2, out_mult, out_shift) + out_zp, act_min, act_max)
 *
 * out: `dims`, contiguous; element (i, j, k, l) of an input lies at i * stride[0] + j * stride[1] + k * stride[2] +
 * l * stride[3]; workspace: none. out may be an input that is not broadcast. Source: AddElementwise in TensorFlow Lite,
 * reference/add.h. */
#include "broadcast_walk.h"
#include "mcuprune_nn.h"
#include "mp_numerics.h"

static int8_t add(const mp_add_s8 *op, int32_t x1, int32_t x2)
{
    const int32_t a1 = mp_requant(mp_shift_left(x1 + op->in1_offset, op->left_shift), op->mult1, op->shift1);
    const int32_t a2 = mp_requant(mp_shift_left(x2 + op->in2_offset, op->left_shift), op->mult2, op->shift2);
    const int32_t sum = mp_requant(a1 + a2, op->out_mult, op->out_shift) + op->out_zp;
    return (int8_t)mp_clamp(sum, op->act_min, op->act_max);
}

void mp_add_s8_ref(const mp_add_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    MP_EACH_PAIR(op, in1, in2, out, add);
}
