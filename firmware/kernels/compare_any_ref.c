/* Comparison of stored values of any type with broadcast.
 *
 *   out = whether the order of in_1 and in_2 is among `accepts`; with a NaN they have none
 *
 * out: `dims`, contiguous, bytes of 0 and 1; in_1 and in_2 as strides say; workspace: none. Source: ComparisonImpl in
 * TensorFlow Lite, reference/comparisons.h. */
#include "broadcast_walk.h"
#include "elements.h"

static unsigned order(mp_element type, const void *in1, uint32_t i, const void *in2, uint32_t j)
{
    if (type == MP_FLOAT32) {
        const float x = ((const float *)in1)[i], y = ((const float *)in2)[j];
        return x < y ? MP_LESS : x == y ? MP_EQUAL : x > y ? MP_GREATER : MP_UNORDERED;
    }
    const int64_t x = mp_load_integer(type, in1, i), y = mp_load_integer(type, in2, j);
    return x < y ? MP_LESS : x == y ? MP_EQUAL : MP_GREATER;
}

void mp_compare_any_ref(const mp_compare_any *op, const void *in1, const void *in2, uint8_t *out)
{
    mp_walk walk = {{0}, 0, 0};
    do {
        uint32_t i = walk.in1, j = walk.in2;
        for (uint32_t left = op->dims[3]; left > 0; left--, i += op->stride1[3], j += op->stride2[3])
            *out++ = (op->accepts & order(op->type, in1, i, in2, j)) != 0;
    } while (mp_next_row(&walk, op->dims, op->stride1, op->stride2));
}
