"""Functions of one int16 value, zero points 0: tables of 513 entries with lines between them, sigmoid and tanh.

Functions of real numbers are computed in double and rounded, as in tables.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.errors import QuantError
from mcuprune.numerics.fixed_point16 import INT16_MAX, INT16_MIN
from mcuprune.numerics.parameters import power_of_two
from mcuprune.numerics.requant import Int64Array

Int16 = npt.NDArray[np.int16]
Floats = npt.NDArray[Any]
"""float32 or float64."""
Function = Callable[[Floats], Floats]

STEPS = 512


def _round_away(values: Floats) -> Floats:
    """C's round(): halves away from zero, in the type of the values."""
    whole = np.trunc(values)
    rounded: Floats = whole + np.copysign(np.abs(values - whole) >= 0.5, values)
    return rounded.astype(values.dtype)


def table16(function: Function, in_range: tuple[float, float], out_scale: float, real: Any) -> Int16:
    """Values at both ends of 512 equal steps, each moved by half of what the line misses in the middle of its step.

    What is not a number (where values next to it are infinite) becomes 0, as C++'s conversion gives on x86-64 and Arm.

    Args:
        in_range: the reals that -32768 and 32767 stand for.
        real: type of the reference's arithmetic, np.float32 or np.float64.
    Source: LUTPopulateInt16 in TensorFlow Lite, kernels/internal/common.h.
    """
    with np.errstate(all="ignore"):
        low, high = (real(end) for end in in_range)
        step = (high - low) / real(STEPS)
        inverse = real(2**16) / (real(out_scale) * real(INT16_MAX) - real(out_scale) * real(INT16_MIN))
        at = np.arange(STEPS + 1).astype(real)
        starts = low + at[:-1] * step
        ends = low + at[1:] * step
        first = _round_away(function(starts) * inverse)
        line = _round_away((function(ends) * inverse + first) / real(2))
        error = line - _round_away(function(starts + step / real(2)) * inverse)
        last = _round_away(function(np.array([high], real)) * inverse)
        values = np.concatenate([first - _round_away(error / real(2)), last])
    entries: Int16 = np.nan_to_num(np.clip(values, INT16_MIN, INT16_MAX), nan=0.0).astype(np.int16)
    return entries


def scaled_table16(function: Function, in_scale: float, out_scale: float) -> Int16:
    """The table of a function from one scale to another, in float32."""
    with np.errstate(over="ignore"):
        ends = tuple(float(np.float32(in_scale) * np.float32(end)) for end in (INT16_MIN, INT16_MAX))
    if not math.isfinite(ends[0]):
        raise QuantError(f"scale {in_scale!r} is too large for a function of int16")
    return table16(function, (ends[0], ends[1]), out_scale, np.float32)


def look_up16(table: Int16, values: npt.NDArray[np.integer[Any]]) -> Int16:
    """A point on the line between two entries; differences of entries, and sums, wrap to 16 bits.

    Source: LUTLookup of int16 in TensorFlow Lite, kernels/internal/common.h.
    """
    at = (values.astype(np.intp) >> 7) + 256
    base = table[at].astype(np.int64)
    slope = (table[at + 1].astype(np.int64) - base).astype(np.int16).astype(np.int64)
    found: Int16 = (base + ((slope * (values & 0x7F) + 64) >> 7)).astype(np.int16)
    return found


def rsqrt(out_scale: float) -> Function:
    """1 / sqrt(x); the largest output where x is not positive. Source: GenericPrepare in kernels/elementwise.cc."""
    largest = np.float32(INT16_MAX) * np.float32(out_scale)
    return lambda x: np.where(x > 0, np.float32(1) / np.sqrt(np.where(x > 0, x, 1)), largest).astype(np.float32)


_ONE_MORE = (
    "4 8 12 14 15 16 17 19 20 21 22 25 27 28 29 30 31 33 34 35 37 39 40 41 43 44 45 46 49 50 54 62 63 64 66 82 86 93 "
    "100 103 112 116 135 255"
)
"""Where the reference's table is one above the nearest number: found by comparison with its outputs."""


