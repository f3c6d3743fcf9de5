/* The smaller one of two stored values, with broadcast, int16.
 *
 *   out = in_1 < in_2 ? in_1 : in_2
 *
 * out: `dims`, contiguous; in_1 and in_2 as strides say; workspace: none. out may be an input that is not broadcast.
 * Source: MaximumMinimumBroadcastSlow in TensorFlow Lite, reference/maximum_minimum.h. */
#include "broadcast_walk.h"
#include "pair_elements.h"

void mp_minimum_s16_ref(const mp_broadcast *op, const int16_t *in1, const int16_t *in2, int16_t *out)
{
    MP_EACH_PAIR(op, int16_t, in1, in2, int16_t, out, mp_smaller_element);
}
