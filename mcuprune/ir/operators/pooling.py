"""Pooling: sliding windows without weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import PoolAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.operators.checks import data_input, image, quantized, same_quant, shape_is
from mcuprune.ir.operators.operator import Int8, Operator, same_channels
from mcuprune.ir.operators.windows import windows
from mcuprune.ir.rescale import quant_of
from mcuprune.ir.shapes import window_output, window_shape
from mcuprune.numerics import activation_range, clamp_int8


def _check_pool(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, PoolAttrs)
    data, output = data_input(graph, op), graph.output_of(op)
    image(data)
    quantized(output)
    a = op.attrs
    for size, k, s in zip(data.shape[1:3], a.filter, a.stride, strict=True):
        if window_output(size, k, s, 1, a.padding) < 1:
            raise ModelError(f"a window of {k} does not fit an input of {size}")
    shape_is(output, window_shape(data.shape, a.filter, a.stride, (1, 1), a.padding, data.shape[3]))
    same_quant(data, output)
    activation_range(quant_of(output).scale, quant_of(output).zero_point, a.activation.value)


def average_pool_2d(graph: Graph, op: Op, data: Int8) -> Int8:
    """AVERAGE_POOL_2D over the part of the window that lies inside of the input; halves away from zero.

    Source: AveragePool in TensorFlow Lite, kernels/internal/reference/integer_ops/pooling.h.
    """
    assert isinstance(op.attrs, PoolAttrs)
    total = windows(data.astype(np.int64), op.attrs.filter, op.attrs, 0).sum(axis=(2, 3), dtype=np.int64)
    inside = np.ones((1, data.shape[1], data.shape[2], 1), np.int64)
    count = windows(inside, op.attrs.filter, op.attrs, 0).sum(axis=(2, 3), dtype=np.int64)
    magnitude = (np.abs(total) + count // 2) // count
    out_q = quant_of(graph.output_of(op))
    low, high = activation_range(out_q.scale, out_q.zero_point, op.attrs.activation.value)
    return clamp_int8(np.sign(total) * magnitude, low, high).reshape(graph.output_of(op).shape)


def max_pool_2d(graph: Graph, op: Op, data: Int8) -> Int8:
    """MAX_POOL_2D over the part of the window that lies inside of the input.

    Source: MaxPool in TensorFlow Lite, kernels/internal/reference/integer_ops/pooling.h.
    """
    assert isinstance(op.attrs, PoolAttrs)
    largest = windows(data, op.attrs.filter, op.attrs, -128).max(axis=(2, 3))
    out_q = quant_of(graph.output_of(op))
    low, high = activation_range(out_q.scale, out_q.zero_point, op.attrs.activation.value)
    return clamp_int8(largest, low, high).reshape(graph.output_of(op).shape)


OPERATORS: Mapping[str, Operator] = {
    "AVERAGE_POOL_2D": Operator(_check_pool, average_pool_2d, carried=same_channels),
    "MAX_POOL_2D": Operator(_check_pool, max_pool_2d, carried=same_channels),
}
