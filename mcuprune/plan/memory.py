"""Which layers run in strips, and the arena that follows: as small as it gets for little time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mcuprune.ir.graph import Graph
from mcuprune.kernels.choose import Choice
from mcuprune.plan.arena import Plan, plan_arena
from mcuprune.plan.place import NODES
from mcuprune.plan.strips import Strips, extra_effort, possible_strips, row_workspace, with_packed

WORTH = 0.1
"""Strips are taken where they make the arena smaller by more than this share of what it was without any."""

PRICE: Mapping[str, float] = {"speed": 0.02, "max-flash": 0.02, "balanced": 0.05, "flash": 0.05}
"""And where they cost at most this share of the whole model's effort, by objective."""

SKETCH_NODES = 500
"""Effort of placing while strips and kernels are compared; the plan that is taken gets NODES."""

NEAR = 0.05
"""Of several heights, the cheapest is taken whose arena is larger than the smallest by at most this share."""


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """Where everything lies, and the layers that run in strips."""

    plan: Plan
    strips: tuple[Strips, ...] = ()


def plan_memory(
    graph: Graph, choices: tuple[Choice, ...], core: str, *, price: float | None, max_bytes: int | None = None
) -> Memory:
    """Plan the arena, with strips where they are worth it.

    Args:
        core: the name of the core, which decides what strips cost.
        price: share of the model's effort that strips may cost; None: no strips at all.
        max_bytes: an arena over this takes any strips that make it smaller.
    """
    chosen: dict[int, Strips] = {}
    whole = plan = plan_with(graph, choices, ())
    afford = (price or 0.0) * sum(choice.cost.effort for choice in choices)
    for budget in (None, max_bytes) if price is not None else ():
        found = True
        while found and (budget is None or plan.arena_bytes > budget):
            most = plan.arena_bytes - (int(WORTH * whole.arena_bytes) if budget is None else 0) - 1
            found = False
            for strip, smaller in _ranked(graph, choices, core, chosen, plan, most, budget):
                extra = extra_effort(choices, strip, core)
                if budget is None and extra > afford:
                    continue
                ready = with_packed(choices, strip)
                if ready is not None:
                    chosen[strip.step], plan, found = ready, smaller, True
                    afford -= extra
                    break
        if max_bytes is None:
            break
    if plan.arena_bytes > plan.lower_bound:
        plan = min(plan, plan_with(graph, choices, chosen.values(), NODES), key=lambda p: p.arena_bytes)
    return Memory(plan, tuple(chosen[step] for step in sorted(chosen)))


def _ranked(
    graph: Graph,
    choices: tuple[Choice, ...],
    core: str,
    chosen: Mapping[int, Strips],
    plan: Plan,
    most: int,
    budget: int | None,
) -> Iterator[tuple[Strips, Plan]]:
    """Strips by which the arena takes at most `most` bytes, the best first; new ones, or others in place of old ones.

    budget: the arena is over it, and the cheapest strips are those that meet it; None: it is not.
    """
    found = []
    for step in range(len(graph.ops) - 1):
        if {step - 1, step + 1} & set(chosen) or not {step, step + 1} & plan.peak_steps:
            continue
        for strip in possible_strips(graph, choices, step):
            found.append((plan_with(graph, choices, ({**chosen, step: strip}).values()), strip))
    least = min((plan.arena_bytes for plan, _ in found), default=0)
    near = least * (1 + NEAR) if budget is None else max(least, budget)
    ranked = sorted(
        found, key=lambda pair: (max(pair[0].arena_bytes, near), extra_effort(choices, pair[1], core), -pair[1].height)
    )
    return ((strip, plan) for plan, strip in ranked if plan.arena_bytes <= most)


def plan_with(graph: Graph, choices: tuple[Choice, ...], chosen: Iterable[Strips], nodes: int = SKETCH_NODES) -> Plan:
    """The arena where these pairs of layers run by turns; nodes: see plan_arena()."""
    chosen = tuple(chosen)
    workspaces = {step: choice.workspace_bytes for step, choice in enumerate(choices)}
    for strip in chosen:
        for step in (strip.step, strip.step + 1):
            workspaces[step] = row_workspace(choices[step], strip, step)
    in_place = {step for step, choice in enumerate(choices) if choice.in_place}
    return plan_arena(graph, workspaces, in_place, {strip.tensor: strip.buffer_bytes for strip in chosen}, nodes=nodes)
