/* Elementwise product with broadcast, int16, zero points 0.
 *
 *   out = clamp(requant((in_1 + in1_offset) * (in_2 + in2_offset), mult, shift) + out_zp, act_min, act_max)
 *
 * out: `dims`, contiguous; element (i, j, k, l) of an input lies at i * stride[0] + j * stride[1] + k * stride[2] +
 * l * stride[3]; workspace: none. out may be an input that is not broadcast. Source: MulElementwise in TensorFlow Lite,
 * reference/integer_ops/mul.h. */
#include "broadcast_walk.h"
#include "pair_elements.h"

void mp_mul_s16_ref(const mp_mul_s8 *op, const int16_t *in1, const int16_t *in2, int16_t *out)
{
    MP_EACH_PAIR(op, int16_t, in1, in2, int16_t, out, mp_multiply_elements);
}
