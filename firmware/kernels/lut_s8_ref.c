/* A function of one int8 value as a table.
 *
 *   out = table[in seen as uint8_t]
 *
 * in, out: `size` elements, may be the same; workspace: none. */
#include "mcuprune_nn.h"

void mp_lut_s8_ref(const mp_lut_s8 *op, const int8_t *in, int8_t *out)
{
    for (uint32_t i = 0; i < op->size; i++)
        out[i] = op->table[(uint8_t)in[i]];
}
