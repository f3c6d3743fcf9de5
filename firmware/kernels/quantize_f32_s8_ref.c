/* float to int8.
 *
 *   out = clamp(round(in / scale) + zp, -128, 127), halves away from zero;
 *         127 where zp < 0, else -128, for NaN and for quotients outside int32
 *
 * in, out: `size` elements; workspace: none. The division is one of floats, as in TFLite's AffineQuantize. */
#include "mcuprune_nn.h"
#include "mp_numerics.h"

/* Quotients that int32 does not hold become the smallest int32 in the reference, and its sum with zp wraps. */
static const float INT32_LIMIT = 2147483648.0f;

/* What lies beyond saturates for any zero point; inside, a float's fraction is exact. */
static const float LIMIT = 1024.0f;

static int32_t round_half_away(float x)
{
    if (x <= -LIMIT) return -(int32_t)LIMIT;
    if (x >= LIMIT) return (int32_t)LIMIT;
    const int32_t whole = (int32_t)x; /* towards zero */
    const float fraction = x - (float)whole;
    return whole + (fraction >= 0.5f) - (fraction <= -0.5f);
}

void mp_quantize_f32_s8_ref(const mp_affine *op, const float *in, int8_t *out)
{
    for (uint32_t i = 0; i < op->size; i++) {
        const float x = in[i] / op->scale;
        if (x > -INT32_LIMIT && x < INT32_LIMIT) {
            out[i] = (int8_t)mp_clamp(round_half_away(x) + op->zp, INT8_MIN, INT8_MAX);
        } else { /* NaN, too */
            out[i] = op->zp < 0 ? INT8_MAX : INT8_MIN;
        }
    }
}
