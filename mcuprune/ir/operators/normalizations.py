"""Operators that scale every row (the last dimension) by a number out of that row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mcuprune.errors import ModelError
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.operators.checks import data_input, quantized, shape_is
from mcuprune.ir.operators.operator import Int8, Operator
from mcuprune.ir.rescale import quant_of
from mcuprune.numerics import (
    clamp_int8,
    exp_on_negative_values,
    inverse_sqrt,
    log_of_sum,
    log_softmax_reverse,
    requantize,
    rounding_divide_by_pot,
    softmax_parameters,
)

MAX_NORM_COLUMNS = 2**29 // 255**2  # squares that the inverse root takes
MAX_LOG_SOFTMAX_COLUMNS = 4095  # the fixed-point sum holds fewer than 4096 ones


def _check_rows(graph: Graph, op: Op, columns: int, scale: float, zero_point: int) -> None:
    data, output = data_input(graph, op), graph.output_of(op)
    quantized(output)
    shape_is(output, data.shape)
    quant = quant_of(output)
    if quant.scale != scale or quant.zero_point != zero_point:
        wanted = f"scale {scale} and zero point {zero_point}"
        raise ModelError(f"the output needs {wanted}, it has {quant.scale} and {quant.zero_point}")
    if not data.shape or data.shape[-1] > columns:
        raise ModelError(f"rows of shape {data.shape}, at most {columns} columns are supported")


def _check_norm(graph: Graph, op: Op) -> None:
    _check_rows(graph, op, MAX_NORM_COLUMNS, 1.0 / 128, 0)


def l2_normalization(graph: Graph, op: Op, data: Int8) -> Int8:
    """L2_NORMALIZATION: a row by the inverse root of its squares' sum.

    Source: L2Normalization in TensorFlow Lite, kernels/internal/reference/integer_ops/l2normalization.h.
    """
    source = graph.input_of(op)
    assert source is not None
    rows = data.reshape(-1, data.shape[-1]).astype(np.int64) - quant_of(source).zero_point
    pairs = [inverse_sqrt(int(total)) for total in (rows**2).sum(axis=1)]
    mult, shift = (np.array(part)[:, None] for part in zip(*pairs, strict=True))
    return clamp_int8(requantize(rows, mult, shift + 7)).reshape(data.shape)


def _check_log_softmax(graph: Graph, op: Op) -> None:
    _check_rows(graph, op, MAX_LOG_SOFTMAX_COLUMNS, 16.0 / 256, 127)
    log_softmax_reverse(softmax_parameters(1.0, quant_of(data_input(graph, op)).scale))


def log_softmax(graph: Graph, op: Op, data: Int8) -> Int8:
    """LOG_SOFTMAX over the last dimension in fixed point.

    Source: LogSoftmax in TensorFlow Lite, kernels/internal/reference/integer_ops/log_softmax.h.
    """
    source = graph.input_of(op)
    assert source is not None
    params = softmax_parameters(1.0, quant_of(source).scale)
    rows = data.reshape(-1, data.shape[-1]).astype(np.int64)
    difference = rows - rows.max(axis=1, keepdims=True)
    counted = difference >= params.diff_min
    scaled = requantize(np.where(counted, difference, 0), params.mult, params.shift)
    exps = np.where(counted, rounding_divide_by_pot(exp_on_negative_values(scaled), 12), 0)
    log_sum = log_of_sum(exps.sum(axis=1, keepdims=True))
    smallest = np.maximum(params.diff_min - 1, requantize(log_sum - 2**31, *log_softmax_reverse(params)))
    out = rounding_divide_by_pot(scaled - log_sum, 22) + 127
    return clamp_int8(np.where(difference > smallest, out, -128)).reshape(data.shape)


OPERATORS: Mapping[str, Operator] = {
    "L2_NORMALIZATION": Operator(_check_norm, l2_normalization),
    "LOG_SOFTMAX": Operator(_check_log_softmax, log_softmax),
}
