/* A function of one int16 value as a table with lines between its entries.
 *
 *   out = e[i] + ((e[i + 1] - e[i]) * (in & 127) + 64) / 128,   i = 256 + in / 128, divisions round down
 *
 * in, out: `size` elements, may be the same; workspace: none. Source: LUTLookup in TensorFlow Lite, internal/common.h. */
#include "lut_s16.h"
#include "mcuprune_nn.h"

void mp_lut_s16_ref(const mp_lut_s16 *op, const int16_t *in, int16_t *out)
{
    for (uint32_t i = 0; i < op->size; i++)
        out[i] = mp_look_up_s16(op->table, in[i]);
}
