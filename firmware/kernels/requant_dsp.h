/* requant_dsp.h: from an accumulator to an output byte in four or five instructions, for kernels of the dsp level.
 *
 * With right = -shift, half = 2^(right - 1) + (out_zp << right) and |acc| < 2^30, TFLite's two roundings are
 *
 *   signed:  out = ssat8((smmlar(2 * acc, mult, half) + (acc < 0 ? -1 : 0)) >> right)
 *
 * SMMLAR rounds 2 * acc * mult / 2^32, halves up, which is the first rounding; the sign of acc stands for that of the
 * product in the second one, halves away from zero: where the product is 0 the extra -1 vanishes in the shift, as
 * right >= 1. Negative results need it only where they are not clamped away, so
 *
 *   relu:    out = ssat8(smmlar(2 * acc, mult, half) >> right)               where act_min >= out_zp
 *
 * There both roundings are one rounding down of (acc * mult + constant) / 2^(31 + right), and so any power of two more
 * in the accumulator may be shifted out with the rest: with wide = 512 * acc, |acc| < 2^22, right <= 14,
 *
 *   relu of a wide accumulator: out = ssat8(smmla(wide, mult, 256 * half + 128) >> (right + 8))
 *
 * 1 <= right <= 22; a row with mult 0, and one whose bytes are all c, is mult 0, right 1, half 1 + 2 * c. An activation
 * range narrower than int8 is cut afterwards (clamp_s8.h): saturating first changes nothing.
 * numerics: mcuprune/kernels/dsp_requant.py. */
#ifndef MCUPRUNE_REQUANT_DSP_H
#define MCUPRUNE_REQUANT_DSP_H

#include "mp_simd.h"

/* As text for assembly: registers as strings. u: result, apart from acc; acc: 2 * acc, kept. 4 cycles. */
#define MP_ASM_REQUANT(u, acc, mult, half, right)                                                                      \
    "smmlar " u ", " acc ", " mult ", " half "\n"                                                                      \
    "add    " u ", " u ", " acc ", asr #31\n"                                                                          \
    "asr    " u ", " u ", " right "\n"                                                                                 \
    "ssat   " u ", #8, " u "\n"

/* 3 cycles; the result replaces acc. */
#define MP_ASM_REQUANT_RELU(acc, mult, half, right)                                                                    \
    "smmlar " acc ", " acc ", " mult ", " half "\n"                                                                    \
    "asr    " acc ", " acc ", " right "\n"                                                                             \
    "ssat   " acc ", #8, " acc "\n"

#define MP_ASM_REQUANT_RELU_WIDE(acc, mult, half, right)                                                               \
    "smmla  " acc ", " acc ", " mult ", " half "\n"                                                                    \
    "asr    " acc ", " acc ", " right "\n"                                                                             \
    "ssat   " acc ", #8, " acc "\n"

static inline int8_t mp_requant_signed(int32_t twice, int32_t mult, int32_t half, uint32_t right)
{
    return mp_ssat_s8((mp_smmlar(twice, mult, half) + (twice >> 31)) >> right);
}

static inline int8_t mp_requant_relu(int32_t twice, int32_t mult, int32_t half, uint32_t right)
{
    return mp_ssat_s8(mp_smmlar(twice, mult, half) >> right);
}

static inline int8_t mp_requant_relu_wide(int32_t wide, int32_t mult, int32_t half, uint32_t right)
{
    return mp_ssat_s8(mp_smmla(wide, mult, half) >> right);
}

#endif
