/* Comparison of int8 values with broadcast. Reference: the other variants equal it bit for bit.
 *
 *   a_i = requant((in_i + in_i_offset) * 2^8, mult_i, shift_i),  i = 1, 2
 *   out = whether the order of a_1 and a_2 is among `accepts`
 *
 * out: `dims`, contiguous, bytes of 0 and 1; in_1 and in_2 as strides say; workspace: none. Source:
 * ComparisonWithScaling in TensorFlow Lite, reference/comparisons.h. */
#include "compare_elements.h"

void mp_compare_s8_ref(const mp_compare_s8 *op, const int8_t *in1, const int8_t *in2, uint8_t *out)
{
    MP_EACH_PAIR(op, int8_t, in1, in2, uint8_t, out, mp_compare_elements);
}
