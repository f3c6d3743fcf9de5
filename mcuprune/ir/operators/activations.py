"""Activations: ReLU and its kin, and softmax. Other functions of one input: tables.py."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import SoftmaxAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.operators.checks import broadcast, data_input, left_shift_fits, quantized, shape_is
from mcuprune.ir.operators.operator import Int8, Operator, same_channels
from mcuprune.ir.rescale import quant_of
from mcuprune.numerics import (
    activation_range,
    clamp_int8,
    exp_on_negative_values,
    product_multiplier,
    reciprocal_of_one_plus,
    relu_multiplier,
    requantize,
    rounding_divide_by_pot,
    rounding_doubling_high_mul,
    softmax_parameters,
)

Int64 = npt.NDArray[np.int64]


MAX_SOFTMAX_COLUMNS = 4095  # the fixed-point sum holds fewer than 4096 ones
SOFTMAX_SCALE = 1.0 / 256


def _check_relu(graph: Graph, op: Op) -> None:
    data, output = data_input(graph, op), graph.output_of(op)
    quantized(output)
    shape_is(output, data.shape)
    out_q = quant_of(output)
    activation_range(out_q.scale, out_q.zero_point, op.kind)
    left_shift_fits(relu_multiplier(quant_of(data).scale, out_q.scale)[1], 256)


def relu(graph: Graph, op: Op, data: Int8) -> Int8:
    """RELU and its kin; the quotient of the scales is rounded to float32 before it becomes a multiplier.

    Source: ReluPrepare and QuantizedReluX in TensorFlow Lite, kernels/activations.cc.
    """
    source = graph.input_of(op)
    assert source is not None
    in_q, out_q = quant_of(source), quant_of(graph.output_of(op))
    mult, shift = relu_multiplier(in_q.scale, out_q.scale)
    low, high = activation_range(out_q.scale, out_q.zero_point, op.kind)
    return clamp_int8(requantize(data.astype(np.int64) - in_q.zero_point, mult, shift) + out_q.zero_point, low, high)


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
    data, output = data_input(graph, op), graph.output_of(op)
    quantized(output)
    shape_is(output, data.shape)
    quant = quant_of(output)
    if abs(quant.scale - SOFTMAX_SCALE) > 0.001 * SOFTMAX_SCALE or quant.zero_point != -128:
        raise ModelError(f"softmax needs output scale 1/256 and zero point -128, got {quant.scale}, {quant.zero_point}")
    if not data.shape or data.shape[-1] > MAX_SOFTMAX_COLUMNS:
        raise ModelError(f"softmax over shape {data.shape}, at most {MAX_SOFTMAX_COLUMNS} columns are supported")
    softmax_parameters(op.attrs.beta, quant_of(data).scale)


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


OPERATORS: Mapping[str, Operator] = {
    "PRELU": Operator(_check_prelu, prelu, 2, same_channels),
    "RELU": Operator(_check_relu, relu, carried=same_channels),
    "RELU6": Operator(_check_relu, relu, carried=same_channels),
    "RELU_0_TO_1": Operator(_check_relu, relu, carried=same_channels),
    "RELU_N1_TO_1": Operator(_check_relu, relu, carried=same_channels),
    "SOFTMAX": Operator(_check_softmax, softmax),
}
