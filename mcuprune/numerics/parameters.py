"""Scalars that the host prepares for an operator: multipliers, ranges, softmax, add and mean parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mcuprune.errors import QuantError

INT8_MIN = -128
INT8_MAX = 127
FLOAT32_MAX = float(np.finfo(np.float32).max)
MAX_SHIFT = 30  # what the firmware's requantization takes


def quantize_multiplier(scale: float) -> tuple[int, int]:
    """Write a positive real scale as a Q31 multiplier and a power-of-two shift.

    scale = multiplier * 2**(shift - 31) to a relative 2**-31; scales below 2**-32 flush to (0, 0).

    Args:
        scale: input_scale * weight_scale / output_scale of one output channel.
    Raises:
        QuantError: scale is zero, negative, infinite or NaN, or 2**30 and more.
    Source: QuantizeMultiplier in TensorFlow Lite, kernels/internal/quantization_util.cc.
    """
    if not 0.0 < scale < math.inf:
        raise QuantError(f"scale {scale!r} is not a positive number", hint="calibrate with more samples")
    mantissa, shift = math.frexp(scale)
    multiplier = math.floor(mantissa * 2**31 + 0.5)  # half goes up, as in TFLite; round() goes to even
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    if shift > MAX_SHIFT:
        raise QuantError(f"scale {scale!r} is not below 2**{MAX_SHIFT}", hint="calibrate with more samples")
    return (multiplier, shift) if shift >= -31 else (0, 0)


def float32_quotient(a: float, b: float) -> float:
    """a / b as C's float division gives it; infinite where it overflows."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.float32(a) / np.float32(b))


def relu_multiplier(in_scale: float, out_scale: float) -> tuple[int, int]:
    """Multiplier and shift of RELU and its kin: the quotient of the scales is rounded to float32 first.

    Raises:
        QuantError: the quotient is out of range.
    Source: ReluPrepare in TensorFlow Lite, kernels/activations.cc.
    """
    return quantize_multiplier(float32_quotient(in_scale, out_scale))


def _quantize_bound(real: float, scale: float, zero_point: int) -> int:
    """A bound of an activation as a stored value: zero_point + round(real / scale), float32, halves away from zero."""
    quotient = float32_quotient(real, scale)
    if not abs(quotient) < 2**31:
        raise QuantError(f"output scale {scale!r} is too small for an activation bound of {real}")
    return zero_point + int(math.copysign(math.floor(abs(quotient) + 0.5), quotient))


def activation_range(
    scale: float, zero_point: int, activation: str, limits: tuple[int, int] = (INT8_MIN, INT8_MAX)
) -> tuple[int, int]:
    """Smallest and largest value that an operator with a fused activation writes.

    Args:
        scale, zero_point: quantization of the output.
        activation: NONE, RELU, RELU6, RELU_N1_TO_1 or RELU_0_TO_1.
        limits: of the output's type.
    Raises:
        QuantError: a bound does not fit in int32.
    Source: CalculateActivationRangeQuantized in TensorFlow Lite, kernels/kernel_util.cc.
    """
    low, high = limits
    if activation in ("RELU", "RELU6", "RELU_0_TO_1"):
        low = max(low, _quantize_bound(0.0, scale, zero_point))
    if activation == "RELU6":
        high = min(high, _quantize_bound(6.0, scale, zero_point))
    if activation == "RELU_N1_TO_1":
        low = max(low, _quantize_bound(-1.0, scale, zero_point))
    if activation in ("RELU_N1_TO_1", "RELU_0_TO_1"):
        high = min(high, _quantize_bound(1.0, scale, zero_point))
    return low, high


@dataclass(frozen=True, slots=True)
class SoftmaxParameters:
    """Input multiplier (Q31) with its left shift, and the smallest difference from the maximum that still counts."""

    mult: int
    shift: int
    diff_min: int


def softmax_parameters(beta: float, input_scale: float) -> SoftmaxParameters:
    """Parameters of the int8 softmax; differences from the row's maximum are scaled to Q5.26.

    Raises:
        QuantError: beta * input_scale is 2**-26 or less (the reference aborts), or not a number.
    Source: PreprocessSoftmaxScaling and CalculateInputRadius in TensorFlow Lite, kernels/internal/quantization_util.cc.
    """
    real = beta * input_scale * 2.0**26
    if not 1.0 < real < math.inf:
        raise QuantError(f"softmax of beta {beta!r} and input scale {input_scale!r} has no fixed-point form")
    mantissa, shift = math.frexp(min(real, 2.0**31 - 1.0))
    mult = math.floor(mantissa * 2**31 + 0.5)  # quantize_multiplier() stops at shift 30; 31 is allowed here
    if mult == 2**31:
        mult, shift = 2**30, shift + 1
    return SoftmaxParameters(mult, shift, -math.floor(31 * 2**26 / 2**shift))


@dataclass(frozen=True, slots=True)
class AddParameters:
    """ADD, SUB, SQUARED_DIFFERENCE: both inputs go to twice the larger scale, what they give to the output's."""

    mult1: int
    shift1: int
    mult2: int
    shift2: int
    out_mult: int
    out_shift: int
    left_shift: int


