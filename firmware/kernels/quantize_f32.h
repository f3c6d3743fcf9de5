/* quantize_f32.h: float to an integer of 8 or 16 bits, as TFLite's AffineQuantize.
 *
 *   clamp(round(x / scale) + zp, low, high), halves away from zero, one division of floats;
 *   high where zp < 0, else low, for NaN and for quotients outside int32 */
#ifndef MCUPRUNE_QUANTIZE_F32_H
#define MCUPRUNE_QUANTIZE_F32_H

#include "mcuprune_nn.h"
#include "mp_numerics.h"

/* Quotients that int32 does not hold become the smallest int32 in the reference, and its sum with zp wraps. */
#define MP_INT32_LIMIT 2147483648.0f

/* What lies beyond saturates for any zero point; inside, a float's fraction is exact. */
#define MP_QUOTIENT_LIMIT 131072.0f

static inline int32_t mp_round_half_away(float x)
{
    if (x <= -MP_QUOTIENT_LIMIT) return -(int32_t)MP_QUOTIENT_LIMIT;
    if (x >= MP_QUOTIENT_LIMIT) return (int32_t)MP_QUOTIENT_LIMIT;
    const int32_t whole = (int32_t)x; /* towards zero */
    const float fraction = x - (float)whole;
    return whole + (fraction >= 0.5f) - (fraction <= -0.5f);
}

static inline int32_t mp_quantize_f32(const mp_affine *op, float in, int32_t low, int32_t high)
{
    const float x = in / op->scale;
    if (x > -MP_INT32_LIMIT && x < MP_INT32_LIMIT) return mp_clamp(mp_round_half_away(x) + op->zp, low, high);
    return op->zp < 0 ? high : low; /* NaN, too */
}

#endif
