/* mp_numerics.h: the integer arithmetic of TensorFlow Lite's reference kernels, one place for all kernels.
 *
 *   mp_requant(x, m, s)        = rdbp(srdhm(x * 2^max(s, 0), m), max(-s, 0))   rounds twice
 *   mp_requant_single(x, m, s) = round(x * m / 2^(31 - s))                     rounds once, halves away from zero
 *
 * m is a Q31 multiplier in [0, 2^31), s in [-31, 30], positive is left; x * 2^max(s, 0) fits in 32 bits. Fixed-point
 * numbers are named Qi, with i integer bits and 31 - i fractional ones. Sources: docs/numerics.md;
 * MultiplyByQuantizedMultiplier in TensorFlow Lite's kernels/internal/common.cc; gemmlowp's fixedpoint/fixedpoint.h,
 * whose names stand beside. */
#ifndef MCUPRUNE_NUMERICS_H
#define MCUPRUNE_NUMERICS_H

#include <stdint.h>

_Static_assert((-3 >> 1) == -2, "right shift of negative numbers must be arithmetic");

static inline int32_t mp_clamp(int32_t x, int32_t low, int32_t high) { return x < low ? low : x > high ? high : x; }

/* x * 2^shift for shift in [0, 31]; overflow wraps. */
static inline int32_t mp_shift_left(int32_t x, int32_t shift) { return (int32_t)((uint32_t)x << shift); }

/* x * 2^shift for shift in [0, 31], saturating. SaturatingRoundingMultiplyByPOT of a positive exponent. */
static inline int32_t mp_saturating_shift_left(int32_t x, int32_t shift)
{
    const int32_t limit = INT32_MAX >> shift;
    return x > limit ? INT32_MAX : x < -limit - 1 ? INT32_MIN : mp_shift_left(x, shift);
}

/* a * b / 2^31, halves up; INT32_MIN * INT32_MIN saturates. SaturatingRoundingDoublingHighMul: its nudge and division
 * that truncates are this shift. */
static inline int32_t mp_saturating_doubling_high_mul(int32_t a, int32_t b)
{
    if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* x / 2^exponent for exponent in [0, 31], halves away from zero. RoundingDivideByPOT. */
static inline int32_t mp_rounding_divide_by_pot(int32_t x, int32_t exponent)
{
    const int32_t mask = (int32_t)((1u << exponent) - 1u);
    const int32_t threshold = (mask >> 1) + (x < 0);
    return (x >> exponent) + ((x & mask) > threshold);
}

/* sum / count, halves away from zero, for count > 0. */
static inline int32_t mp_rounding_divide(int32_t sum, int32_t count)
{
    return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}

/* Convolutions and all but the fully-connected layers. mult >= 0, so the product needs no saturation and high is below
 * 2^31 - 1: the short form of rdbp() for right >= 1 does not overflow. */
static inline int32_t mp_requant(int32_t x, int32_t mult, int32_t shift)
{
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t high = (int32_t)(((int64_t)mp_shift_left(x, left) * mult + (1 << 30)) >> 31);
    if (shift >= 0) return high;
    const int32_t down = high + (high >> 31); /* high - 1 below zero: there, halves go down */
    return ((down >> (-shift - 1)) + 1) >> 1;
}

/* Fully-connected layers: the reference rounds a product of doubles; docs/numerics.md says why this equals it. */
static inline int32_t mp_requant_single(int32_t x, int32_t mult, int32_t shift)
{
    const int32_t total = 31 - shift; /* 1..62 */
    const int64_t product = (int64_t)x * mult;
    return (int32_t)((product + ((int64_t)1 << (total - 1)) - (product < 0)) >> total);
}

/* Layers on int16: x below 2^47, mult Q15, shift in [-31, 7]; one rounding, halves up. MultiplyByQuantizedMultiplier of
 * int64. */
static inline int32_t mp_requant_wide(int64_t x, int32_t mult, int32_t shift)
{
    const int32_t total = 15 - shift; /* 8..46 */
    return (int32_t)((x * mult + ((int64_t)1 << (total - 1))) >> total);
}

/* Fully-connected layers on int16, as the reference does them: round(x * scale), halves away from zero, the result
 * below 2^30. Twice the product is cut to a whole number, so that no compiler may fuse a product with a sum. */
static inline int32_t mp_round_product(int64_t x, double scale)
{
    const int32_t twice = (int32_t)((double)x * scale * 2.0);
    return (twice > 0 ? twice + 1 : twice - 1) / 2;
}

/* exp(a) for a in [-1/4, 0), Q0 to Q0: Taylor series around -1/8. exp_on_interval_between_negative_one_quarter_... */
static inline int32_t mp_exp_small_q0(int32_t a)
{
    const int32_t exp_minus_1_8 = 1895147668, third = 715827883;
    const int32_t x = a + (1 << 28);
    const int32_t x2 = mp_saturating_doubling_high_mul(x, x);
    const int32_t x3 = mp_saturating_doubling_high_mul(x2, x);
    const int32_t x4_over_4 = mp_rounding_divide_by_pot(mp_saturating_doubling_high_mul(x2, x2), 2);
    const int32_t x4_over_12_x3_over_3 = mp_saturating_doubling_high_mul(x4_over_4 + x3, third);
    const int32_t tail = mp_rounding_divide_by_pot(x4_over_12_x3_over_3 + x2, 1); /* x^4/24 + x^3/6 + x^2/2 */
    return exp_minus_1_8 + mp_saturating_doubling_high_mul(exp_minus_1_8, x + tail);
}

/* exp(a) for a in [-32, 0], Q5 to Q0. exp_on_negative_values: exp(a mod 1/4 - 1/4), then a factor for each bit left. */
static inline int32_t mp_exp_q5(int32_t a)
{
    static const int32_t factor[7] = {/* exp(-2^i) for i = -2 .. 4, Q0 */
                                      1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    if (a == 0) return INT32_MAX;
    const int32_t quarter = 1 << 24;
    const int32_t fraction = (a & (quarter - 1)) - quarter;
    const int32_t rest = fraction - a;
    int32_t result = mp_exp_small_q0(mp_shift_left(fraction, 5));
    for (int32_t i = 0; i < 7; i++) {
        if (rest & (1 << (24 + i))) result = mp_saturating_doubling_high_mul(result, factor[i]);
    }
    return result;
}

/* 1 / (1 + a) for a in [0, 1), Q0 to Q0: three Newton-Raphson steps. one_over_one_plus_x_for_x_in_0_1. */
static inline int32_t mp_reciprocal_one_plus_q0(int32_t a)
{
    const int32_t q2_48_over_17 = 1515870810, q2_minus_32_over_17 = -1010580540, q2_one = 1 << 29;
    const int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2); /* (1 + a) / 2, RoundingHalfSum */
    int32_t x = q2_48_over_17 + mp_saturating_doubling_high_mul(half, q2_minus_32_over_17);
    for (int32_t i = 0; i < 3; i++) {
        const int32_t error = q2_one - mp_saturating_doubling_high_mul(half, x);
        x += mp_saturating_shift_left(mp_saturating_doubling_high_mul(x, error), 2);
    }
    return mp_saturating_shift_left(x, 1);
}

/* Leading zero bits of x > 0. */
static inline int32_t mp_leading_zeros(uint32_t x) { return __builtin_clz((unsigned int)x); }

#endif
