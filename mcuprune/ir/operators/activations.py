"""Activations: ReLU and its kin, and softmax. Other functions of one input: tables.py."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import SoftmaxAttrs
from mcuprune.ir.graph import DType, Graph, Op, Tensor
from mcuprune.ir.operators.checks import (
    broadcast,
    data_input,
    left_shift_fits,
    one_type,
    present,
    quantized,
    shape_is,
)
from mcuprune.ir.operators.operator import Array, Int8, Operator, same_channels
from mcuprune.ir.rescale import quant_of
from mcuprune.numerics import (
    activation_range,
    clamp_int8,
    exp_on_negative_values,
    product_multiplier,
    quantize_multiplier,
    reciprocal_of_one_plus,
    relu_multiplier,
    requantize,
    rounding_divide_by_pot,
    rounding_doubling_high_mul,
    softmax_parameters,
)
from mcuprune.numerics.functions16 import softmax16

Int64 = npt.NDArray[np.int64]


MAX_SOFTMAX_COLUMNS = 4095  # the fixed-point sum holds fewer than 4096 ones
SOFTMAX_OUTPUTS = {DType.INT8: (1.0 / 256, -128), DType.INT16: (1.0 / 65536, -32768)}  # of int8: scale, zero point
MAX_SOFTMAX16_COLUMNS = 2**16 - 1  # a sum of as many Q15 ones fits in int32
SOFTMAX16_SCALE = 1.0 / 32768


def _check_relu(graph: Graph, op: Op) -> None:
    data, output = present(graph, op), graph.output_of(op)
    dtype = one_type(data, output)
    if dtype is DType.INT16 and op.kind not in ("RELU", "RELU6"):
        raise ModelError(f"{op.kind} of int16 is not supported, only int8")
    shape_is(output, data.shape)
    relu_range(graph, op)
    low, high = dtype.limits
    left_shift_fits(relu_multiplier(quant_of(data).scale, quant_of(output).scale)[1], high - low + 1)


def relu_range(graph: Graph, op: Op) -> tuple[int, int]:
    """Smallest and largest output."""
    output = graph.output_of(op)
    quant = quant_of(output)
    return activation_range(quant.scale, quant.zero_point, op.kind, output.dtype.limits)


def relu(graph: Graph, op: Op, data: Array) -> Array:
    """RELU and its kin; the quotient of the scales is rounded to float32 before it becomes a multiplier.

    Source: ReluPrepare and QuantizedReluX in TensorFlow Lite, kernels/activations.cc.
    """
    in_q, out_q = quant_of(present(graph, op)), quant_of(graph.output_of(op))
    mult, shift = relu_multiplier(in_q.scale, out_q.scale)
    stored = requantize(data.astype(np.int64) - in_q.zero_point, mult, shift) + out_q.zero_point
    return np.clip(stored, *relu_range(graph, op)).astype(data.dtype)


def _check_prelu(graph: Graph, op: Op) -> None:
    data, slope, output = data_input(graph, op), graph.input_of(op, 1), graph.output_of(op)
    if slope is None:
        raise ModelError("the slopes are absent")
    quantized(slope)
    quantized(output)
    broadcast(graph, op)
    shape_is(output, data.shape)
    above, below = _prelu_multipliers(graph, op)
    left_shift_fits(above[1], 256)
    left_shift_fits(below[1], 255 * 255)


def _prelu_multipliers(graph: Graph, op: Op) -> tuple[tuple[int, int], tuple[int, int]]:
    """Of values from zero on, and of products below zero."""
    data, slope = (quant_of(graph.tensors[i]) for i in op.inputs)
    out_scale = quant_of(graph.output_of(op)).scale
    return relu_multiplier(data.scale, out_scale), product_multiplier(data.scale, slope.scale, out_scale)


def prelu(graph: Graph, op: Op, data: Int8, slope: Int8) -> Int8:
    """PRELU: below zero times a slope that is broadcast.

    Source: Prelu in TensorFlow Lite, kernels/internal/reference/prelu.h; PreluPrepare in kernels/activations.cc.
    """
    in_q, slope_q = (quant_of(graph.tensors[i]) for i in op.inputs)
    above, below = _prelu_multipliers(graph, op)
    value = data.astype(np.int64) - in_q.zero_point
    product = value * (slope.astype(np.int64) - slope_q.zero_point)
    stored = np.where(value >= 0, requantize(value, *above), requantize(product, *below))
    return clamp_int8(stored + quant_of(graph.output_of(op)).zero_point)


def _check_softmax(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, SoftmaxAttrs)
    data, output = present(graph, op), graph.output_of(op)
    shape_is(output, data.shape)
    if data.dtype is DType.INT16:
        one_type(data, output)
        _check_softmax16(data, output)
        softmax16_multiplier(op.attrs.beta, quant_of(data).scale)
        return
    quantized(data)
    quantized(output, *SOFTMAX_OUTPUTS)
    quant, (scale, zero_point) = quant_of(output), SOFTMAX_OUTPUTS[output.dtype]
    if abs(quant.scale - scale) > 0.001 * scale or quant.zero_point != zero_point:
        needs = f"output scale 1/{round(1 / scale)} and zero point {zero_point}"
        raise ModelError(f"softmax needs {needs}, got {quant.scale}, {quant.zero_point}")
    if not data.shape or data.shape[-1] > MAX_SOFTMAX_COLUMNS:
        raise ModelError(f"softmax over shape {data.shape}, at most {MAX_SOFTMAX_COLUMNS} columns are supported")
    softmax_parameters(op.attrs.beta, quant_of(data).scale)


def _check_softmax16(data: Tensor, output: Tensor) -> None:
    scale = quant_of(output).scale
    if abs(scale - SOFTMAX16_SCALE) > 0.001 * SOFTMAX16_SCALE:
        raise ModelError(f"softmax of int16 needs output scale 1/32768, got {scale}")
    if not data.shape or data.shape[-1] > MAX_SOFTMAX16_COLUMNS:
        raise ModelError(f"softmax over shape {data.shape}, at most {MAX_SOFTMAX16_COLUMNS} columns are supported")


def softmax16_multiplier(beta: float, in_scale: float) -> tuple[int, int]:
    """Multiplier and shift to steps of 10 / 65535.

    Source: SoftmaxPrepare in TensorFlow Lite, kernels/activations.cc.
    """
    with np.errstate(over="ignore", under="ignore"):
        real = float(np.float32(in_scale) * np.float32(beta))
    mult, shift = quantize_multiplier(real / (10.0 / 65535.0))
    left_shift_fits(shift, 2**16)
    return mult, shift


def _bit_length(values: Int64) -> Int64:
    """Bits of positive int32 values."""
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)


def softmax(graph: Graph, op: Op, data: Array) -> Array:
    """SOFTMAX over the last dimension in fixed point.

    A row of int8 whose exponentials sum to 512 or more gives -128; the reference aborts there.
    Source: Softmax and SoftmaxInt16 in TensorFlow Lite, kernels/internal/reference/softmax.h.
    """
    assert isinstance(op.attrs, SoftmaxAttrs)
    in_scale = quant_of(present(graph, op)).scale
    rows = data.reshape(-1, data.shape[-1]).astype(np.int64)
    difference = rows - rows.max(axis=1, keepdims=True)
    if data.dtype == np.int16:
        scaled = requantize(difference, *softmax16_multiplier(op.attrs.beta, in_scale))
        return softmax16(scaled).reshape(data.shape)
    params = softmax_parameters(op.attrs.beta, in_scale)
    counted = difference >= params.diff_min
    scaled = rounding_doubling_high_mul(np.where(counted, difference, 0) << params.shift, params.mult)
    exps = np.where(counted, exp_on_negative_values(scaled), 0)
    total = rounding_divide_by_pot(exps, 12).sum(axis=1, keepdims=True)  # Q12.19
    leading_zeros = 32 - _bit_length(total)
    reciprocal = reciprocal_of_one_plus((total << leading_zeros) - (1 << 31))
    limits = np.iinfo(graph.output_of(op).dtype.numpy)
    exponent = 12 - leading_zeros + 31 - limits.bits
    product = rounding_doubling_high_mul(reciprocal, exps)
    out = rounding_divide_by_pot(product, np.minimum(exponent, 31)) + limits.min
    out = np.where(counted & (exponent <= 31), out, limits.min)
    return np.clip(out, limits.min, limits.max).astype(limits.dtype).reshape(data.shape)


OPERATORS: Mapping[str, Operator] = {
    "PRELU": Operator(_check_prelu, prelu, 2, same_channels),
    "RELU": Operator(_check_relu, relu, carried=same_channels),
    "RELU6": Operator(_check_relu, relu, carried=same_channels),
    "RELU_0_TO_1": Operator(_check_relu, relu, carried=same_channels),
    "RELU_N1_TO_1": Operator(_check_relu, relu, carried=same_channels),
    "SOFTMAX": Operator(_check_softmax, softmax),
}
