"""Memory planned ahead: lifetimes of activations and workspaces, and their offsets in one arena.

Step k of the schedule is the k-th operator. A tensor lives from the step that makes it to the last step that reads it;
a model input lives from before the first step; a model output to the end; a workspace during its own step. RESHAPE
makes no buffer: its output is its input under another shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from mcuprune.ir.graph import Graph

ALIGNMENT = 4
"""Bytes; every buffer starts on a multiple (words are what SIMD kernels load)."""

ALIASES = frozenset({"RESHAPE"})
"""Operators whose output is their input's memory."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """A stretch of the arena that is live during steps first..last, both included."""

    label: str
    bytes: int
    first: int
    last: int
    offset: int = -1


@dataclass(frozen=True, slots=True)
class Plan:
    """Offsets in bytes: of each activation by tensor index, of each workspace by step.

    `lower_bound` is the largest sum of buffers that live at the same step: no plan needs less.
    """

    tensors: Mapping[int, int]
    workspaces: Mapping[int, int]
    arena_bytes: int
    lower_bound: int
    buffers: tuple[Buffer, ...]


def plan_arena(graph: Graph, workspace_bytes: Mapping[int, int]) -> Plan:
    """Place every activation and workspace.

    Args:
        graph: the model; constants are in flash and take no part.
        workspace_bytes: by step (position of the operator in graph.ops); missing means none.
    """
    root = _roots(graph)
    end = len(graph.ops)
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for tensor in graph.inputs:
        first[root[tensor]] = -1
        last[root[tensor]] = -1
    for step, op in enumerate(graph.ops):
        for tensor in op.inputs:
            if tensor in root:
                last[root[tensor]] = step
        for tensor in op.outputs:
            first.setdefault(root[tensor], step)
            last[root[tensor]] = max(last.get(root[tensor], step), step)
    for tensor in graph.outputs:
        last[root[tensor]] = end
    activations = {
        tensor: Buffer(graph.tensors[tensor].name, _aligned(graph.tensors[tensor].nbytes), first[tensor], last[tensor])
        for tensor in first
    }
    scratch = {
        step: Buffer(f"workspace of {graph.ops[step].name}", _aligned(size), step, step)
        for step, size in workspace_bytes.items()
        if size > 0
    }
    keys: list[tuple[str, int]] = [("tensor", t) for t in activations] + [("workspace", s) for s in scratch]
    buffers = [*activations.values(), *scratch.values()]
    placed = dict(zip(keys, _place(buffers), strict=True))
    return Plan(
        tensors={tensor: placed["tensor", r].offset for tensor, r in root.items()},
        workspaces={step: placed["workspace", step].offset for step in scratch},
        arena_bytes=max((b.offset + b.bytes for b in placed.values()), default=0),
        lower_bound=_lower_bound(buffers, end),
        buffers=tuple(placed.values()),
    )


def _roots(graph: Graph) -> dict[int, int]:
    """Of every activation, the tensor whose memory it is."""
    root = {tensor: tensor for tensor in graph.inputs}
    for op in graph.ops:
        for tensor in op.outputs:
            source = op.inputs[0] if op.inputs else -1
            root[tensor] = root[source] if op.kind in ALIASES and source in root else tensor
    return root


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _lower_bound(buffers: list[Buffer], end: int) -> int:
    return max((sum(b.bytes for b in buffers if b.first <= step <= b.last) for step in range(-1, end + 1)), default=0)


def _place(buffers: list[Buffer]) -> list[Buffer]:
    """Place by several orders, keep the plan with the lowest peak. Returns the buffers in the order given."""
    orders: tuple[Callable[[Buffer], tuple[int, ...]], ...] = (
        lambda b: (-b.bytes, b.first),
        lambda b: (-b.bytes * (b.last - b.first + 1), b.first),
        lambda b: (b.first, -b.bytes),
        lambda b: (b.first - b.last, -b.bytes),
    )
    plans = [_place_in_order(buffers, key) for key in orders]
    return min(plans, key=lambda plan: max((b.offset + b.bytes for b in plan), default=0))


def _place_in_order(buffers: list[Buffer], key: Callable[[Buffer], tuple[int, ...]]) -> list[Buffer]:
    """One buffer after the other, each at the lowest offset that is free during its whole life."""
    done: dict[int, Buffer] = {}
    for i in sorted(range(len(buffers)), key=lambda i: (key(buffers[i]), i)):
        buffer = buffers[i]
        rivals = sorted(
            (b for b in done.values() if b.first <= buffer.last and buffer.first <= b.last), key=lambda b: b.offset
        )
        offset = 0
        for rival in rivals:
            if offset + buffer.bytes <= rival.offset:
                break
            offset = max(offset, rival.offset + rival.bytes)
        done[i] = replace(buffer, offset=offset)
    return [done[i] for i in range(len(buffers))]
