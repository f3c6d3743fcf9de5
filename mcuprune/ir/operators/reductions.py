"""Reductions over some dimensions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import MeanAttrs
from mcuprune.ir.graph import Graph, Op, Tensor
from mcuprune.ir.operators.checks import data_input, left_shift_fits, quantized, shape_is
from mcuprune.ir.operators.operator import Channels, Int8, Operator, same_channels
from mcuprune.ir.rescale import quant_of
from mcuprune.ir.shapes import mean_extents, mean_shape
from mcuprune.numerics import clamp_int8, mean_parameters, requantize

MAX_MEAN_COUNT = 2**22  # sums of int8 stay inside of int32


def _check_mean(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, MeanAttrs)
    data, output = data_input(graph, op), graph.output_of(op)
    quantized(output)
    shape_is(output, mean_shape(data.shape, op.attrs.axes, op.attrs.keep_dims))
    extents = mean_extents(data.shape, op.attrs.axes)
    if extents is None:
        raise ModelError(f"a mean over the dimensions {op.attrs.axes} of {data.shape}, which do not lie side by side")
    if extents[1] > MAX_MEAN_COUNT:
        raise ModelError(f"a mean over {extents[1]} elements, at most {MAX_MEAN_COUNT} are supported")
    in_q = quant_of(data)
    params = mean_parameters(in_q.scale, quant_of(output).scale, extents[1])
    left_shift_fits(params.shift, 256 * extents[1])


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


def _mean_channels(graph: Graph, op: Op, source: Tensor) -> Channels | None:
    assert isinstance(op.attrs, MeanAttrs)
    return None if len(source.shape) - 1 in op.attrs.axes else same_channels(graph, op, source)


OPERATORS: Mapping[str, Operator] = {
    "MEAN": Operator(_check_mean, mean, carried=_mean_channels),
}
