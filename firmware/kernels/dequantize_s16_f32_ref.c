/* int16 to float: out = scale * (in - zp).
 *
 * in, out: `size` elements; workspace: none. The difference has 17 bits, so one rounding of the product to float is
 * what TFLite's product of doubles gives. */
#include "mcuprune_nn.h"

void mp_dequantize_s16_f32_ref(const mp_affine *op, const int16_t *in, float *out)
{
    for (uint32_t i = 0; i < op->size; i++)
        out[i] = op->scale * (float)(in[i] - op->zp);
}
