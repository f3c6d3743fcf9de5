/* float to int8: mp_quantize_f32().
 *
 * in, out: `size` elements; workspace: none. */
#include "quantize_f32.h"

void mp_quantize_f32_s8_ref(const mp_affine *op, const float *in, int8_t *out)
{
    for (uint32_t i = 0; i < op->size; i++)
        out[i] = (int8_t)mp_quantize_f32(op, in[i], INT8_MIN, INT8_MAX);
}
