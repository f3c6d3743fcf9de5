"""Which layers run in strips, and the arena that follows: as small as it gets without paying for it in time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mcuprune.ir.graph import Graph
from mcuprune.kernels.choose import Choice
from mcuprune.plan.arena import Plan, plan_arena
from mcuprune.plan.strips import Strips, possible_strips, row_workspace, walks, with_packed

WORTH = 0.1
"""Strips are taken where they make the arena smaller by more than this share of what it was without any."""

NEAR = 0.05
"""Strips that cut fewer tiles, then fewer strips, are taken where their arena is larger than the smallest by at most
this share."""

MOVES_PER_MAC = 0.02
"""And where they move at most so many bytes for each multiplication of the two layers."""


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """Where everything lies, and the layers that run in strips."""

    plan: Plan
    strips: tuple[Strips, ...] = ()


def plan_memory(
    graph: Graph, choices: tuple[Choice, ...], *, strips: bool = True, max_bytes: int | None = None
) -> Memory:
    """Plan the arena, with strips where they are worth it.

    Args:
        strips: whether layers may run in strips at all.
        max_bytes: an arena over this takes any strips that make it smaller.
    """
    chosen: dict[int, Strips] = {}
    whole = plan = plan_with(graph, choices, ())
    for budget in (None, max_bytes) if strips else ():
        found = True
        while found and (budget is None or plan.arena_bytes > budget):
            most = plan.arena_bytes - (int(WORTH * whole.arena_bytes) if budget is None else 0) - 1
            found = False
            for strip, smaller in _ranked(graph, choices, chosen, plan, most, budget):
                ready = with_packed(choices, strip)
                if ready is not None:
                    chosen[strip.step], plan, found = ready, smaller, True
                    break
        if max_bytes is None:
            break
    return Memory(plan, tuple(chosen[step] for step in sorted(chosen)))


def _ranked(
    graph: Graph,
    choices: tuple[Choice, ...],
    chosen: Mapping[int, Strips],
    plan: Plan,
    most: int,
    budget: int | None,
) -> Iterator[tuple[Strips, Plan]]:
    """Strips by which the arena takes at most `most` bytes, the best first; new ones, or others in place of old ones.

    budget: the arena is over it, so that strips that move many bytes count, too; None: it is not.
    """
    found = []
    for step in range(len(graph.ops) - 1):
        if {step - 1, step + 1} & set(chosen) or not {step, step + 1} & plan.peak_steps:
            continue
        macs = sum(p.macs for p in (choices[step].params, choices[step + 1].params) if p is not None)
        for strip in possible_strips(graph, choices, step):
            if budget is not None or strip.moved_bytes <= MOVES_PER_MAC * macs:
                found.append((plan_with(graph, choices, ({**chosen, step: strip}).values()), strip))
    least = min((plan.arena_bytes for plan, _ in found), default=0)
    near = least * (1 + NEAR) if budget is None else max(least, budget)
    ranked = sorted(found, key=lambda pair: (max(pair[0].arena_bytes, near), walks(choices, pair[1]), -pair[1].height))
    return ((strip, plan) for plan, strip in ranked if plan.arena_bytes <= most)


def plan_with(graph: Graph, choices: tuple[Choice, ...], chosen: Iterable[Strips]) -> Plan:
    """The arena where these pairs of layers run by turns."""
    chosen = tuple(chosen)
    workspaces = {step: choice.workspace_bytes for step, choice in enumerate(choices)}
    for strip in chosen:
        for step in (strip.step, strip.step + 1):
            workspaces[step] = row_workspace(choices[step], strip, step)
    in_place = {step for step, choice in enumerate(choices) if choice.in_place}
    return plan_arena(graph, workspaces, in_place, {strip.tensor: strip.buffer_bytes for strip in chosen})
