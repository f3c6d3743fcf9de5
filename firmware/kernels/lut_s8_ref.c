/* A function of one 8-bit value as a table.
 *
 *   out = table[in seen as uint8_t]
 *
 * in, out: `size` elements of int8 or uint8, may be the same; workspace: none. */
#include "mcuprune_nn.h"

void mp_lut_s8_ref(const mp_lut_s8 *op, const void *in, void *out)
{
    const uint8_t *from = in;
    int8_t *to = out;
    for (uint32_t i = 0; i < op->size; i++)
        to[i] = op->table[from[i]];
}
