"""Memory planned ahead: lifetimes of activations and workspaces, and their offsets in one arena.

Step k of the schedule is the k-th operator. A tensor lives from the step that makes it to the last step that reads it;
a model input lives from before the first step; a model output to the end; a workspace during its own step. Which
tensors lie in one another's memory is said in mcuprune/plan/sharing.py. Of a streamed tensor only some rows exist at a
time: the operators that make and read it run by turns, as one step. What is kept between calls lies elsewhere
(state.py); what becomes a kept value lives to the end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from mcuprune.ir.graph import Graph
from mcuprune.plan.blocks import Block, Buffer, aligned, alignment_of, lower_bound, needs, peak
from mcuprune.plan.place import NODES, place
from mcuprune.plan.sharing import ALIASES, Joined, Share, join_all, possible_shares, roots
from mcuprune.plan.state import NO_STATE, StatePlan, plan_state

TRIED_SHARES = 40
"""Of those that are left out in turn where a plan misses the lower bound, the smallest ones."""

WORKSPACE = "workspace of "
"""Before the names of the operators whose workspace a buffer is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Offsets in bytes: of each activation by tensor index, of each workspace by step.

    `lower_bound` is the largest sum of buffers that live at the same step: no plan needs less. `in_place`: steps whose
    output starts where an input does. `inside`: (step, number of the input) of inputs that lie where the step's output
    wants them, so that they need not be copied. `peak_steps`: those that need the lower bound. `state`: what
    lies elsewhere.
    """

    tensors: Mapping[int, int]
    workspaces: Mapping[int, int]
    arena_bytes: int
    lower_bound: int
    buffers: tuple[Buffer, ...]
    in_place: frozenset[int] = frozenset()
    inside: frozenset[tuple[int, int]] = frozenset()
    peak_steps: frozenset[int] = frozenset()
    state: StatePlan = NO_STATE


def plan_arena(
    graph: Graph,
    workspace_bytes: Mapping[int, int],
    in_place: Collection[int] = (),
    streamed: Mapping[int, int] | None = None,
    *,
    nodes: int = NODES,
) -> Plan:
    """Place every activation and workspace.

    Args:
        graph: the model; constants are in flash and take no part.
        workspace_bytes: by step (position of the operator in graph.ops); missing means none.
        in_place: steps whose output may start where an input of its size or more does.
        streamed: by tensor index, bytes of those that exist a few rows at a time; the step after the one that makes
            such a tensor is the only one that reads it.
        nodes: effort of the search where no order of placing reaches the lower bound; 0: no search.
    """
    streamed = streamed or {}
    state = plan_state(graph, ALIASES)
    root = {tensor: first for tensor, first in roots(graph).items() if tensor not in state.offsets}
    spans = _turns(graph, streamed)
    lives = _lives(graph, root, streamed, spans)
    scratch = _workspaces(graph, workspace_bytes, spans)
    whole = [step for step in range(len(graph.ops)) if spans[step] == (step, step)]
    shares = possible_shares(graph, lives, root, in_place, whole)
    joined = join_all(lives, shares)
    least = lower_bound(_blocks(joined, scratch.values()))
    plan = _plan(root, joined, scratch, nodes)
    if plan.arena_bytes > least and shares:
        for fewer in _fewer(shares, lives, scratch, least):
            if plan.arena_bytes == least:
                break
            other = _plan(root, join_all(lives, fewer), scratch, nodes)
            plan = min(plan, other, key=lambda p: p.arena_bytes)
    return replace(plan, lower_bound=least, state=state)


def _fewer(
    shares: Sequence[Share], lives: Mapping[int, Buffer], scratch: Mapping[int, Buffer], least: int
) -> Iterator[list[Share]]:
    """Some of the shares alone: what shares memory must lie together, and is in the way now and then.

    First those that the lower bound needs: each is left out in turn, and stays out where the bound does not mind.
    """
    needed = list(shares)
    smallest = sorted(shares, key=lambda s: (min(lives[s.source].bytes, lives[s.output].bytes), s.step, s.place))
    for share in smallest[:TRIED_SHARES]:
        without = [other for other in needed if other is not share]
        if lower_bound(_blocks(join_all(lives, without), scratch.values())) <= least:
            needed = without
    yield needed
    over = [share for share in shares if share.in_place]
    inside = [share for share in shares if not share.in_place]
    yield from [over, inside, []] if over and inside else [[]]


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


def _lives(
    graph: Graph, root: Mapping[int, int], streamed: Mapping[int, int], spans: Mapping[int, tuple[int, int]]
) -> dict[int, Buffer]:
    """Size and life of every activation that has memory of its own."""
    end, alignment = len(graph.ops), alignment_of(graph)
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

    return {t: Buffer(graph.tensors[t].name, aligned(size(t), alignment), first[t], last[t]) for t in first}


def _workspaces(graph: Graph, sizes: Mapping[int, int], spans: Mapping[int, tuple[int, int]]) -> dict[int, Buffer]:
    """Workspaces by step: operators that run by turns share one."""
    found, alignment = dict[int, Buffer](), alignment_of(graph)
    for step, size in sizes.items():
        first, last = spans[step]
        if size > 0:
            before = found[first].bytes if first in found else 0
            names = " and ".join(graph.ops[i].name for i in range(first, last + 1))
            found[first] = Buffer(f"{WORKSPACE}{names}", max(before, aligned(size, alignment)), first, last)
    return {step: found[spans[step][0]] for step, size in sizes.items() if size > 0}


def _blocks(joined: Joined, scratch: Collection[Buffer]) -> list[Block]:
    """Activations that lie together, and each workspace."""
    found = []
    for members in joined.blocks():
        base = min(joined.at[t] for t in members)
        found.append(tuple(replace(joined.lives[t], at=joined.at[t] - base) for t in members))
    return [*found, *((buffer,) for buffer in dict.fromkeys(scratch))]


def _plan(root: Mapping[int, int], joined: Joined, scratch: Mapping[int, Buffer], nodes: int) -> Plan:
    """Place blocks."""
    placed = place(_blocks(joined, scratch.values()), nodes)
    members = [t for block in joined.blocks() for t in block]
    buffers = tuple(chain.from_iterable(placed))
    offsets = {t: buffer.offset for t, buffer in zip(members, buffers, strict=False)}
    spaces = dict(zip(dict.fromkeys(scratch.values()), buffers[len(members) :], strict=True))
    taken = needs(placed)
    bound = max(taken.values(), default=0)
    return Plan(
        tensors={tensor: offsets[r] for tensor, r in root.items() if r in offsets},
        workspaces={step: spaces[buffer].offset for step, buffer in scratch.items()},
        arena_bytes=peak(placed),
        lower_bound=bound,
        buffers=buffers,
        in_place=frozenset(share.step for share in joined.shares if share.in_place),
        inside=frozenset((share.step, share.place) for share in joined.shares if not share.in_place),
        peak_steps=frozenset(step for step, size in taken.items() if size == bound),
    )
