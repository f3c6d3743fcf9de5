/* uint8 to float: out = scale * (in - zp).
 *
 * in, out: `size` elements; workspace: none. The difference has nine bits, so one rounding of the product to float is
 * what TFLite's product of doubles gives. */
#include "mcuprune_nn.h"

void mp_dequantize_u8_f32_ref(const mp_affine *op, const uint8_t *in, float *out)
{
    for (uint32_t i = 0; i < op->size; i++)
        out[i] = op->scale * (float)(in[i] - op->zp);
}
