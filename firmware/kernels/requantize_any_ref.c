/* Requantization between integers of 8, 16 and 32 bits.
 *
 *   out = clamp(requant(in - in_zp, mult, shift) + out_zp, smallest, largest of out_type)
 *
 * in, out: `size` elements; workspace: none. The host proves that nothing leaves int32. Source: Requantize in TensorFlow
 * Lite, reference/requantize.h. */
#include "elements.h"
#include "mp_numerics.h"

void mp_requantize_any_ref(const mp_requantize_any *op, const void *in, void *out)
{
    const int32_t low = (int32_t)mp_smallest(op->out_type), high = (int32_t)mp_largest(op->out_type);
    for (uint32_t i = 0; i < op->size; i++) {
        const int32_t x = (int32_t)mp_load_integer(op->in_type, in, i) - op->in_zp;
        const int32_t stored = mp_requant(x, op->mult, op->shift) + op->out_zp;
        mp_store_integer(op->out_type, out, i, mp_clamp(stored, low, high));
    }
}
