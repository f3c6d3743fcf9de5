"""Pooling: sliding windows without weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import PoolAttrs
from mcuprune.ir.graph import DType, Graph, Op
from mcuprune.ir.operators.checks import image, one_type, present, same_quant, shape_is
from mcuprune.ir.operators.operator import Array, Operator, same_channels
from mcuprune.ir.operators.windows import windows
from mcuprune.ir.rescale import quant_of
from mcuprune.ir.shapes import window_output, window_shape
from mcuprune.numerics import activation_range

MAX_WINDOW16 = 2**16 - 1  # sums of int16 stay inside of int32


def _check_pool(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, PoolAttrs)
    data, output = present(graph, op), graph.output_of(op)
    image(data)
    dtype = one_type(data, output)
    a = op.attrs
    for size, k, s in zip(data.shape[1:3], a.filter, a.stride, strict=True):
        if window_output(size, k, s, 1, a.padding) < 1:
            raise ModelError(f"a window of {k} does not fit an input of {size}")
    shape_is(output, window_shape(data.shape, a.filter, a.stride, (1, 1), a.padding, data.shape[3]))
    same_quant(data, output)
    pool_range(graph, op)
    if dtype is DType.INT16 and a.filter[0] * a.filter[1] > MAX_WINDOW16:
        raise ModelError(f"a window of {a.filter[0]}x{a.filter[1]} int16 values, at most {MAX_WINDOW16} are supported")


def pool_range(graph: Graph, op: Op) -> tuple[int, int]:
    """Smallest and largest output."""
    assert isinstance(op.attrs, PoolAttrs)
    output = graph.output_of(op)
    quant = quant_of(output)
    return activation_range(quant.scale, quant.zero_point, op.attrs.activation.value, output.dtype.limits)


def average_pool_2d(graph: Graph, op: Op, data: Array) -> Array:
    """AVERAGE_POOL_2D over the part of the window that lies inside of the input; halves away from zero.

    Source: AveragePool in TensorFlow Lite, kernels/internal/reference/integer_ops/pooling.h.
    """
    assert isinstance(op.attrs, PoolAttrs)
    total = windows(data.astype(np.int64), op.attrs.filter, op.attrs, 0).sum(axis=(2, 3), dtype=np.int64)
    inside = np.ones((1, data.shape[1], data.shape[2], 1), np.int64)
    count = windows(inside, op.attrs.filter, op.attrs, 0).sum(axis=(2, 3), dtype=np.int64)
    magnitude = (np.abs(total) + count // 2) // count
    mean: Array = np.clip(np.sign(total) * magnitude, *pool_range(graph, op))
    return mean.astype(data.dtype).reshape(graph.output_of(op).shape)


def max_pool_2d(graph: Graph, op: Op, data: Array) -> Array:
    """MAX_POOL_2D over the part of the window that lies inside of the input.

    Source: MaxPool in TensorFlow Lite, kernels/internal/reference/integer_ops/pooling.h.
    """
    assert isinstance(op.attrs, PoolAttrs)
    largest = windows(data, op.attrs.filter, op.attrs, np.iinfo(data.dtype).min).max(axis=(2, 3))
    clamped: Array = np.clip(largest, *pool_range(graph, op))
    return clamped.astype(data.dtype).reshape(graph.output_of(op).shape)


OPERATORS: Mapping[str, Operator] = {
    "AVERAGE_POOL_2D": Operator(_check_pool, average_pool_2d, carried=same_channels),
    "MAX_POOL_2D": Operator(_check_pool, max_pool_2d, carried=same_channels),
}
