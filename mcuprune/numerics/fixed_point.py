"""Fixed-point exp and reciprocal of the int8 softmax, inverse square root. Arrays are int64 that hold int32 values."""

from __future__ import annotations

import numpy as np

from mcuprune.numerics.requant import (
    INT32_MAX,
    INT32_MIN,
    Int64Array,
    rounding_divide_by_pot,
    rounding_doubling_high_mul,
    saturating_shift_left,
)

_EXP_FACTORS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)  # exp(-2^k), k = -2..4, Q0.31
_EXP_MINUS_ONE_EIGHTH = 1895147668
_ONE_THIRD = 715827883


def _exp_on_last_quarter(a: Int64Array) -> Int64Array:
    """exp(a) for a in [-1/4, 0), Q0.31: Taylor series around -1/8."""
    x = a + (1 << 28)
    x2 = rounding_doubling_high_mul(x, x)
    x3 = rounding_doubling_high_mul(x2, x)
    x4 = rounding_doubling_high_mul(x2, x2)
    higher = rounding_doubling_high_mul(rounding_divide_by_pot(x4, 2) + x3, _ONE_THIRD) + x2
    series = x + rounding_divide_by_pot(higher, 1)
    return _EXP_MINUS_ONE_EIGHTH + rounding_doubling_high_mul(_EXP_MINUS_ONE_EIGHTH, series)


def exp_on_negative_values(x: Int64Array) -> Int64Array:
    """exp(x) in Q0.31 for x <= 0 in Q5.26.

    Source: exp_on_negative_values in gemmlowp, fixedpoint/fixedpoint.h.
    """
    quarter = 1 << 24
    part = (x & (quarter - 1)) - quarter
    result = _exp_on_last_quarter(saturating_shift_left(part, 5))
    rest = part - x
    for bit, factor in enumerate(_EXP_FACTORS, start=24):
        result = np.where(rest & (1 << bit), rounding_doubling_high_mul(result, factor), result)
    return np.where(x == 0, INT32_MAX, result)


def reciprocal_of_one_plus(a: Int64Array) -> Int64Array:
    """1 / (1 + a) in Q0.31 for a in [0, 1) in Q0.31: three Newton steps.

    Source: one_over_one_plus_x_for_x_in_0_1 in gemmlowp, fixedpoint/fixedpoint.h.
    """
    half = (a + INT32_MAX + 1) >> 1
    x = 1515870810 + rounding_doubling_high_mul(half, -1010580540)  # 48/17 - 32/17 * half, Q2.29
    for _ in range(3):
        error = (1 << 29) - rounding_doubling_high_mul(half, x)
        x = x + saturating_shift_left(rounding_doubling_high_mul(x, error), 2)
    return saturating_shift_left(x, 1)


def inverse_sqrt(value: int) -> tuple[int, int]:
    """1 / sqrt(value) of a positive int32 as a multiplier and a shift, positive is left: five Newton steps.

    Source: GetInvSqrtQuantizedMultiplierExp in TensorFlow Lite, kernels/internal/common.h.
    """
    if value <= 1:
        return INT32_MAX, 0
    shift = 11
    while value >= 1 << 29:
        value, shift = value // 4, shift + 1
    pairs = (31 - value.bit_length()) // 2 - 1
    shift -= pairs
    point = value << 2 * pairs >> 1  # Q3.28
    half = int(rounding_divide_by_pot(point, 1))
    x = 1 << 28
    for _ in range(5):
        cube = _mul(_mul(x, x), x)
        cube = int(saturating_shift_left(cube, 6))
        x = int(saturating_shift_left(_mul((1 << 28) + (1 << 27), x) - _mul(half, cube), 3))
    root = _mul(x, 1518500250)  # sqrt(1/2)
    return (root << -shift, 0) if shift < 0 else (root, -shift)


def _mul(a: int, b: int) -> int:
    return int(rounding_doubling_high_mul(a, b))


_SQRT_HALF = 1518500250  # Q0.31, as the others
_SQRT_SQRT_HALF = 1805811301
_LOG_2 = 1488522236
_ALPHA_N, _ALPHA_D, _ALPHA_I, _ALPHA_F = 117049297, 127690142, 1057819769, 638450708


def _leading_zeros(x: Int64Array) -> Int64Array:
    """Zero bits above the highest 1 of positive int32 values."""
    return 32 - np.frexp(x.astype(np.float64))[1].astype(np.int64)


def _saturating_pot(x: Int64Array, exponent: Int64Array) -> Int64Array:
    """x * 2**exponent, exponent 0..31, saturated to int32."""
    shifted: Int64Array = np.clip(x << exponent, INT32_MIN, INT32_MAX)
    return shifted


def log_of_sum(x: Int64Array) -> Int64Array:
    """log(x) in Q5.26 for x >= 1 in Q12.19.

    Source: log_x_for_x_greater_than_or_equal_to_1_impl in TensorFlow Lite, kernels/internal/common.h.
    """
    mul = rounding_doubling_high_mul
    quarter = 1 << 23  # Q6.25, as everything that ends in _pow
    headroom_a = _leading_zeros(x)
    r_a = saturating_shift_left(mul(_saturating_pot(x, headroom_a - 1), _SQRT_HALF), 1)
    a_pow = np.clip(saturating_shift_left(12 - headroom_a, 25) + quarter, INT32_MIN, INT32_MAX)
    headroom_b = _leading_zeros(mul(x, _SQRT_HALF)) - 1
    r_b = _saturating_pot(x, headroom_b)
    b_pow = np.clip(saturating_shift_left(12 - headroom_b, 25) - quarter, INT32_MIN, INT32_MAX)
    r = np.minimum(r_a, r_b)
    p = (r + _SQRT_SQRT_HALF + 1) >> 1  # RoundingHalfSum of positive numbers
    q = 2 * (r - _SQRT_SQRT_HALF)
    square = mul(q, q)
    numerator = mul(q, r) + mul(mul(q, square), _ALPHA_N)
    denominator = mul(p, _ALPHA_I + q + mul(_ALPHA_D, square)) + mul(_ALPHA_F, q)
    scaled = rounding_divide_by_pot(numerator, 6)
    whole = mul(np.maximum(a_pow, b_pow), _LOG_2) + mul(scaled, reciprocal_of_one_plus(denominator))
    return saturating_shift_left(whole, 1)
