"""Meaning of the operators without weights: softmax, add, mean, pad, relu, quantize, dequantize, reshape."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.ir.graph import AddAttrs, Graph, MeanAttrs, Op, PadAttrs, SoftmaxAttrs
from mcuprune.ir.rescale import quant_of
from mcuprune.numerics import (
    activation_range,
    add_parameters,
    clamp_int8,
    exp_on_negative_values,
    mean_parameters,
    quantize_multiplier,
    reciprocal_of_one_plus,
    relu_multiplier,
    requantize,
    rounding_divide_by_pot,
    rounding_doubling_high_mul,
    softmax_parameters,
)

Int8 = npt.NDArray[np.int8]
Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]


def _bit_length(values: Int64) -> Int64:
    """Bits of positive int32 values."""
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)


def softmax(graph: Graph, op: Op, data: Int8) -> Int8:
    """SOFTMAX over the last dimension in fixed point; a row whose exponentials sum to 512 or more gives -128.

    The reference aborts on such a row.
    Source: Softmax in TensorFlow Lite, kernels/internal/reference/softmax.h.
    """
    assert isinstance(op.attrs, SoftmaxAttrs)
    source = graph.input_of(op)
    assert source is not None
    params = softmax_parameters(op.attrs.beta, quant_of(source).scale)
    rows = data.reshape(-1, data.shape[-1]).astype(np.int64)
    difference = rows - rows.max(axis=1, keepdims=True)
    counted = difference >= params.diff_min
    scaled = rounding_doubling_high_mul(np.where(counted, difference, 0) << params.shift, params.mult)
    exps = np.where(counted, exp_on_negative_values(scaled), 0)
    total = rounding_divide_by_pot(exps, 12).sum(axis=1, keepdims=True)  # Q12.19
    leading_zeros = 32 - _bit_length(total)
    reciprocal = reciprocal_of_one_plus((total << leading_zeros) - (1 << 31))
    exponent = 12 - leading_zeros + 23
    product = rounding_doubling_high_mul(reciprocal, exps)
    out = rounding_divide_by_pot(product, np.minimum(exponent, 31)) - 128
    return clamp_int8(np.where(counted & (exponent <= 31), out, -128)).reshape(data.shape)


def add(graph: Graph, op: Op, first: Int8, second: Int8) -> Int8:
    """ADD with broadcast and a fused activation.

    Source: AddFunc in TensorFlow Lite, kernels/internal/reference/integer_ops/add.h.
    """
    assert isinstance(op.attrs, AddAttrs)
    q1, q2 = (quant_of(graph.tensor(i)) for i in op.inputs)
    out_q = quant_of(graph.output_of(op))
    p = add_parameters(q1.scale, q2.scale, out_q.scale)
    a = requantize((first.astype(np.int64) - q1.zero_point) << p.left_shift, p.mult1, p.shift1)
    b = requantize((second.astype(np.int64) - q2.zero_point) << p.left_shift, p.mult2, p.shift2)
    low, high = activation_range(out_q.scale, out_q.zero_point, op.attrs.activation.value)
    return clamp_int8(requantize(a + b, p.out_mult, p.out_shift) + out_q.zero_point, low, high)


def mean(graph: Graph, op: Op, data: Int8) -> Int8:
    """MEAN over some dimensions; the division is part of the multiplier.

    Source: QuantizedMeanOrSum in TensorFlow Lite, kernels/internal/reference/reduce.h.
    """
    assert isinstance(op.attrs, MeanAttrs)
    source = graph.input_of(op)
    assert source is not None
    in_q, out_q = quant_of(source), quant_of(graph.output_of(op))
    total = data.astype(np.int64).sum(axis=op.attrs.axes, dtype=np.int64)
    count = data.size // total.size
    p = mean_parameters(in_q.scale, out_q.scale, count)
    values = requantize(total - in_q.zero_point * count, p.mult, p.shift) + out_q.zero_point
    return clamp_int8(values).reshape(graph.output_of(op).shape)


def pad(graph: Graph, op: Op, data: Int8) -> Int8:
    """PAD with the output's zero point.

    Source: Eval in TensorFlow Lite, kernels/pad.cc.
    """
    assert isinstance(op.attrs, PadAttrs)
    widths = tuple(zip(op.attrs.before, op.attrs.after, strict=True))
    return np.pad(data, widths, constant_values=quant_of(graph.output_of(op)).zero_point)


def reshape(graph: Graph, op: Op, data: Int8) -> Int8:
    """RESHAPE: the same values in another shape."""
    return data.reshape(graph.output_of(op).shape)


def relu(graph: Graph, op: Op, data: Int8) -> Int8:
    """RELU and RELU6; the quotient of the scales is rounded to float32 before it becomes a multiplier.

    Source: ReluPrepare and QuantizedReluX in TensorFlow Lite, kernels/activations.cc.
    """
    source = graph.input_of(op)
    assert source is not None
    in_q, out_q = quant_of(source), quant_of(graph.output_of(op))
    mult, shift = relu_multiplier(in_q.scale, out_q.scale)
    low, high = activation_range(out_q.scale, out_q.zero_point, op.kind)
    return clamp_int8(requantize(data.astype(np.int64) - in_q.zero_point, mult, shift) + out_q.zero_point, low, high)


def quantize(graph: Graph, op: Op, data: npt.NDArray[Any]) -> Int8:
    """QUANTIZE, from float32 or from another int8 scale.

    Source: AffineQuantize and Requantize in TensorFlow Lite, kernels/internal/reference/quantize.h and requantize.h.
    """
    source, out_q = graph.input_of(op), quant_of(graph.output_of(op))
    assert source is not None
    if data.dtype == np.float32:
        return quantize_float(data, out_q.scale, out_q.zero_point)
    in_q = quant_of(source)
    mult, shift = quantize_multiplier(in_q.scale / out_q.scale)
    return clamp_int8(requantize(data.astype(np.int64) - in_q.zero_point, mult, shift) + out_q.zero_point)


def quantize_float(data: npt.NDArray[np.floating], scale: float, zero_point: int) -> Int8:
    """clamp(round(x / scale) + zero_point) with a float32 quotient, halves away from zero.

    A quotient that is NaN or outside of int32 gives 127 for a negative zero point, else -128: what the reference
    does on x86-64 (C++ leaves it undefined; the conversion gives -2**31, and adding the zero point wraps).
    Source: AffineQuantize in TensorFlow Lite, kernels/internal/reference/quantize.h.
    """
    with np.errstate(all="ignore"):
        quotient = data.astype(np.float32) / np.float32(scale)
        whole = np.trunc(quotient)
        rounded = whole + np.copysign((np.abs(quotient - whole) >= 0.5).astype(np.float32), quotient)
        usable = (rounded >= -(2.0**31)) & (rounded < 2.0**31)
    stored = np.where(usable, rounded, -(2.0**31)).astype(np.int64) + zero_point
    return clamp_int8((stored + 2**31) % 2**32 - 2**31)


def dequantize(graph: Graph, op: Op, data: Int8) -> Float32:
    """DEQUANTIZE: scale * (q - zero_point) in double, rounded once to float32.

    Source: Dequantize in TensorFlow Lite, kernels/internal/reference/dequantize.h.
    """
    source = graph.input_of(op)
    assert source is not None
    q = quant_of(source)
    return (q.scale * (data.astype(np.float64) - q.zero_point)).astype(np.float32)
