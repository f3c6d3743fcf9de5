/* AND, OR, NOT of bytes of 0 and 1, with broadcast.
 *
 *   out = bit 2 * in_1 + in_2 of `truth`
 *
 * out: `dims`, contiguous; in_1 and in_2 as strides say; workspace: none. */
#include "broadcast_walk.h"
#include "mcuprune_nn.h"

static unsigned truth_of(const mp_logical_bool *op, unsigned a, unsigned b)
{
    return (op->truth >> (2 * (a != 0) + (b != 0))) & 1u;
}

void mp_logical_bool_ref(const mp_logical_bool *op, const uint8_t *in1, const uint8_t *in2, uint8_t *out)
{
    MP_EACH_PAIR(op, uint8_t, in1, in2, uint8_t, out, truth_of);
}
