/* float to int16: mp_quantize_f32().
 *
 * in, out: `size` elements; workspace: none. */
#include "quantize_f32.h"

void mp_quantize_f32_s16_ref(const mp_affine *op, const float *in, int16_t *out)
{
    for (uint32_t i = 0; i < op->size; i++)
        out[i] = (int16_t)mp_quantize_f32(op, in[i], INT16_MIN, INT16_MAX);
}
