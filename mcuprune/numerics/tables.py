"""Functions of one int8 value as tables: what the reference kernels give for each of the 256 stored values.

Every table has the value of code c at index c + 128. Functions of real numbers are computed in double and rounded to
float32; the reference's C library is right to less than two units in the last place there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

from mcuprune.errors import QuantError
from mcuprune.numerics.fixed_point import inverse_sqrt
from mcuprune.numerics.parameters import MAX_SHIFT, float32_quotient, quantize_multiplier, relu_multiplier
from mcuprune.numerics.requant import (
    Int64Array,
    clamp_int8,
    requantize,
    rounding_divide_by_pot,
    saturating_shift_left,
)

Table = npt.NDArray[np.int8]
Float32 = npt.NDArray[np.float32]

CODES: Int64Array = np.arange(-128, 128, dtype=np.int64)
_RSQRT_SHIFT = 20


def _whole(values: Float32) -> Int64Array:
    """Conversion of float to int32, toward zero. NaN and what int32 does not hold give -2**31, as on x86-64."""
    usable = (values >= -(2.0**31)) & (values < 2.0**31)
    return np.where(usable, values, -(2.0**31)).astype(np.int64)


def _round_away(values: Float32) -> Float32:
    """C's round() of floats: halves away from zero."""
    whole = np.trunc(values)
    return (whole + np.copysign((np.abs(values - whole) >= 0.5).astype(np.float32), values)).astype(np.float32)


def table_of(
    function: Callable[[Float32], Float32], in_scale: float, in_zp: int, out_scale: float, out_zp: int
) -> Table:
    """A real function: clamp(round(f(scale * (code - zp)) * (1 / out_scale)) + out_zp), all in float32.

    Raises:
        QuantError: scales so huge that a value is not a number; what the reference makes of it is a compiler's choice.
    Source: LUTPopulateInt8 in TensorFlow Lite, kernels/internal/common.h.
    """
    with np.errstate(all="ignore"):
        inverse = np.float32(1.0) / np.float32(out_scale)
        real = np.float32(in_scale) * (CODES - in_zp).astype(np.float32)
        stored = _round_away(function(real) * inverse) + np.float32(out_zp)
    if np.isnan(stored).any():
        raise QuantError(f"scales {in_scale!r} and {out_scale!r} give values that are not numbers")
    return clamp_int8(np.clip(stored, -128, 127).astype(np.int64))


def _rounded(function: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]], x: Float32) -> Float32:
    return function(x.astype(np.float64)).astype(np.float32)


def tanh(x: Float32) -> Float32:
    return _rounded(np.tanh, x)


def exp(x: Float32) -> Float32:
    return _rounded(np.exp, x)


def logistic(x: Float32) -> Float32:
    return np.float32(1.0) / (np.float32(1.0) + exp(-x))


def gelu(x: Float32) -> Float32:
    scaled = (x * np.float32(-math.sqrt(0.5))).tolist()
    return np.float32(0.5) * x * np.array([math.erfc(v) for v in scaled], np.float32)


def gelu_by_tanh(x: Float32) -> Float32:
    """The approximation 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))."""
    inner = x + np.float32(0.044715) * x * x * x
    return np.float32(0.5) * x * (np.float32(1.0) + tanh(np.float32(math.sqrt(2 / math.pi)) * inner))


def log(lowest: float) -> Callable[[Float32], Float32]:
    """The logarithm; `lowest` where it has none."""
    return lambda x: np.where(x > 0, _rounded(np.log, np.where(x > 0, x, 1)), np.float32(lowest)).astype(np.float32)


def log_table(in_scale: float, in_zp: int, out_scale: float, out_zp: int) -> Table:
    """LOG; what is not positive gives the smallest output.

    Source: LogLUTPrepare in TensorFlow Lite, kernels/elementwise.cc.
    """
    with np.errstate(all="ignore"):
        lowest = float(np.float32(-128 - out_zp) * np.float32(out_scale))
    return table_of(log(lowest), in_scale, in_zp, out_scale, out_zp)


def sqrt_table(in_scale: float, in_zp: int, out_scale: float, out_zp: int) -> Table:
    """SQRT: int(sqrt(x) / out_scale) + out_zp, toward zero. Below zero as at zero; the reference stops there.

    Source: SqrtEvalQuantized in TensorFlow Lite, kernels/elementwise.cc.
    """
    with np.errstate(all="ignore"):
        real = np.float32(in_scale) * np.maximum(CODES - in_zp, 0).astype(np.float32)
        stored = _whole(np.sqrt(real) / np.float32(out_scale)) + out_zp
    return clamp_int8((stored + 2**31) % 2**32 - 2**31)


