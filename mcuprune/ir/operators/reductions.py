"""Reductions over some dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import ArgAttrs, ReduceAttrs
from mcuprune.ir.graph import DType, Graph, Op, Tensor
from mcuprune.ir.operators.checks import (
    ACTIVATIONS,
    data_input,
    left_shift_fits,
    one_type,
    present,
    same_quant,
    shape_is,
)
from mcuprune.ir.operators.operator import Array, Channels, Int8, Operator, same_channels
from mcuprune.ir.rescale import quant_of
from mcuprune.ir.shapes import reduced_shape
from mcuprune.numerics import (
    MeanParameters,
    mean_parameters,
    quantize_multiplier,
    reduced_multiplier,
    requantize,
    requantize_wide,
)
from mcuprune.numerics.requant import MAX_WIDE_SHIFT

MAX_SUM_COUNT = {DType.INT8: 2**22, DType.INT16: 2**16 - 1}  # sums stay inside of int32


def sum_parameters(graph: Graph, op: Op) -> MeanParameters:
    """What MEAN and SUM multiply their sums by, and how many elements each sum has."""
    source, output = graph.input_of(op), graph.output_of(op)
    assert source is not None
    count = source.size // output.size
    in_scale, out_scale = quant_of(source).scale, quant_of(output).scale
    if op.kind == "MEAN":
        return mean_parameters(in_scale, out_scale, count)
    return MeanParameters(*quantize_multiplier(in_scale / out_scale), count)


def _check_reduce(graph: Graph, op: Op, *dtypes: DType) -> None:
    assert isinstance(op.attrs, ReduceAttrs)
    data, output = present(graph, op), graph.output_of(op)
    one_type(data, output, dtypes=dtypes or ACTIVATIONS)
    shape_is(output, reduced_shape(data.shape, op.attrs.axes, op.attrs.keep_dims))


def _check_sum(graph: Graph, op: Op) -> None:
    source, output = present(graph, op), graph.output_of(op)
    if op.kind == "SUM" and source.dtype is DType.INT16:
        raise ModelError("SUM of int16 is wrong in TFLite's own reference kernel, only int8 is supported")
    _check_reduce(graph, op)
    count, largest = source.size // output.size, MAX_SUM_COUNT[source.dtype]
    if count > largest:
        raise ModelError(f"a sum of {count} elements, at most {largest} are supported")
    left_shift_fits(sum_parameters(graph, op).shift, (256 if source.dtype is DType.INT8 else 2**15) * count)


def mean_or_sum(graph: Graph, op: Op, data: Array) -> Array:
    """MEAN and SUM over some dimensions; a mean's division is part of the multiplier.

    Source: QuantizedMeanOrSum in TensorFlow Lite, kernels/internal/reference/reduce.h.
    """
    assert isinstance(op.attrs, ReduceAttrs)
    output = graph.output_of(op)
    in_q, out_q = quant_of(present(graph, op)), quant_of(output)
    total = data.astype(np.int64).sum(axis=op.attrs.axes, dtype=np.int64)
    p = sum_parameters(graph, op)
    values = requantize(total - in_q.zero_point * p.count, p.mult, p.shift) + out_q.zero_point
    return np.clip(values, *output.dtype.limits).astype(data.dtype).reshape(output.shape)


def _check_extreme(graph: Graph, op: Op) -> None:
    _check_reduce(graph, op)
    same_quant(present(graph, op), graph.output_of(op))


def reduce_extreme(graph: Graph, op: Op, data: Array) -> Array:
    """REDUCE_MAX and REDUCE_MIN: the largest or smallest stored value.

    Source: ReduceGeneric in TensorFlow Lite, kernels/internal/reference/reduce.h.
    """
    assert isinstance(op.attrs, ReduceAttrs)
    found = data.max(axis=op.attrs.axes) if op.kind == "REDUCE_MAX" else data.min(axis=op.attrs.axes)
    return np.asarray(found, data.dtype).reshape(graph.output_of(op).shape)


def product_multiplier(graph: Graph, op: Op) -> tuple[int, int]:
    """Q15 multiplier and shift of each step of a REDUCE_PROD.

    Raises:
        ModelError: the shift is above 7, which the reference does not take.
    Source: GetQuantProdScaling in TensorFlow Lite, kernels/reduce.cc.
    """
    source, output = present(graph, op), graph.output_of(op)
    count = source.size // output.size
    mult, shift = quantize_multiplier(quant_of(source).scale / quant_of(output).scale ** (1.0 / count))
    if shift > MAX_WIDE_SHIFT:
        raise ModelError(f"a product of {count} elements at these scales grows by 2**{shift} in each step")
    return reduced_multiplier(mult), shift


def _check_product(graph: Graph, op: Op) -> None:
    _check_reduce(graph, op)
    product_multiplier(graph, op)


def reduce_product(graph: Graph, op: Op, data: Array) -> Array:
    """REDUCE_PROD: every element is multiplied in and scaled, in int32 that wraps; the last one is scaled twice.

    Source: QuantizedReduceProd in TensorFlow Lite, kernels/internal/reference/reduce.h.
    """
    assert isinstance(op.attrs, ReduceAttrs)
    output, axes = graph.output_of(op), op.attrs.axes
    kept = [d for d in range(data.ndim) if d not in axes]
    mult, shift = product_multiplier(graph, op)
    rows = data.transpose([*axes, *kept]).reshape(-1, output.size).astype(np.int64)
    first, *others = rows - quant_of(present(graph, op)).zero_point
    for row in others:
        first = requantize_wide(first * row, mult, shift).astype(np.int32).astype(np.int64)
    scaled = requantize_wide(first, mult, shift).astype(np.int32).astype(np.int64)
    stored = (scaled + quant_of(output).zero_point).astype(np.int32)
    return np.clip(stored, *output.dtype.limits).astype(data.dtype).reshape(output.shape)


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
    "REDUCE_PROD": Operator(_check_product, reduce_product, carried=_reduced_channels),
    "SUM": Operator(_check_sum, mean_or_sum, carried=_reduced_channels),
}
