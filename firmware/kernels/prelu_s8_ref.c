/* PRELU, int8: a slope below zero, with broadcast. Reference: the other variants equal it bit for bit.
 *
 *   x = in + in_offset
 *   out = clamp((x >= 0 ? requant(x, mult, shift)
 *                       : requant(x * (slope + slope_offset), slope_mult, slope_shift)) + out_zp, -128, 127)
 *
 * in, out: `dims`; slope as stride2 says; workspace: none. out may be in. Source: Prelu in TensorFlow Lite,
 * reference/prelu.h. */
#include "broadcast_walk.h"
#include "mcuprune_nn.h"
#include "mp_numerics.h"

static int8_t prelu(const mp_prelu_s8 *op, int32_t x, int32_t slope)
{
    const int32_t value = x + op->in_offset;
    const int32_t scaled = value >= 0
                               ? mp_requant(value, op->mult, op->shift)
                               : mp_requant(value * (slope + op->slope_offset), op->slope_mult, op->slope_shift);
    return (int8_t)mp_clamp(scaled + op->out_zp, INT8_MIN, INT8_MAX);
}

void mp_prelu_s8_ref(const mp_prelu_s8 *op, const int8_t *in, const int8_t *slope, int8_t *out)
{
    const uint32_t step1 = op->stride1[3], step2 = op->stride2[3];
    mp_walk walk = {{0}, 0, 0};
    do {
        const int8_t *x = in + walk.in1, *a = slope + walk.in2;
        for (uint32_t left = op->dims[3]; left > 0; left--, x += step1, a += step2)
            *out++ = prelu(op, *x, *a);
    } while (mp_next_row(&walk, op->dims, op->stride1, op->stride2));
}
