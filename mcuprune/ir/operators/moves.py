"""Operators that move values and change none."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import GatherAttrs, PadAttrs, SliceAttrs, TransposeAttrs
from mcuprune.ir.graph import DType, Graph, Op, Tensor
from mcuprune.ir.operators.checks import moved_input, present, quantized, shape_is
from mcuprune.ir.operators.operator import Array, Channels, Operator, channels_of, same_channels
from mcuprune.ir.rescale import quant_of
from mcuprune.ir.shapes import pad_shape
from mcuprune.ir.walk import walk_of

MAX_TABLES = 4
"""Dimensions of mp_gather."""
MAX_PADDED = 4
"""Dimensions of mp_pad."""


def _has_size(op_output: Tensor, size: int) -> None:
    if op_output.size != size:
        raise ModelError(f"the output has shape {op_output.shape}, the operator gives {size} elements")


def merged_pads(shape: tuple[int, ...], before: tuple[int, ...], after: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """(size, before, after) of as few dimensions as possible: one without padding goes into the one outside of it."""
    merged: list[tuple[int, int, int]] = []
    for n, b, a in zip(shape, before, after, strict=True):
        if (n, b, a) == (1, 0, 0):
            continue
        if merged and not b and not a:
            size, outer_before, outer_after = merged[-1]
            merged[-1] = (size * n, outer_before * n, outer_after * n)
        else:
            merged.append((n, b, a))
    return merged


def pad_value(graph: Graph, op: Op) -> float:
    """What PAD adds, in stored numbers."""
    assert isinstance(op.attrs, PadAttrs)
    if op.attrs.value is not None:
        return op.attrs.value
    output = graph.output_of(op)
    return quant_of(output).zero_point if output.dtype is DType.INT8 else 0


def _check_pad(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, PadAttrs)
    data, output = moved_input(graph, op), graph.output_of(op)
    shape_is(output, pad_shape(data.shape, op.attrs.before, op.attrs.after))
    if len(merged_pads(data.shape, op.attrs.before, op.attrs.after)) > MAX_PADDED:
        raise ModelError(f"padding of {data.shape} in more than {MAX_PADDED} dimensions")


def pad(graph: Graph, op: Op, data: Array) -> Array:
    """PAD and PADV2: with the value given, or the output's zero point.

    Source: Eval in TensorFlow Lite, kernels/pad.cc.
    """
    assert isinstance(op.attrs, PadAttrs)
    widths = tuple(zip(op.attrs.before, op.attrs.after, strict=True))
    return np.pad(data, widths, constant_values=data.dtype.type(pad_value(graph, op)))


def _pad_channels(graph: Graph, op: Op, source: Tensor) -> Channels | None:
    assert isinstance(op.attrs, PadAttrs)
    return None if op.attrs.before[-1] or op.attrs.after[-1] else same_channels(graph, op, source)


def _check_reshape(graph: Graph, op: Op) -> None:
    data, output = moved_input(graph, op), graph.output_of(op)
    if math.prod(data.shape) != math.prod(output.shape):
        raise ModelError(f"{data.shape} does not reshape to {output.shape}")


def reshape(graph: Graph, op: Op, data: Array) -> Array:
    """RESHAPE, SQUEEZE, EXPAND_DIMS: the same values in another shape."""
    return data.reshape(graph.output_of(op).shape)


def _reshape_channels(graph: Graph, op: Op, source: Tensor) -> Channels | None:
    """Row-major: positions that become channels repeat the channels of each."""
    inner, outer = channels_of(source), channels_of(graph.output_of(op))
    return np.tile(np.arange(inner), outer // inner) if outer % inner == 0 else None


def _copied_input(graph: Graph, op: Op) -> Tensor:
    """moved_input(), but for its scale: the reference copies bytes, and converters give reversed sequences another."""
    data, output = present(graph, op), graph.output_of(op)
    if data.dtype is not output.dtype:
        raise ModelError(f"input 0 is {data.dtype.value}, the output {output.dtype.value}")
    if data.dtype is DType.INT8:
        quantized(data)
        quantized(output)
    return data


def _check_slice(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, SliceAttrs)
    data, output = _copied_input(graph, op), graph.output_of(op)
    if len(op.attrs.ranges) != len(data.shape):
        raise ModelError(f"{len(op.attrs.ranges)} ranges of an input {data.shape}")
    counts = []
    for n, taken in zip(data.shape, op.attrs.ranges, strict=True):
        first, step, count = taken or (0, 1, n)
        if count < 1 or not 0 <= first < n or not 0 <= first + (count - 1) * step < n:
            raise ModelError(f"{count} indices from {first} in steps of {step} of a dimension of {n}")
        counts.append(count)
    _has_size(output, math.prod(counts))
    if walk_of(op, data.shape) is None:
        raise ModelError(f"slices of {data.shape} in this many dimensions are not supported")


def slice_(graph: Graph, op: Op, data: Array) -> Array:
    """SLICE, STRIDED_SLICE, SPLIT, SPLIT_V, UNPACK, REVERSE_V2: equally spaced indices of each dimension.

    Source: StridedSlice in TensorFlow Lite, kernels/internal/reference/strided_slice.h.
    """
    assert isinstance(op.attrs, SliceAttrs)
    for d, taken in enumerate(op.attrs.ranges):
        if taken is not None:
            first, step, count = taken
            data = np.take(data, first + step * np.arange(count), axis=d)
    return data.reshape(graph.output_of(op).shape)


def _slice_channels(graph: Graph, op: Op, source: Tensor) -> Channels | None:
    assert isinstance(op.attrs, SliceAttrs)
    return same_channels(graph, op, source) if op.attrs.ranges and op.attrs.ranges[-1] is None else None


def _check_transpose(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, TransposeAttrs)
    data, output = moved_input(graph, op), graph.output_of(op)
    view, order = op.attrs.view, op.attrs.order
    if sorted(order) != list(range(len(view))) or math.prod(view) != data.size:
        raise ModelError(f"order {order} of an input {data.shape} seen as {view}")
    _has_size(output, data.size)
    if walk_of(op, data.shape) is None:
        raise ModelError(f"order {order} of {view} moves too many dimensions")


def transpose(graph: Graph, op: Op, data: Array) -> Array:
    """TRANSPOSE, SPACE_TO_DEPTH, DEPTH_TO_SPACE.

    Source: Transpose, SpaceToDepth, DepthToSpace in TensorFlow Lite, kernels/internal/reference/.
    """
    assert isinstance(op.attrs, TransposeAttrs)
    return data.reshape(op.attrs.view).transpose(op.attrs.order).reshape(graph.output_of(op).shape)


def gather_tables(attrs: GatherAttrs) -> list[tuple[int, tuple[int, ...] | None]]:
    """(size, indices) of as few dimensions of the view as possible: those taken whole go together."""
    merged: list[tuple[int, tuple[int, ...] | None]] = []
    for size, indices in zip(attrs.view, attrs.indices, strict=True):
        if size == 1 and (indices is None or len(indices) == 1):
            continue
        if merged and indices is None and merged[-1][1] is None:
            merged[-1] = (merged[-1][0] * size, None)
        else:
            merged.append((size, indices))
    return merged


def _check_gather(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, GatherAttrs)
    data, output = moved_input(graph, op), graph.output_of(op)
    view, indices = op.attrs.view, op.attrs.indices
    if len(indices) != len(view) or math.prod(view) != data.size:
        raise ModelError(f"an input {data.shape} seen as {view}")
    for size, taken in zip(view, indices, strict=True):
        if taken is not None and not (taken and min(taken) >= 0 and max(taken) < size):
            raise ModelError(f"indices out of a dimension of {size}, or none at all")
    _has_size(output, math.prod(n if i is None else len(i) for n, i in zip(view, indices, strict=True)))
    if walk_of(op, data.shape) is None and len(gather_tables(op.attrs)) > MAX_TABLES:
        raise ModelError(f"indices in more than {MAX_TABLES} dimensions of {view}")


def gather(graph: Graph, op: Op, data: Array) -> Array:
    """GATHER, MIRROR_PAD, TILE, BROADCAST_TO, FILL, RESIZE_NEAREST_NEIGHBOR: constant indices of each dimension."""
    assert isinstance(op.attrs, GatherAttrs)
    data = data.reshape(op.attrs.view)
    for d, indices in enumerate(op.attrs.indices):
        if indices is not None:
            data = np.take(data, indices, axis=d)
    return data.reshape(graph.output_of(op).shape)


def _gather_channels(graph: Graph, op: Op, source: Tensor) -> Channels | None:
    """A view with the input's channels last, taken whole."""
    assert isinstance(op.attrs, GatherAttrs)
    whole = op.attrs.indices and op.attrs.indices[-1] is None and op.attrs.view[-1] == channels_of(source)
    return same_channels(graph, op, source) if whole else None


def _check_shape(graph: Graph, op: Op) -> None:
    data, output = graph.input_of(op), graph.output_of(op)
    if data is None or output.dtype not in (DType.INT32, DType.INT64) or output.shape != (len(data.shape),):
        raise ModelError(f"the shape of an input as {output.dtype.value} {output.shape}")


def shape(graph: Graph, op: Op) -> Array:
    """SHAPE: shapes are static, so the importer makes a constant of it."""
    data, output = graph.input_of(op), graph.output_of(op)
    assert data is not None
    return np.array(data.shape, output.dtype.numpy)


OPERATORS: Mapping[str, Operator] = {
    "GATHER": Operator(_check_gather, gather, carried=_gather_channels),
    "PAD": Operator(_check_pad, pad, carried=_pad_channels),
    "RESHAPE": Operator(_check_reshape, reshape, carried=_reshape_channels),
    "SHAPE": Operator(_check_shape, shape, 0),
    "SLICE": Operator(_check_slice, slice_, carried=_slice_channels),
    "TRANSPOSE": Operator(_check_transpose, transpose),
}