def sigmoid_table() -> npt.NDArray[np.uint16]:
    """sigmoid(i / 24) in steps of 2**-16, 256 entries.

    Source: sigmoid_table_uint16 in TensorFlow Lite, kernels/internal/common.h.
    """
    nearest = [round(2**16 / (1 + math.exp(-i / 24))) for i in range(256)]
    more = {int(number) for number in _ONE_MORE.split()}
    return np.array([value + (i in more) for i, value in enumerate(nearest)], np.uint16)


def sigmoid16_multiplier(in_scale: float, tanh: bool) -> tuple[int, int]:
    """(mult, right): an input times mult / 2**right is in steps of 1 / 12288, three eighths of the table's.

    Raises:
        QuantError: int32 would overflow, or the scale is so small that nothing is left of it.
    Source: SigmoidPrepare and TanhPrepare in TensorFlow Lite, kernels/activations.cc.
    """
    exponent = power_of_two(in_scale)
    if exponent is not None and exponent + 12 in ((0, 1) if tanh else (0,)):
        return 3 << (exponent + 12), 0
    multiplier, right = in_scale * 4096.0 * 3.0, 0
    while multiplier <= 32767.0 / 2.0 and right <= 30:
        multiplier, right = 2 * multiplier, right + 1
    if not 1 <= multiplier < 2**16:
        raise QuantError(f"scale {in_scale!r} is out of the range that sigmoid and tanh of int16 take")
    return int(multiplier), right


def sigmoid16(values: npt.NDArray[np.integer[Any]], mult: int, right: int, tanh: bool) -> Int16:
    """LOGISTIC or TANH of inputs scaled by sigmoid16_multiplier(); outputs in steps of 2**-15.

    Source: Logistic and Tanh of int16 in TensorFlow Lite, kernels/internal/reference/integer_ops/logistic.h, tanh.h.
    """
    scaled = (values.astype(np.int64) * mult + ((1 << right) >> 1)) >> right
    bits = 8 if tanh else 9  # of the distance to an entry
    magnitude, table = np.abs(scaled), sigmoid_table().astype(np.int64)
    at = np.minimum(magnitude >> bits, 254)
    between = (table[at] << bits) + (magnitude & ((1 << bits) - 1)) * (table[at + 1] - table[at])
    curve: Int64Array = np.where(magnitude >> bits >= 255, 0xFFFF << 8 if tanh else 0x7FFF << 10, between)
    if tanh:
        found = np.where(scaled >= 0, curve - 2**23 + 2**7, 2**23 - curve + 2**7 - 1) >> 8
    else:
        found = np.where(scaled >= 0, curve + 2**9, 2**25 - curve + 2**9 - 1) >> 10
    return found.astype(np.int16)


def softmax16_tables() -> tuple[Int16, Int16]:
    """exp on [-10, 0] and 1 / (1 + x) on [0, 1], in steps of 2**-15.

    Source: SoftmaxPrepare in TensorFlow Lite, kernels/activations.cc.
    """
    out_scale, in_scale = 2.0 / 65535, 10.0 / 65535
    exp = table16(np.exp, (in_scale * -65535, in_scale * 0), out_scale, np.float64)
    unit = 1.0 / 65535
    return exp, table16(lambda x: 1.0 / (1.0 + x), (unit * 0, unit * 65535), out_scale, np.float64)


def softmax16(scaled: Int64Array) -> Int16:
    """Rows of SOFTMAX. scaled: differences to the largest of each row, -65535 for -10.

    Source: SoftmaxInt16 in TensorFlow Lite, kernels/internal/reference/softmax.h.
    """
    exp, reciprocal = softmax16_tables()
    powers = look_up16(exp, np.clip(scaled + INT16_MAX, INT16_MIN, INT16_MAX)).astype(np.int64)
    total = powers.sum(axis=1, keepdims=True)
    bits = np.frexp(total.astype(np.float64))[1].astype(np.int64)  # of the sum, 15..31
    shifted = ((total << (31 - bits)) + (1 << 13)) >> 14
    inverse = look_up16(reciprocal, np.clip(shifted - 2**15 - 2**16, INT16_MIN, INT16_MAX)).astype(np.int64)
    right = bits - 1
    found = (powers * inverse + (np.int64(1) << (right - 1))) >> right
    shares: Int16 = np.clip(found, 0, INT16_MAX).astype(np.int16)
    return shares
