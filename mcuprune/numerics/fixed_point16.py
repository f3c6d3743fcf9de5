"""Sigmoid and tanh of int16 fixed point, as LSTM uses them. Arrays are int64 that hold int16 raw values."""

from __future__ import annotations

import numpy as np

from mcuprune.numerics.requant import Int64Array, rounding_divide_by_pot

INT16_MIN, INT16_MAX = -(2**15), 2**15 - 1

_EXP_FACTORS = (25520, 19875, 12055, 4435, 600, 11, 0)  # exp(-2^k), k = -2..4, Q0.15
_EXP_MINUS_ONE_EIGHTH = 28918
_ONE_THIRD = 10923
_48_OVER_17, _MINUS_32_OVER_17 = 23130, -15420  # Q2.13


def _mul(a: Int64Array, b: Int64Array | int) -> Int64Array:
    """round(a * b / 2**15), halves up, saturated. SaturatingRoundingDoublingHighMul of int16."""
    rounded: Int64Array = np.minimum((a * b + (1 << 14)) >> 15, INT16_MAX)
    return rounded


def _shift_left(x: Int64Array, bits: int) -> Int64Array:
    """x * 2**bits, saturated. SaturatingRoundingMultiplyByPOT of a positive exponent."""
    shifted: Int64Array = np.clip(x << bits, INT16_MIN, INT16_MAX)
    return shifted


def _exp(x: Int64Array, integer_bits: int) -> Int64Array:
    """exp(x) in Q0.15 for x <= 0 with so many integer bits.

    Source: exp_on_negative_values in gemmlowp, fixedpoint/fixedpoint.h.
    """
    fraction_bits = 15 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    part = (x & (quarter - 1)) - quarter
    y = _shift_left(part, integer_bits) + (1 << 12)
    y2 = _mul(y, y)
    higher = _mul(rounding_divide_by_pot(_mul(y2, y2), 2) + _mul(y2, y), _ONE_THIRD) + y2
    series = _mul(y + rounding_divide_by_pot(higher, 1), _EXP_MINUS_ONE_EIGHTH)
    result: Int64Array = np.minimum(_EXP_MINUS_ONE_EIGHTH + series, INT16_MAX)
    rest = part - x
    for power, factor in enumerate(_EXP_FACTORS, start=-2):
        if power < integer_bits:
            result = np.where(rest & (1 << (fraction_bits + power)), _mul(result, factor), result)
    if integer_bits > 5:
        result = np.where(x < -(32 << fraction_bits), 0, result)
    return np.where(x == 0, INT16_MAX, result)


def _reciprocal_of_half(a: Int64Array) -> tuple[Int64Array, Int64Array]:
    """1 / ((1 + a) / 2) in Q2.13 for a in [0, 1) in Q0.15: three Newton steps."""
    half = (a + INT16_MAX + 1) >> 1
    x = _48_OVER_17 + _mul(half, _MINUS_32_OVER_17)
    for _ in range(3):
        error = (1 << 13) - _mul(half, x)
        x = x + _shift_left(_mul(x, error), 2)
    return x, half


def sigmoid_int16(x: Int64Array) -> Int64Array:
    """1 / (1 + exp(-x)), Q3.12 to Q0.15.

    Source: logistic in gemmlowp, fixedpoint/fixedpoint.h; PortableApplySigmoid in TensorFlow Lite.
    """
    reciprocal, _ = _reciprocal_of_half(_exp(-np.abs(x), 3))
    positive = _shift_left(reciprocal, 1)
    return np.where(x == 0, 1 << 14, np.where(x > 0, positive, INT16_MAX - positive))


def tanh_int16(x: Int64Array, integer_bits: int) -> Int64Array:
    """tanh(x) in Q0.15, of x with so many integer bits, 0 to 6.

    Source: tanh in gemmlowp, fixedpoint/fixedpoint.h; PortableApplyTanh in TensorFlow Lite.
    """
    reciprocal, _ = _reciprocal_of_half(_exp(-np.abs(x), integer_bits + 1))
    magnitude = _shift_left(reciprocal - (1 << 13), 2)
    return np.where(x == 0, 0, np.where(x > 0, magnitude, -magnitude))
