"""The order in which operators run: where the graph leaves a choice, the one that needs the smallest arena.

What is live after some operators does not depend on their order. So the best way to each set of operators that can
have run is found from the best ways to the sets with one operator less, set by set: all of them in graphs that branch
little, the most promising ones in others. Operators that keep something between calls stay in their order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from mcuprune.ir.graph import Graph, Op
from mcuprune.plan.blocks import aligned, alignment_of
from mcuprune.plan.sharing import ALIASES, over_inputs, parts, roots
from mcuprune.plan.state import plan_state

SETS = 40_000
"""Sets of operators that are looked at in all; each number of operators that have run gets its share."""

LEAST_SETS = 16
"""For each number of operators, whatever the graph's length."""


def has_effect(op: Op, kept: Collection[int]) -> bool:
    """Whether an operator must stay in order with others that have effects: it reads or writes what outlives a call.

    Args:
        kept: tensors that lie in the state buffer (plan_state()).
    """
    return not {*op.inputs, *op.outputs}.isdisjoint(kept)


def best_order(graph: Graph, workspace_bytes: Mapping[int, int], in_place: Collection[int] = ()) -> tuple[int, ...]:
    """Steps in the order that needs the least memory of those looked at; as they are where nothing is gained.

    Args:
        workspace_bytes, in_place: see plan_arena().
    """
    work = _Work(graph, workspace_bytes, in_place)
    as_is = tuple(range(len(graph.ops)))
    now = work.peak(as_is)
    if now <= work.floor:
        return as_is
    found = _search(work, now, max(LEAST_SETS, SETS // len(as_is)))
    return found if found is not None else as_is


def in_order(graph: Graph, order: Sequence[int]) -> Graph:
    """The graph with its operators in an order of steps; each keeps its `index`, its place in the model's file."""
    return replace(graph, ops=tuple(graph.ops[step] for step in order))


@dataclass(frozen=True, slots=True)
class _Way:
    """Operators that have run, and the best way there: its largest need, how far operators moved, the last one.

    ready: operators that may run next.
    """

    done: int  # a set as bits
    ready: tuple[int, ...]
    peak: int
    moved: int
    live: int
    before: _Way | None
    step: int

    def steps(self) -> tuple[int, ...]:
        found, way = [], self
        while way.before is not None:
            found.append(way.step)
            way = way.before
        return tuple(reversed(found))


class _Work:
    """What each operator needs when it runs, given those that have run before."""

    def __init__(self, graph: Graph, workspace_bytes: Mapping[int, int], in_place: Collection[int]) -> None:
        kept = plan_state(graph, ALIASES).offsets
        root = {tensor: first for tensor, first in roots(graph).items() if tensor not in kept}
        self.count, alignment = len(graph.ops), alignment_of(graph)
        self.bytes = {r: aligned(graph.tensors[r].nbytes, alignment) for r in set(root.values())}
        self.reads = [{root[t] for t in op.inputs if t in root} for op in graph.ops]
        self.makes = [[t for t in op.outputs if root.get(t) == t] for op in graph.ops]
        self.scratch = [aligned(workspace_bytes.get(step, 0), alignment) for step in range(self.count)]
        self.shares = [
            [
                (share.source, share.in_place)
                for share in (*over_inputs(graph, root, step), *parts(graph, root, step))
                if (step in in_place or not share.in_place)
            ]
            for step in range(self.count)
        ]
        self.users = dict.fromkeys(self.bytes, 0)
        for step, read in enumerate(self.reads):
            for r in read:
                self.users[r] |= 1 << step
        self.stay = {root[t] for t in (*graph.outputs, *(s.written for s in graph.states)) if t in root}
        self.start = sum(self.bytes[r] for r in {root[t] for t in graph.inputs})
        self.before = _before(graph, kept)
        self.after: list[list[int]] = [[] for _ in range(self.count)]
        for step, before in enumerate(self.before):
            for earlier in range(step):
                if before >> earlier & 1:
                    self.after[earlier].append(step)
        everything = (1 << self.count) - 1
        self.floor = max((self._alone(step, everything) for step in range(self.count)), default=0)

    def _alone(self, step: int, everything: int) -> int:
        """What a step needs in every order: its own inputs and outputs, with all that can share sharing."""
        inputs = sum(self.bytes[r] for r in self.reads[step])
        made = sum(self.bytes[r] for r in self.makes[step])
        return inputs + made + self.scratch[step] - self._shared(step, everything, made)

    def _shared(self, step: int, done: int, made: int) -> int:
        """Bytes of a step's output that lie in inputs which die there."""
        total = 0
        for source, over in self.shares[step]:
            if self.users[source] & ~done or source in self.stay:
                continue
            if over:
                return made
            total += self.bytes[source]
        return min(total, made)

    def run(self, way: _Way, step: int) -> _Way:
        """The way with one more step."""
        done = way.done | 1 << step
        made = sum(self.bytes[r] for r in self.makes[step])
        need = way.live + made + self.scratch[step] - self._shared(step, done, made)
        gone = {r for r in (*self.reads[step], *self.makes[step]) if not self.users[r] & ~done and r not in self.stay}
        live = way.live + made - sum(self.bytes[r] for r in gone)
        moved = way.moved + abs(way.done.bit_count() - step)
        freed = (j for j in self.after[step] if not self.before[j] & ~done)
        ready = tuple(sorted((*(j for j in way.ready if j != step), *freed)))
        return _Way(done, ready, max(way.peak, need), moved, live, way, step)

    def first(self) -> _Way:
        ready = tuple(step for step, before in enumerate(self.before) if not before)
        return _Way(0, ready, self.start, 0, self.start, None, -1)

    def peak(self, order: Sequence[int]) -> int:
        """What an order needs."""
        way = self.first()
        for step in order:
            way = self.run(way, step)
        return way.peak


def _before(graph: Graph, kept: Collection[int]) -> list[int]:
    """Of each step, those that must have run before, as bits."""
    made: dict[int, int] = {}
    found, last = [], -1
    for step, op in enumerate(graph.ops):
        before = 0
        for tensor in op.inputs:
            if tensor in made:
                before |= 1 << made[tensor]
        if has_effect(op, kept):
            before |= 1 << last if last >= 0 else 0
            last = step
        made |= dict.fromkeys(op.outputs, step)
        found.append(before)
    return found


def _search(work: _Work, most: int, width: int) -> tuple[int, ...] | None:
    """An order that needs less than `most`; None where none was found.

    width: sets kept for each number of operators that have run.
    """
    ways = [work.first()]
    for _ in range(work.count):
        found: dict[int, _Way] = {}
        for way in ways:
            for after in _next(work, way):
                known = found.get(after.done)
                if after.peak < most and (known is None or (after.peak, after.moved) < (known.peak, known.moved)):
                    found[after.done] = after
        ways = sorted(found.values(), key=lambda w: (w.peak, w.live, w.moved, w.step, w.done))[:width]
    return ways[0].steps() if ways else None


def _next(work: _Work, way: _Way) -> list[_Way]:
    """Ways with one more step. One that frees as much as it makes and needs no more than the rest costs nothing."""
    after = [work.run(way, step) for step in way.ready]
    for one in after:
        if one.live <= way.live and one.peak <= max(way.peak, work.floor):
            return [one]
    return after
