"""Rounding of accumulators, vectorised: what the reference kernels do to an int32 sum."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
IntLike = npt.NDArray[np.integer] | int

INT32_MIN = -(2**31)
INT32_MAX = 2**31 - 1
WIDE_BOUND = 2**47  # of sums that requantize_wide() takes, as the reference asserts
MAX_WIDE_SHIFT = 7


def rounding_doubling_high_mul(a: IntLike, b: IntLike) -> Int64Array:
    """round(a * b / 2**31) of int32 values, halves up, saturated where both are -2**31. Values are held in int64.

    Source: SaturatingRoundingDoublingHighMul in gemmlowp, fixedpoint/fixedpoint.h.
    """
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    # gemmlowp adds 2^30 or 1 - 2^30 and divides toward zero, which is floor((p + 2^30) / 2^31) for both signs
    rounded: Int64Array = np.minimum((product + (1 << 30)) >> 31, INT32_MAX)
    return rounded


def rounding_divide_by_pot(x: IntLike, exponent: IntLike) -> Int64Array:
    """x / 2**exponent, exponent 0..31, rounded to nearest, halves away from zero.

    Source: RoundingDivideByPOT in gemmlowp, fixedpoint/fixedpoint.h.
    """
    value = np.asarray(x, np.int64)
    bits = np.asarray(exponent, np.int64)
    mask = (np.int64(1) << bits) - 1
    threshold = (mask >> 1) + (value < 0)
    return (value >> bits) + ((value & mask) > threshold)


def saturating_shift_left(x: IntLike, bits: int) -> Int64Array:
    """x * 2**bits, saturated to int32."""
    shifted: Int64Array = np.clip(np.asarray(x, np.int64) << bits, INT32_MIN, INT32_MAX)
    return shifted


def requantize(acc: IntLike, mult: IntLike, shift: IntLike) -> Int64Array:
    """acc * mult * 2**(shift - 31) with two roundings, as convolutions, MEAN, ADD, QUANTIZE and RELU do it.

    Args:
        acc: int32 accumulators; acc << max(shift, 0) must fit in int32 (the importer proves it).
        mult, shift: Q31 multipliers and shifts in [-31, 30], broadcast against acc.
    Source: MultiplyByQuantizedMultiplier, double rounding, in TensorFlow Lite, kernels/internal/common.cc.
    """
    shifts = np.asarray(shift, np.int64)
    shifted = np.asarray(acc, np.int64) << np.maximum(shifts, 0)
    return rounding_divide_by_pot(rounding_doubling_high_mul(shifted, mult), np.maximum(-shifts, 0))


def requantize_once(acc: IntLike, mult: IntLike, shift: IntLike) -> Int64Array:
    """acc * mult * 2**(shift - 31) with one rounding of the 64-bit product, halves away from zero.

    The integer form of the reference's fully-connected rule; see round_once_multiplier() for the multiplier.
    """
    product = np.asarray(acc, np.int64) * np.asarray(mult, np.int64)
    total = 31 - np.asarray(shift, np.int64)
    nudge = (np.int64(1) << (total - 1)) - (product < 0)
    return (product + nudge) >> total


def reduced_multiplier(mult: int) -> int:
    """A Q31 multiplier as a Q15 one, for 64-bit accumulators."""
    return (mult + (1 << 15)) >> 16 if mult < 0x7FFF0000 else 0x7FFF


def requantize_wide(acc: IntLike, mult: IntLike, shift: IntLike) -> Int64Array:
    """acc * mult * 2**(shift - 15) with one rounding, halves up, as layers on int16 do it.

    Args:
        acc: magnitudes below WIDE_BOUND.
        mult, shift: Q15 multipliers out of reduced_multiplier(), shifts in [-31, MAX_WIDE_SHIFT], broadcast against
            acc.
    Source: MultiplyByQuantizedMultiplier of int64 in TensorFlow Lite, kernels/internal/common.cc.
    """
    total = 15 - np.asarray(shift, np.int64)
    product = np.asarray(acc, np.int64) * np.asarray(mult, np.int64)
    return (product + (np.int64(1) << (total - 1))) >> total


def clamp_int8(values: IntLike, low: IntLike = -128, high: IntLike = 127) -> npt.NDArray[np.int8]:
    """Values between two bounds inside of int8."""
    return np.clip(np.asarray(values, np.int64), low, high).astype(np.int8)
