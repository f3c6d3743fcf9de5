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

static int32_t prelu(const mp_prelu_s8 *op, int32_t x, int32_t slope)
{
    const int32_t value = x + op->in_offset;
    const int32_t scaled = value >= 0
                               ? mp_requant(value, op->mult, op->shift)
                               : mp_requant(value * (slope + op->slope_offset), op->slope_mult, op->slope_shift);
    return mp_clamp(scaled + op->out_zp, INT8_MIN, INT8_MAX);
}

void mp_prelu_s8_ref(const mp_prelu_s8 *op, const int8_t *in, const int8_t *slope, int8_t *out)
{
    MP_EACH_PAIR(op, int8_t, in, slope, int8_t, out, prelu);
}
