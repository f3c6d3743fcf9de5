/* Stored values in another type.
 *
 * Integers wrap; floats are cut toward zero and saturate, NaN gives the largest integer; a bool is true but for 0.
 * in, out: `size` elements; workspace: none. Source: CastValue in TensorFlow Lite, kernels/cast.cc. */
#include "elements.h"

static int64_t saturate(mp_element type, float x)
{
    const int64_t low = mp_smallest(type), high = mp_largest(type);
    if (x < (float)low) return low;
    const float beyond = type == MP_UINT8 ? 256.0f : -(float)low; /* a power of two */
    return x < beyond ? (int64_t)x : high;                        /* NaN is not below */
}

void mp_cast_any_ref(const mp_cast_any *op, const void *in, void *out)
{
    const float *real = in;
    for (uint32_t i = 0; i < op->size; i++) {
        if (op->in_type != MP_FLOAT32)
            mp_store_integer(op->out_type, out, i, mp_load_integer(op->in_type, in, i));
        else if (op->out_type == MP_FLOAT32)
            ((float *)out)[i] = real[i];
        else if (op->out_type == MP_BOOL)
            ((uint8_t *)out)[i] = real[i] != 0.0f;
        else
            mp_store_integer(op->out_type, out, i, saturate(op->out_type, real[i]));
    }
}