def rsqrt_table(in_scale: float, in_zp: int, out_scale: float, out_zp: int) -> Table:
    """RSQRT in fixed point; 127 at zero, and below, where the reference stops.

    Raises:
        QuantError: the scales' ratio is out of range.
    Source: RsqrtEvalQuantizedInt8 in TensorFlow Lite, kernels/elementwise.cc.
    """
    with np.errstate(all="ignore"):
        root = np.sqrt(np.float32(in_scale)) * np.float32(out_scale)
    if not 0.0 < float(root) < math.inf:
        raise QuantError(f"scales {in_scale!r} and {out_scale!r} are too far apart for RSQRT")
    mult, shift = quantize_multiplier(1.0 / float(root))
    data = _inverse_roots()
    if shift - _RSQRT_SHIFT < -31 or int(data.max()) << max(shift - _RSQRT_SHIFT, 0) >= 2**31:
        raise QuantError(f"scales {in_scale!r} and {out_scale!r} are too far apart for RSQRT")
    of_value = clamp_int8(requantize(data, mult, shift - _RSQRT_SHIFT) + out_zp)
    value = CODES - in_zp
    return np.where(value > 0, of_value[np.maximum(value, 1) - 1], 127).astype(np.int8)


@cache
def _inverse_roots() -> Int64Array:
    """1 / sqrt(value) for each value from 1 to 255, times 2**_RSQRT_SHIFT."""
    roots = [inverse_sqrt(value) for value in range(1, 256)]
    return np.array([int(requantize(1, m, s + _RSQRT_SHIFT)) for m, s in roots])


def abs_table(in_scale: float, in_zp: int, out_scale: float, out_zp: int) -> Table:
    """ABS; a multiplier only where the scales differ.

    Source: AbsEvalQuantized in TensorFlow Lite, kernels/elementwise.cc.
    """
    magnitude = np.abs(CODES - in_zp)
    if in_scale != out_scale:
        magnitude = _scaled(magnitude, *relu_multiplier(in_scale, out_scale))
    return clamp_int8(magnitude + out_zp)


def neg_table() -> Table:
    """NEG of stored values; -128 stays. The reference looks at no scale and no zero point.

    Source: Negate in TensorFlow Lite, kernels/internal/reference/neg.h.
    """
    return (-CODES).astype(np.int8)


def leaky_relu_table(alpha: float, in_scale: float, in_zp: int, out_scale: float, out_zp: int) -> Table:
    """LEAKY_RELU: one multiplier above zero, another one below.

    Raises:
        QuantError: a multiplier is out of range.
    Source: QuantizeLeakyRelu in TensorFlow Lite, kernels/internal/reference/leaky_relu.h; LeakyReluPrepare in
        kernels/activations.cc.
    """
    with np.errstate(over="ignore", under="ignore"):
        slope = float32_quotient(float(np.float32(in_scale) * np.float32(alpha)), out_scale)
    value = CODES - in_zp
    above = _scaled(value, *relu_multiplier(in_scale, out_scale))
    below = _scaled(value, *quantize_multiplier(abs(slope))) if slope else np.zeros_like(value)
    return clamp_int8(np.where(value >= 0, above, -below if slope < 0 else below) + out_zp)


def _scaled(values: Int64Array, mult: int, shift: int) -> Int64Array:
    if 256 << max(shift, 0) >= 2**31 - 256:
        raise QuantError(f"the scales differ by 2**{shift}: int32 overflows")
    return requantize(values, mult, shift)


def _high_mul16(a: Int64Array, b: int) -> Int64Array:
    """a * b / 2**15, halves up, of int16 values."""
    product: Int64Array = np.minimum((a * b + (1 << 14)) >> 15, 2**15 - 1)
    return product


def _int16_multiplier(scale: float) -> tuple[int, int]:
    """A Q15 multiplier and a shift. Source: DownScaleInt32ToInt16Multiplier in kernels/internal/common.h."""
    mult, shift = quantize_multiplier(scale)
    return min((mult + (1 << 15)) >> 16, 2**15 - 1), shift


def hard_swish_table(in_scale: float, in_zp: int, out_scale: float, out_zp: int) -> Table:
    """HARD_SWISH: x * clamp(x / 6 + 1/2, 0, 1) in int16 fixed point.

    Raises:
        QuantError: the reference refuses the scales (the output's is below 1/128 of the input's) or shifts by more than
            15 bits.
    Source: HardSwish in TensorFlow Lite, kernels/internal/reference/hard_swish.h; HardSwishPrepare in
        kernels/activations.cc.
    """
    fine = float(np.float32(1.0 / 128) * np.float32(in_scale))
    out_mult, out_shift = _int16_multiplier(float32_quotient(fine, out_scale))
    mult, shift = _int16_multiplier(float32_quotient(fine, float(np.float32(3.0) / np.float32(32768.0))))
    if not -15 <= out_shift <= 0 or not -15 <= shift <= MAX_SHIFT:
        raise QuantError(f"HARD_SWISH of input scale {in_scale!r} and output scale {out_scale!r} has no 16-bit form")
    value = (CODES - in_zp) << 7
    gate = _saturated16(value, shift - 1) if shift > 0 else value
    gate = _high_mul16(gate, mult)
    gate = _saturated16(gate, 1) if shift > 0 else rounding_divide_by_pot(gate, -shift)
    gate = (gate + (1 << 15)) >> 1
    product = gate * _high_mul16(value, out_mult)
    raw = np.sign(product) * (np.abs(product) >> 15)  # toward zero
    return clamp_int8(rounding_divide_by_pot(raw, -out_shift) + out_zp)


def _saturated16(values: Int64Array, bits: int) -> Int64Array:
    shifted: Int64Array = saturating_shift_left(values << 16, bits) >> 16
    return shifted
