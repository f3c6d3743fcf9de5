"""Operators that put several tensors side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import ConcatenationAttrs
from mcuprune.ir.graph import Graph, Op, Tensor
from mcuprune.ir.operators.checks import moved_input, shape_is
from mcuprune.ir.operators.operator import Array, Channels, Operator, same_channels


def part_shape(attrs: ConcatenationAttrs, shape: tuple[int, ...]) -> tuple[int, ...]:
    """An input's shape as a part of the output."""
    return (*shape[: attrs.axis], 1, *shape[attrs.axis :]) if attrs.stacked else shape


def _check_concatenation(graph: Graph, op: Op) -> None:
    attrs = op.attrs
    assert isinstance(attrs, ConcatenationAttrs)
    output = graph.output_of(op)
    parts = [part_shape(attrs, moved_input(graph, op, i).shape) for i in range(len(op.inputs))]
    axis, first = attrs.axis, parts[0]
    if not 0 <= axis < len(first):
        raise ModelError(f"dimension {axis} of inputs of rank {len(first)}")
    for part in parts:
        if (*part[:axis], *part[axis + 1 :]) != (*first[:axis], *first[axis + 1 :]):
            raise ModelError(f"inputs {first} and {part} do not lie side by side along dimension {axis}")
    shape_is(output, (*first[:axis], sum(part[axis] for part in parts), *first[axis + 1 :]))


def concatenation(graph: Graph, op: Op, *parts: Array) -> Array:
    """CONCATENATION and PACK; all parts have the output's scale and zero point.

    Source: Concatenation and Pack in TensorFlow Lite, kernels/internal/reference/; Prepare in kernels/concatenation.cc.
    """
    assert isinstance(op.attrs, ConcatenationAttrs)
    return np.concatenate([part.reshape(part_shape(op.attrs, part.shape)) for part in parts], axis=op.attrs.axis)


def _channels(graph: Graph, op: Op, source: Tensor) -> Channels | None:
    """Joined along another dimension than the channels, all parts and the output have the same ones."""
    assert isinstance(op.attrs, ConcatenationAttrs)
    last = len(graph.output_of(op).shape) - 1
    return None if op.attrs.axis == last else same_channels(graph, op, source)


OPERATORS: Mapping[str, Operator] = {
    "CONCATENATION": Operator(_check_concatenation, concatenation, None, _channels),
}
