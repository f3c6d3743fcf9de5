/* Elementwise difference with broadcast, int16, zero points 0.
 *
 *   a_i = requant((in_i + in_i_offset) * 2^left_shift, mult_i, shift_i),  i = 1, 2
 *   out = clamp(requant(a_1 - a_2, out_mult, out_shift) + out_zp, act_min, act_max)
 *
 * out: `dims`, contiguous; in_1 and in_2 as strides say; workspace: none. out may be an input that is not broadcast.
 * Source: SubElementwise in TensorFlow Lite, reference/sub.h. */
#include "broadcast_walk.h"
#include "pair_elements.h"

void mp_sub_s16_ref(const mp_add_s8 *op, const int16_t *in1, const int16_t *in2, int16_t *out)
{
    MP_EACH_PAIR(op, int16_t, in1, in2, int16_t, out, mp_subtract_elements);
}
