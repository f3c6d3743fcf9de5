/* AND, OR, NOT of bytes of 0 and 1, with broadcast.
 *
 *   out = bit 2 * in_1 + in_2 of `truth`
 *
 * out: `dims`, contiguous; in_1 and in_2 as strides say; workspace: none. */
#include "broadcast_walk.h"
#include "mcuprune_nn.h"

void mp_logical_bool_ref(const mp_logical_bool *op, const uint8_t *in1, const uint8_t *in2, uint8_t *out)
{
    const uint32_t step1 = op->stride1[3], step2 = op->stride2[3];
    mp_walk walk = {{0}, 0, 0};
    do {
        const uint8_t *a = in1 + walk.in1, *b = in2 + walk.in2;
        for (uint32_t left = op->dims[3]; left > 0; left--, a += step1, b += step2)
            *out++ = (op->truth >> (2 * (*a != 0) + (*b != 0))) & 1u;
    } while (mp_next_row(&walk, op->dims, op->stride1, op->stride2));
}
