"""Where kept values lie: one buffer of their own, outside of the arena."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcuprune.errors import ModelError
from mcuprune.ir.graph import Graph

ALIGNMENT = 8
"""Bytes; every kept value starts on a multiple."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What becomes the kept value at `offset` once a call is over: the bytes of a tensor."""

    tensor: int
    offset: int
    bytes: int


@dataclass(frozen=True, slots=True)
class StatePlan:
    """The state buffer.

    offsets: of each tensor that lies in it: kept values as they are read, what RESHAPE makes of them, and the new
    values that recurrent operators write over the old ones. copies: in an order in which none overwrites what a later
    one reads. size: of the buffer. initial: its bytes after a reset.
    """

    offsets: Mapping[int, int]
    size: int
    copies: tuple[Copy, ...]
    initial: bytes


NO_STATE = StatePlan({}, 0, (), b"")


def state_bytes(graph: Graph) -> int:
    """Bytes of the state buffer."""
    return sum(-(-state.initial.nbytes // ALIGNMENT) * ALIGNMENT for state in graph.states)


def plan_state(graph: Graph, aliases: frozenset[str]) -> StatePlan:
    """Place what a model keeps.

    Args:
        aliases: operators whose output is their input's memory.
    Raises:
        ModelError: kept values exchange their places, or one is an output of the model.
    """
    offsets, end, initial = dict[int, int](), 0, b""
    for state in graph.states:
        offsets[state.read] = end
        initial += state.initial.tobytes()
        end += -(-state.initial.nbytes // ALIGNMENT) * ALIGNMENT
        initial += bytes(end - len(initial))
    kept = {state.written: offsets[state.read] for state in graph.states}
    for op in graph.ops:
        if op.kind in aliases and op.inputs[0] in offsets:
            offsets[op.outputs[0]] = offsets[op.inputs[0]]
        offsets |= {tensor: kept[tensor] for tensor in op.outputs[1:]}
    for index in graph.outputs:
        if index in offsets:
            raise ModelError(
                f"output '{graph.tensor(index).name}' is a kept value as it was before the call",
                where=graph.source,
                hint="make what the call computes the output; a kept value can be read after it was assigned",
            )
    copies = [
        Copy(state.written, offsets[state.read], state.initial.nbytes)
        for state in graph.states
        if offsets.get(state.written) != offsets[state.read]
    ]
    return StatePlan(offsets, end, _ordered(copies, offsets, graph.source), initial)


def _ordered(copies: list[Copy], offsets: Mapping[int, int], source: str) -> tuple[Copy, ...]:
    """Copies so that a kept value is read before another is written over it."""
    left, done = list(copies), list[Copy]()
    while left:
        free = [c for c in left if all(offsets.get(other.tensor) != c.offset for other in left if other is not c)]
        if not free:
            raise ModelError("kept values exchange their places, which is not supported", where=source)
        done += free
        left = [c for c in left if c not in free]
    return tuple(done)
