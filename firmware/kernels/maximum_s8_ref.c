/* The larger one of two stored values, with broadcast, int8. Reference: the other variants equal it bit for bit.
 *
 *   out = in_1 > in_2 ? in_1 : in_2
 *
 * out: `dims`, contiguous; in_1 and in_2 as strides say; workspace: none. out may be an input that is not broadcast.
 * Source: MaximumMinimumBroadcastSlow in TensorFlow Lite, reference/maximum_minimum.h. */
#include "broadcast_walk.h"
#include "mcuprune_nn.h"

void mp_maximum_s8_ref(const mp_broadcast *op, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    const uint32_t step1 = op->stride1[3], step2 = op->stride2[3];
    mp_walk walk = {{0}, 0, 0};
    do {
        const int8_t *x1 = in1 + walk.in1, *x2 = in2 + walk.in2;
        for (uint32_t left = op->dims[3]; left > 0; left--, x1 += step1, x2 += step2)
            *out++ = *x1 > *x2 ? *x1 : *x2;
    } while (mp_next_row(&walk, op->dims, op->stride1, op->stride2));
}
