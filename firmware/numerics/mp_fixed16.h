/* mp_fixed16.h: sigmoid and tanh of 16-bit fixed point, as LSTM uses them. Qi has i integer bits and 15 - i fractional
 * ones. Source: gemmlowp's fixedpoint/fixedpoint.h with int16_t, whose names stand beside; docs/numerics.md. */
#ifndef MCUPRUNE_FIXED16_H
#define MCUPRUNE_FIXED16_H

#include "mp_numerics.h"

/* a * b / 2^15, halves up, saturated. SaturatingRoundingDoublingHighMul. */
static inline int32_t mp_mul16(int32_t a, int32_t b)
{
    const int32_t product = (a * b + (1 << 14)) >> 15;
    return product > INT16_MAX ? INT16_MAX : product;
}

/* x * 2^shift, saturated. SaturatingRoundingMultiplyByPOT of a positive exponent. */
static inline int32_t mp_shift_left16(int32_t x, int32_t shift)
{
    return mp_clamp(mp_shift_left(x, shift), INT16_MIN, INT16_MAX);
}

/* exp(x) for x <= 0, Qi to Q0, i in [1, 7]. exp_on_negative_values: exp(x mod 1/4 - 1/4), then a factor for each bit. */
static inline int32_t mp_exp16(int32_t x, int32_t bits)
{
    static const int16_t factor[7] = {/* exp(-2^k) for k = -2 .. 4, Q0 */
                                      25520, 19875, 12055, 4435, 600, 11, 0};
    const int32_t exp_minus_1_8 = 28918, third = 10923, fraction = 15 - bits, quarter = 1 << (fraction - 2);
    if (x == 0) return INT16_MAX;
    if (bits > 5 && x < -mp_shift_left(32, fraction)) return 0;
    const int32_t part = (x & (quarter - 1)) - quarter, rest = part - x;
    const int32_t y = mp_shift_left16(part, bits) + (1 << 12); /* Taylor series around -1/8 */
    const int32_t y2 = mp_mul16(y, y), y4_over_4 = mp_rounding_divide_by_pot(mp_mul16(y2, y2), 2);
    const int32_t tail = mp_mul16(y4_over_4 + mp_mul16(y2, y), third) + y2;
    int32_t result = exp_minus_1_8 + mp_mul16(y + mp_rounding_divide_by_pot(tail, 1), exp_minus_1_8);
    if (result > INT16_MAX) result = INT16_MAX;
    for (int32_t k = -2; k < 5 && k < bits; k++) {
        if (rest & (1 << (fraction + k))) result = mp_mul16(result, factor[k + 2]);
    }
    return result;
}

/* 2 / (1 + a) for a in [0, 1), Q0 to Q2: three Newton-Raphson steps. */
static inline int32_t mp_two_over_one_plus16(int32_t a)
{
    const int32_t half = (a + INT16_MAX + 1) >> 1; /* (1 + a) / 2, RoundingHalfSum */
    int32_t x = 23130 + mp_mul16(half, -15420);    /* 48/17 - 32/17 * half */
    for (int32_t i = 0; i < 3; i++)
        x += mp_shift_left16(mp_mul16(x, (1 << 13) - mp_mul16(half, x)), 2);
    return x;
}

/* 1 / (1 + exp(-x)), Q3 to Q0. logistic. */
static inline int32_t mp_sigmoid16(int32_t x)
{
    if (x == 0) return 1 << 14;
    const int32_t positive = mp_shift_left16(mp_two_over_one_plus16(mp_exp16(x < 0 ? x : -x, 3)), 1);
    return x > 0 ? positive : INT16_MAX - positive;
}

/* tanh(x), Qi to Q0, i in [0, 6]. tanh: (1 - e) / (1 + e) with e = exp(-2|x|). */
static inline int32_t mp_tanh16(int32_t x, int32_t bits)
{
    if (x == 0) return 0;
    const int32_t e = mp_exp16(x < 0 ? x : -x, bits + 1);
    const int32_t magnitude = mp_shift_left16(mp_two_over_one_plus16(e) - (1 << 13), 2);
    return x > 0 ? magnitude : -magnitude;
}

#endif
