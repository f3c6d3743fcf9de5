/* Elementwise sum with broadcast, int8. Reference: the other variants equal it bit for bit.
 *
 *   a_i = requant((in_i + in_i_offset) * 2^left_shift, mult_i, shift_i),  i = 1, 2
 *   out = clamp(requant(a_1 + a_2, out_mult, out_shift) + out_zp, act_min, act_max)
 *
 * out: `dims`, contiguous; element (i, j, k, l) of an input lies at i * stride[0] + j * stride[1] + k * stride[2] +
 * l * stride[3]; workspace: none. out may be an input that is not broadcast. Source: AddElementwise in TensorFlow Lite,
 * reference/add.h. */
#include "broadcast_walk.h"
#include "pair_elements.h"

void mp_add_s8_ref(const mp_add_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    MP_EACH_PAIR(op, int8_t, in1, in2, int8_t, out, mp_add_elements);
}
