"""One-shot pruning of an int8 `.tflite`, without training: what size and speed would a sparse model have?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcuprune.errors import ModelError, UsageError
from mcuprune.importers.tflite import import_bytes
from mcuprune.ir.graph import Graph, Op, Tensor
from mcuprune.masks import (
    NM,
    Budget,
    Candidate,
    Goal,
    Pattern,
    Rule,
    Unstructured,
    assign_goals,
    check_blocks,
    check_columns,
    mask,
)
from mcuprune.tflite.writer import replace_constants

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
"""Operators that have weights."""


@dataclass(frozen=True, slots=True)
class PrunedLayer:
    """What became of a layer with weights. sparsity = zeros / size; `pattern` is None where it was left as it was."""

    index: int
    name: str
    op: str
    pattern: str | None
    sparsity: float
    zeros: int
    size: int
    note: str


@dataclass(frozen=True, slots=True, eq=False)
class Pruned:
    """The new file, and its layers in the file's order."""

    content: bytes
    sha256: str
    layers: tuple[PrunedLayer, ...]


def prune_one_shot(
    content: bytes,
    source: str,
    *,
    sparsity: float | None = None,
    pattern: Pattern | None = None,
    rules: Sequence[Rule] = (),
    budget: Budget | None = None,
) -> Pruned:
    """Set the least important weights of each layer to zero: smallest |q * scale[channel]| first, ties by index.

    Zeros that are there count, as they are the smallest. Depthwise layers and the classifier (the last layer with
    weights) are left unless a rule names them. Only weights change, all else in the file stays byte for byte.

    Args:
        content: a `.tflite` file; `source` is its name, for errors.
        sparsity: share of zeros of each layer in [0, 1); None with an N:M pattern or where rules say it all.
        pattern: how zeros are placed; None is unstructured.
        rules: for layers by name, in order, the last match wins.
        budget: how `sparsity` is shared among the layers that no rule names; None is uniform. A global one compares
            |q * scale[channel]|, the weights as the float model had them.
    Raises:
        ModelError: the model is broken or unsupported, or layers share the weights that would change.
        UsageError: sparsity, pattern and rules contradict each other or do not fit a layer.
    """
    graph = import_bytes(content, source)
    ops = [op for op in graph.ops if op.kind in WEIGHTED]
    candidates = [_candidate(graph, op, op is ops[-1]) for op in ops]
    goals = assign_goals(
        candidates,
        sparsity,
        pattern or Unstructured(),
        rules,
        source,
        budget=budget,
        weights=lambda i: _importance(graph, ops[i]),
    )
    values: dict[int, NDArray[np.int8]] = {}
    for op, goal in zip(ops, goals, strict=True):
        if goal.pattern is not None:
            _check_alone(graph, op)
            values[op.inputs[1]] = _prune_weights(graph, op, goal.pattern, goal.sparsity)
    pruned = replace_constants(content, source, values)
    after = import_bytes(pruned, source)
    layers = tuple(_layer(graph, after, op, goal) for op, goal in zip(ops, goals, strict=True))
    return Pruned(pruned, after.sha256, layers)


def weight_rows(op: Op, data: NDArray[np.int8]) -> NDArray[np.int8]:
    """Weights as the matrix that patterns lie on: (O, H*W*I), depthwise (C, H*W), fully connected as they are."""
    if op.kind == "DEPTHWISE_CONV_2D":
        return data.reshape(-1, data.shape[-1]).T
    return data.reshape(data.shape[0], -1)


def _left(op: Op, last: bool) -> str:
    if op.kind == "DEPTHWISE_CONV_2D":
        return "depthwise"
    return "classifier" if last else ""


def _weights(graph: Graph, op: Op) -> tuple[Tensor, NDArray[np.int8]]:
    tensor = graph.tensor(op.inputs[1])
    assert tensor.data is not None  # verified on import
    return tensor, tensor.data


def _candidate(graph: Graph, op: Op, last: bool) -> Candidate:
    """An operator for assign_goals()."""
    tensor, data = _weights(graph, op)
    return Candidate(op.index, op.name, _left(op, last), tensor.shape, len(weight_rows(op, data)))


def _importance(graph: Graph, op: Op) -> NDArray[np.float64]:
    """|q * scale[channel]| as a matrix."""
    tensor, data = _weights(graph, op)
    assert tensor.quant is not None  # verified on import
    scales = np.array(tensor.quant.scales, np.float64)[:, None]  # one, or one a row
    importance: NDArray[np.float64] = np.abs(weight_rows(op, data).astype(np.float64)) * scales
    return importance


def _check_alone(graph: Graph, op: Op) -> None:
    """Refuse weights that another operator uses: it would change with this one."""
    others = [other.name for other in graph.ops if other is not op and op.inputs[1] in other.inputs]
    if others:
        raise ModelError(
            f"'{op.name}' shares its weights with {', '.join(others)}",
            where=graph.within(op.place),
            hint="leave them dense: " + " ".join(f"--layer {name}=0" for name in (op.name, *others)),
        )


def _prune_weights(graph: Graph, op: Op, pattern: Pattern, sparsity: float) -> NDArray[np.int8]:
    """Weights of the tensor's shape with zeros by the pattern."""
    tensor, data = _weights(graph, op)
    rows = weight_rows(op, data)
    _check_fit(graph, op, tensor, pattern, rows.shape, sparsity)
    kept = np.where(mask(_importance(graph, op), pattern, sparsity), rows, np.int8(0))
    return (kept.T if op.kind == "DEPTHWISE_CONV_2D" else kept).reshape(data.shape)


def _check_fit(graph: Graph, op: Op, tensor: Tensor, pattern: Pattern, shape: tuple[int, ...], sparsity: float) -> None:
    """N:M groups must divide a row, and of blocks one goes and one stays; the error says where and what helps."""
    rows, cols = shape
    pointwise = op.kind != "DEPTHWISE_CONV_2D" and cols == tensor.shape[-1]
    try:
        check_columns(pattern, cols, "input channels" if pointwise else "weights of an output channel")
        check_blocks(pattern, rows, cols, sparsity)
    except UsageError as error:
        layout = {"CONV_2D": "OHWI", "DEPTHWISE_CONV_2D": "1HWC"}.get(op.kind, "OI")
        error.where = graph.within(f"{op.place}, weights {layout} {tensor.shape}")
        error.hint = error.hint or f"--layer {op.name}=0 leaves it dense" + (
            f", or widen the layer to {-(-cols // pattern.m) * pattern.m} channels"
            if pointwise and isinstance(pattern, NM)
            else ""
        )
        raise


def _layer(before: Graph, after: Graph, op: Op, goal: Goal) -> PrunedLayer:
    """The report on one layer, from the bytes that were written."""
    data = _weights(after, op)[1]
    zeros = int(data.size - np.count_nonzero(data))
    old = _weights(before, op)[1]
    note = goal.note
    if goal.pattern is not None and zeros == old.size - np.count_nonzero(old):
        note = "unchanged: these zeros were there"
    pattern = None if goal.pattern is None else str(goal.pattern)
    return PrunedLayer(op.index, op.name, op.kind, pattern, zeros / data.size, zeros, int(data.size), note)
