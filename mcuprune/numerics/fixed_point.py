"""Fixed-point exp and reciprocal of the int8 softmax, inverse square root. Arrays are int64 that hold int32 values."""

from __future__ import annotations

import numpy as np

from mcuprune.numerics.requant import (
    INT32_MAX,
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
    """1 / sqrt(value) of a positive int32 below 2**29 as a multiplier and a shift, positive is left: five Newton steps.

    Source: GetInvSqrtQuantizedMultiplierExp in TensorFlow Lite, kernels/internal/common.h.
    """
    if value <= 1:
        return INT32_MAX, 0
    pairs = (31 - value.bit_length()) // 2 - 1
    shift = 11 - pairs
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
