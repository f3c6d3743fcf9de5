"""Memory planned ahead: lifetimes of activations and workspaces, and their offsets in one arena.

Step k of the schedule is the k-th operator. A tensor lives from the step that makes it to the last step that reads it;
a model input lives from before the first step; a model output to the end; a workspace during its own step. RESHAPE
makes no buffer: its output is its input under another shape. Where a kernel works in place, its output starts where a
dying input does. Of a streamed tensor only some rows exist at a time: the operators that make and read it run by turns,
as one step. What is kept between calls lies elsewhere (state.py); what becomes a kept value lives to the end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from mcuprune.ir.graph import Graph
from mcuprune.plan.state import NO_STATE, StatePlan, plan_state

ALIGNMENT = 4
"""Bytes; every buffer starts on a multiple (words are what SIMD kernels load)."""

ALIASES = frozenset({"RESHAPE"})
"""Operators whose output is their input's memory."""

TRIES = 20
"""Of each order of placing."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """A stretch of the arena that is live during steps first..last, both included."""

    label: str
    bytes: int
    first: int
    last: int
    offset: int = -1

    def meets(self, other: Buffer) -> bool:
        """Whether both live at some step."""
        return self.first <= other.last and other.first <= self.last


Group = tuple[Buffer, ...]
"""Buffers that start at one offset; one may be live while the next one, not larger, is written over it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Offsets in bytes: of each activation by tensor index, of each workspace by step.

    `lower_bound` is the largest sum of buffers that live at the same step: no plan needs less. `in_place`: steps whose
    output starts where an input does. `peak_steps`: those that need the lower bound. `state`: what lies elsewhere.
    """

    tensors: Mapping[int, int]
    workspaces: Mapping[int, int]
    arena_bytes: int
    lower_bound: int
    buffers: tuple[Buffer, ...]
    in_place: frozenset[int] = frozenset()
    peak_steps: frozenset[int] = frozenset()
    state: StatePlan = NO_STATE


def plan_arena(
    graph: Graph,
    workspace_bytes: Mapping[int, int],
    in_place: Collection[int] = (),
    streamed: Mapping[int, int] | None = None,
) -> Plan:
    """Place every activation and workspace.

    Args:
        graph: the model; constants are in flash and take no part.
        workspace_bytes: by step (position of the operator in graph.ops); missing means none.
        in_place: steps whose output may start where an input of its size or more does.
        streamed: by tensor index, bytes of those that exist a few rows at a time; the step after the one that makes
            such a tensor is the only one that reads it.
    """
    state = plan_state(graph, ALIASES)
    root = {tensor: first for tensor, first in _roots(graph).items() if tensor not in state.offsets}
    lives = _lives(graph, root, streamed or {})
    scratch = _workspaces(graph, workspace_bytes, streamed or {})
    hosts = _hosts(graph, root, lives, in_place, streamed or {})
    plans = [_plan(root, lives, scratch, hosts)]
    if plans[0].arena_bytes > plans[0].lower_bound:
        plans.append(_plan(root, lives, scratch, {}))
    best = min(plans, key=lambda plan: plan.arena_bytes)
    return replace(best, lower_bound=plans[0].lower_bound, state=state)


def _roots(graph: Graph) -> dict[int, int]:
    """Of every activation, the tensor whose memory it is."""
    root = {tensor: tensor for tensor in graph.inputs}
    for op in graph.ops:
        for tensor in op.outputs:
            source = op.inputs[0] if op.inputs else -1
            root[tensor] = root[source] if op.kind in ALIASES and source in root else tensor
    return root


def _turns(graph: Graph, streamed: Mapping[int, int]) -> Mapping[int, tuple[int, int]]:
    """First and last step of those that run by turns: step -> (first, last). Neighbouring pairs join."""
    joined = [any(tensor in streamed for tensor in op.outputs) for op in graph.ops]
    spans: dict[int, tuple[int, int]] = {}
    start = 0
    for step, onward in enumerate(joined):
        if not onward:
            spans |= dict.fromkeys(range(start, step + 1), (start, step))
            start = step + 1
    return spans


def _lives(graph: Graph, root: Mapping[int, int], streamed: Mapping[int, int]) -> dict[int, Buffer]:
    """Size and life of every activation that has memory of its own."""
    spans, end = _turns(graph, streamed), len(graph.ops)
    first = {root[tensor]: -1 for tensor in graph.inputs}
    last = {root[tensor]: -1 for tensor in graph.inputs}
    for step, op in enumerate(graph.ops):
        for tensor in (*op.inputs, *op.outputs):
            if tensor in root:
                first.setdefault(root[tensor], spans[step][0])
                last[root[tensor]] = max(last.get(root[tensor], step), spans[step][1])
    last |= {root[tensor]: end for tensor in (*graph.outputs, *(s.written for s in graph.states)) if tensor in root}

    def size(tensor: int) -> int:
        return streamed.get(tensor, graph.tensors[tensor].nbytes)

    return {t: Buffer(graph.tensors[t].name, _aligned(size(t)), first[t], last[t]) for t in first}


def _workspaces(graph: Graph, sizes: Mapping[int, int], streamed: Mapping[int, int]) -> dict[int, Buffer]:
    """Workspaces by the first step that uses them: operators that run by turns share one."""
    spans, found = _turns(graph, streamed), dict[int, Buffer]()
    for step, size in sizes.items():
        first, last = spans[step]
        if size > 0:
            before = found[first].bytes if first in found else 0
            names = " and ".join(graph.ops[i].name for i in range(first, last + 1))
            found[first] = Buffer(f"workspace of {names}", max(before, _aligned(size)), first, last)
    return {step: found[spans[step][0]] for step, size in sizes.items() if size > 0}


def _hosts(
    graph: Graph,
    root: Mapping[int, int],
    lives: Mapping[int, Buffer],
    in_place: Collection[int],
    streamed: Mapping[int, int],
) -> dict[int, int]:
    """Of each activation that is written over another, that other one: an input that dies there and is not smaller."""
    spans, found = _turns(graph, streamed), dict[int, int]()
    for step in sorted(in_place):
        op = graph.ops[step]
        output = op.outputs[0]
        if spans[step] != (step, step) or root.get(output) != output:
            continue
        for source in dict.fromkeys(root[t] for t in op.inputs if t in root):
            fits = graph.tensors[source].nbytes >= graph.tensors[output].nbytes  # not only as whole words
            if lives[source].last == step and fits and output not in found:
                found[output] = source
    return found


def _plan(
    root: Mapping[int, int], lives: Mapping[int, Buffer], scratch: Mapping[int, Buffer], hosts: Mapping[int, int]
) -> Plan:
    """Place groups: activations with those that are written over them, and workspaces."""
    leader = {tensor: tensor for tensor in lives}
    for tensor in sorted(lives, key=lambda t: lives[t].first):
        if tensor in hosts:
            leader[tensor] = leader[hosts[tensor]]
    members: dict[int, list[int]] = {}
    for tensor, first in leader.items():
        members.setdefault(first, []).append(tensor)
    shared = list(dict.fromkeys(scratch.values()))
    groups: list[Group] = [tuple(lives[t] for t in tensors) for tensors in members.values()]
    placed = _place([*groups, *((buffer,) for buffer in shared)])
    offsets = dict(zip(members, (group[0].offset for group in placed), strict=False))
    spaces = dict(zip(shared, (group[0].offset for group in placed[len(groups) :]), strict=True))
    needs = _needs(placed)
    bound = max(needs.values(), default=0)
    return Plan(
        tensors={tensor: offsets[leader[r]] for tensor, r in root.items()},
        workspaces={step: spaces[buffer] for step, buffer in scratch.items()},
        arena_bytes=_peak(placed),
        lower_bound=bound,
        buffers=tuple(chain.from_iterable(placed)),
        in_place=frozenset(lives[tensor].first for tensor in hosts),
        peak_steps=frozenset(step for step, size in needs.items() if size == bound),
    )


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _peak(groups: list[Group]) -> int:
    return max((b.offset + b.bytes for group in groups for b in group), default=0)


def _lower_bound(groups: list[Group]) -> int:
    return max(_needs(groups).values(), default=0)


def _needs(groups: list[Group]) -> dict[int, int]:
    """By step, the sum of what each group takes there."""

    def taken(group: Group, step: int) -> int:
        return max((b.bytes for b in group if b.first <= step <= b.last), default=0)

    steps = sorted({step for group in groups for b in group for step in range(b.first, b.last + 1)})
    return {step: sum(taken(group, step) for group in groups) for step in steps}


def _place(groups: list[Group]) -> list[Group]:
    """Place by several orders, keep the plan with the lowest peak. Returns the groups in the order given.

    Where an order misses the lower bound, what ended on top is placed first in the next try.
    """

    def size(group: Group) -> int:
        return max(b.bytes for b in group)

    def first(group: Group) -> int:
        return min(b.first for b in group)

    def life(group: Group) -> int:
        return max(b.last for b in group) - first(group) + 1

    orders: tuple[Callable[[Group], tuple[int, ...]], ...] = (
        lambda g: (-size(g), first(g)),
        lambda g: (-size(g) * life(g), first(g)),
        lambda g: (first(g), -size(g)),
        lambda g: (-life(g), -size(g)),
        lambda g: (-max(b.last for b in g), -size(g)),
    )
    least, best = _lower_bound(groups), None
    for key in orders:
        order = sorted(range(len(groups)), key=lambda i: (key(groups[i]), i))
        for _ in range(TRIES):
            placed = _place_in_order(groups, order)
            if best is None or _peak(placed) < _peak(best):
                best = placed
            if _peak(best) == least:
                return best
            top = {i for i, group in enumerate(placed) if _peak([group]) == _peak(placed)}
            order = [*(i for i in order if i in top), *(i for i in order if i not in top)]
    assert best is not None
    return best


def _place_in_order(groups: list[Group], order: list[int]) -> list[Group]:
    """One group after the other, each at the lowest offset that is free during the life of each of its members."""
    done: dict[int, Group] = {}
    for i in order:
        taken = sorted(
            (other.offset - member.bytes, other.offset + other.bytes)
            for other in chain.from_iterable(done.values())
            for member in groups[i]
            if member.meets(other)
        )
        offset = 0
        for below, above in taken:  # an offset strictly between the two would overlap
            if offset <= below:
                break
            offset = max(offset, above)
        done[i] = tuple(replace(member, offset=offset) for member in groups[i])
    return [done[i] for i in range(len(groups))]