def add_parameters(scale1: float, scale2: float, out_scale: float, left_shift: int = 20) -> AddParameters:
    """Multipliers of ADD and SUB; left_shift: bits behind the point, 20 of int8, 15 of int16.

    Raises:
        QuantError: the output scale is so small that the output multiplier is 1 or more (the reference of ADD aborts,
            that of SUB shifts by a negative number), or an input's multiplier underflows.
    Source: Prepare in TensorFlow Lite, kernels/add.cc; PrepareGeneralSubOp in kernels/sub.cc.
    """
    return _on_twice_the_larger(scale1, scale2, out_scale, 1, left_shift)


def squared_difference_parameters(scale1: float, scale2: float, out_scale: float) -> AddParameters:
    """Multipliers of an int8 SQUARED_DIFFERENCE.

    Raises:
        QuantError: as add_parameters().
    Source: Prepare in TensorFlow Lite, kernels/squared_difference.cc.
    """
    return _on_twice_the_larger(scale1, scale2, out_scale, 2, 7)


def _on_twice_the_larger(scale1: float, scale2: float, out_scale: float, power: int, left_shift: int) -> AddParameters:
    """power: of the sum or difference that is scaled to the output, 1 or 2."""
    twice_max = 2.0 * max(scale1, scale2)
    denominator = 2.0 ** (left_shift * power) * out_scale
    reals = (scale1 / twice_max, scale2 / twice_max, twice_max**power / denominator)
    fitting = all(0.0 < real < 1.0 for real in reals) and max(twice_max, denominator) <= FLOAT32_MAX
    pairs = [quantize_multiplier(real) for real in reals] if fitting else []
    if not fitting or any(shift > 0 for _, shift in pairs):
        raise QuantError(
            f"inputs of scales {scale1!r} and {scale2!r} cannot be written with output scale {out_scale!r}"
        )
    (mult1, shift1), (mult2, shift2), (out_mult, out_shift) = pairs
    return AddParameters(mult1, shift1, mult2, shift2, out_mult, out_shift, left_shift)


def power_of_two(scale: float) -> int | None:
    """The exponent of a scale that is a power of two, to 1e-3 of it; None where it is none.

    Source: CheckedLog2 in TensorFlow Lite, kernels/internal/quantization_util.cc.
    """
    log2 = np.log(np.float32(scale)) * (np.float32(1) / np.log(np.float32(2)))
    exponent = math.floor(float(log2) + 0.5)
    return exponent if abs(log2 - np.float32(exponent)) < np.float32(1e-3) else None


def product_multiplier(scale1: float, scale2: float, out_scale: float) -> tuple[int, int]:
    """Multiplier and shift of a product of two stored values: scale1 * scale2 / out_scale, each step in float32.

    Raises:
        QuantError: the result is out of range.
    Source: Prepare in TensorFlow Lite, kernels/mul.cc; PreluPrepare in kernels/activations.cc.
    """
    with np.errstate(over="ignore", under="ignore"):
        product = float(np.float32(scale1) * np.float32(scale2))
    return quantize_multiplier(float32_quotient(product, out_scale))


def log_softmax_reverse(params: SoftmaxParameters) -> tuple[int, int]:
    """Multiplier and shift (left is positive) from Q5.26 back to the input's steps, of an int8 LOG_SOFTMAX.

    Raises:
        QuantError: the input scale is so small that the reference aborts.
    Source: PreprocessLogSoftmaxScalingExp in TensorFlow Lite, kernels/internal/quantization_util.cc.
    """
    real = 2.0 ** (31 - params.shift) / params.mult
    if not real < 1.0:
        raise QuantError("a log-softmax of an input scale this small has no fixed-point form")
    return quantize_multiplier(real)


def quotient_multiplier(scale1: float, scale2: float, out_scale: float) -> tuple[int, int]:
    """Multiplier and shift of a quotient of two int8 values: scale1 / (scale2 * out_scale), each step in float32.

    Raises:
        QuantError: the shift is not in 7..23: the reference would shift by more than 31 bits or a negative number.
    Source: Prepare in TensorFlow Lite, kernels/div.cc.
    """
    with np.errstate(over="ignore", under="ignore"):
        product = float(np.float32(scale2) * np.float32(out_scale))
    mult, shift = quantize_multiplier(float32_quotient(scale1, product) if product else math.inf)
    if not 7 <= shift <= 23:
        raise QuantError(f"a quotient of scales {scale1!r} and {scale2!r} cannot be written with scale {out_scale!r}")
    return mult, shift


@dataclass(frozen=True, slots=True)
class MeanParameters:
    """MEAN: multiplier (2**29 and more, below 2**31, or 0) and shift of the sum of `count` elements."""

    mult: int
    shift: int
    count: int


def mean_parameters(in_scale: float, out_scale: float, count: int) -> MeanParameters:
    """Multiplier and shift of an int8 MEAN over `count` elements; the division by count is folded in.

    Raises:
        QuantError: the scales' ratio is out of range.
    Source: PrepareMeanOrSum and QuantizedMeanOrSum in TensorFlow Lite, kernels/reduce.cc, internal/reference/reduce.h.
    """
    mult, shift = quantize_multiplier(in_scale / out_scale)
    extra = min(count.bit_length() - 1, 32, 31 + shift)
    return MeanParameters((mult << extra) // count, shift - extra, count)
