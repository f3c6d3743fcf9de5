/* Elementwise square of a difference with broadcast, int8. Reference: the other variants equal it bit for bit.
 *
 *   a_i = requant((in_i + in_i_offset) * 2^left_shift, mult_i, shift_i),  i = 1, 2
 *   out = clamp(requant((a_1 - a_2)^2, out_mult, out_shift) + out_zp, act_min, act_max)
 *
 * left_shift is 7: |a_1 - a_2| <= 255 * 2^7, whose square is below 2^31.
 *
 * out: `dims`, contiguous; in_1 and in_2 as strides say; workspace: none. out may be an input that is not broadcast.
 * Source: SquaredDifference in TensorFlow Lite, kernels/squared_difference.cc. */
#include "broadcast_walk.h"
#include "pair_elements.h"

static int32_t square_difference(const mp_add_s8 *op, int32_t x1, int32_t x2)
{
    const int32_t difference = mp_scaled_first(op, x1) - mp_scaled_second(op, x2);
    return mp_stored(op, difference * difference);
}

void mp_squared_difference_s8_ref(const mp_add_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    MP_EACH_PAIR(op, int8_t, in1, in2, int8_t, out, square_difference);
}
