/* Place of the largest or smallest value along one dimension, int8 to int64. Reference: the other variants equal it.
 *
 * in: (outer, count, inner); out: (outer, inner), apart from in; workspace: none. */
#include "arg_extreme.h"

void mp_arg_extreme_s8_s64_ref(const mp_arg_extreme_s8 *op, const int8_t *in, int64_t *out)
{
    for (uint32_t o = 0; o < op->outer; o++, in += op->count * op->inner) {
        for (uint32_t i = 0; i < op->inner; i++)
            *out++ = (int64_t)mp_place_of_extreme(op, in + i);
    }
}
