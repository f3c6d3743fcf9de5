/* Elementwise product with broadcast, int8. Reference: the other variants equal it bit for bit.
 *
 *   out = clamp(requant((in_1 + in1_offset) * (in_2 + in2_offset), mult, shift) + out_zp, act_min, act_max)
 *
 * out: `dims`, contiguous; element (i, j, k, l) of an input lies at i * stride[0] + j * stride[1] + k * stride[2] +
 * l * stride[3]; workspace: none. out may be an input that is not broadcast. Source: MulElementwise in TensorFlow Lite,
 * reference/integer_ops/mul.h. */
#include "broadcast_walk.h"
#include "mcuprune_nn.h"
#include "mp_numerics.h"

static int8_t multiply(const mp_mul_s8 *op, int32_t x1, int32_t x2)
{
    const int32_t product = (x1 + op->in1_offset) * (x2 + op->in2_offset);
    return (int8_t)mp_clamp(mp_requant(product, op->mult, op->shift) + op->out_zp, op->act_min, op->act_max);
}

void mp_mul_s8_ref(const mp_mul_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    MP_EACH_PAIR(op, in1, in2, out, multiply);
}
