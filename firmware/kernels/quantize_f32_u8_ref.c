/* float to uint8: mp_quantize_f32().
 *
 * in, out: `size` elements; workspace: none. */
#include "quantize_f32.h"

void mp_quantize_f32_u8_ref(const mp_affine *op, const float *in, uint8_t *out)
{
    for (uint32_t i = 0; i < op->size; i++)
        out[i] = (uint8_t)mp_quantize_f32(op, in[i], 0, UINT8_MAX);
}
