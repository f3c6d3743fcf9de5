"""Reductions over some dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import ArgAttrs, ReduceAttrs
from mcuprune.ir.graph import DType, Graph, Op, Tensor
from mcuprune.ir.operators.checks import data_input, left_shift_fits, quantized, same_quant, shape_is
from mcuprune.ir.operators.operator import Channels, Int8, Operator, same_channels
from mcuprune.ir.rescale import quant_of
from mcuprune.ir.shapes import reduced_shape
from mcuprune.numerics import MeanParameters, clamp_int8, mean_parameters, quantize_multiplier, requantize

MAX_SUM_COUNT = 2**22  # sums of int8 stay inside of int32


def sum_parameters(graph: Graph, op: Op) -> MeanParameters:
    """What MEAN and SUM multiply their sums by, and how many elements each sum has."""
    source, output = graph.input_of(op), graph.output_of(op)
    assert source is not None
    count = source.size // output.size
    in_scale, out_scale = quant_of(source).scale, quant_of(output).scale
    if op.kind == "MEAN":
        return mean_parameters(in_scale, out_scale, count)
    return MeanParameters(*quantize_multiplier(in_scale / out_scale), count)


def _check_reduce(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, ReduceAttrs)
    data, output = data_input(graph, op), graph.output_of(op)
    quantized(output)
    shape_is(output, reduced_shape(data.shape, op.attrs.axes, op.attrs.keep_dims))


def _check_sum(graph: Graph, op: Op) -> None:
    _check_reduce(graph, op)
    source, output = graph.input_of(op), graph.output_of(op)
    assert source is not None
    count = source.size // output.size
    if count > MAX_SUM_COUNT:
        raise ModelError(f"a sum of {count} elements, at most {MAX_SUM_COUNT} are supported")
    left_shift_fits(sum_parameters(graph, op).shift, 256 * count)


def mean_or_sum(graph: Graph, op: Op, data: Int8) -> Int8:
    """MEAN and SUM over some dimensions; a mean's division is part of the multiplier.

    Source: QuantizedMeanOrSum in TensorFlow Lite, kernels/internal/reference/reduce.h.
    """
    assert isinstance(op.attrs, ReduceAttrs)
    source = graph.input_of(op)
    assert source is not None
    in_q, out_q = quant_of(source), quant_of(graph.output_of(op))
    total = data.astype(np.int64).sum(axis=op.attrs.axes, dtype=np.int64)
    p = sum_parameters(graph, op)
    values = requantize(total - in_q.zero_point * p.count, p.mult, p.shift) + out_q.zero_point
    return clamp_int8(values).reshape(graph.output_of(op).shape)


def _check_extreme(graph: Graph, op: Op) -> None:
    _check_reduce(graph, op)
    same_quant(data_input(graph, op), graph.output_of(op))


def reduce_extreme(graph: Graph, op: Op, data: Int8) -> Int8:
    """REDUCE_MAX and REDUCE_MIN: the largest or smallest stored value.

    Source: ReduceGeneric in TensorFlow Lite, kernels/internal/reference/reduce.h.
    """
    assert isinstance(op.attrs, ReduceAttrs)
    found = data.max(axis=op.attrs.axes) if op.kind == "REDUCE_MAX" else data.min(axis=op.attrs.axes)
    return np.asarray(found, np.int8).reshape(graph.output_of(op).shape)


def _check_arg(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, ArgAttrs)
    data, output = data_input(graph, op), graph.output_of(op)
    shape_is(output, reduced_shape(data.shape, (op.attrs.axis,), False))
    if output.dtype not in (DType.INT32, DType.INT64):
        raise ModelError(f"the output is {output.dtype.value}, expected int32 or int64")


def arg_extreme(graph: Graph, op: Op, data: Int8) -> npt.NDArray[Any]:
    """ARG_MAX and ARG_MIN: the place of the largest or smallest value along one dimension, the first of several.

    Source: ArgMinMax in TensorFlow Lite, kernels/internal/reference/arg_min_max.h.
    """
    assert isinstance(op.attrs, ArgAttrs)
    found = data.argmax(axis=op.attrs.axis) if op.kind == "ARG_MAX" else data.argmin(axis=op.attrs.axis)
    output = graph.output_of(op)
    return np.asarray(found).astype(output.dtype.numpy).reshape(output.shape)


def _reduced_channels(graph: Graph, op: Op, source: Tensor) -> Channels | None:
    assert isinstance(op.attrs, ReduceAttrs)
    return None if len(source.shape) - 1 in op.attrs.axes else same_channels(graph, op, source)


OPERATORS: Mapping[str, Operator] = {
    "ARG_MAX": Operator(_check_arg, arg_extreme),
    "ARG_MIN": Operator(_check_arg, arg_extreme),
    "MEAN": Operator(_check_sum, mean_or_sum, carried=_reduced_channels),
    "REDUCE_MAX": Operator(_check_extreme, reduce_extreme, carried=_reduced_channels),
    "REDUCE_MIN": Operator(_check_extreme, reduce_extreme, carried=_reduced_channels),
    "SUM": Operator(_check_sum, mean_or_sum, carried=_reduced_channels),
}
