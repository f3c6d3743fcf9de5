"""A budget for the arena: kernels with less scratch, or that work in place, where the cheapest ones do not fit."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from mcuprune.ir.graph import Graph
from mcuprune.kernels.choose import Choice
from mcuprune.plan.memory import Memory, plan_memory, plan_with
from mcuprune.plan.order import best_order, in_order

ROUNDS = 4
"""Kernels that are tried for a layer, one after the other."""


def fit_ordered(
    graph: Graph,
    choices: tuple[Choice, ...],
    core: str,
    max_bytes: int,
    *,
    price: float | None,
    forced: Collection[int] = (),
    grow_flash: bool = True,
) -> tuple[Graph, tuple[Choice, ...], Memory]:
    """The graph with its operators in the order that needs a smaller arena, and what fit_memory() says of it.

    The operators stay as they are where no order makes the arena smaller.
    """

    def fitted(ordered: Graph, chosen: tuple[Choice, ...]) -> tuple[Graph, tuple[Choice, ...], Memory]:
        return ordered, *fit_memory(ordered, chosen, core, max_bytes, price=price, forced=forced, grow_flash=grow_flash)

    workspaces = {step: choice.workspace_bytes for step, choice in enumerate(choices)}
    order = best_order(graph, workspaces, {step for step, choice in enumerate(choices) if choice.in_place})
    found = [fitted(graph, choices)]
    if order != tuple(range(len(choices))):
        found.append(fitted(in_order(graph, order), tuple(choices[step] for step in order)))
    return min(found, key=lambda one: one[2].plan.arena_bytes)


def fit_memory(
    graph: Graph,
    choices: tuple[Choice, ...],
    core: str,
    max_bytes: int,
    *,
    price: float | None,
    forced: Collection[int] = (),
    grow_flash: bool = True,
) -> tuple[tuple[Choice, ...], Memory]:
    """The plan, and the choices it holds for: as they are where they fit, else with kernels that need less memory.

    What comes back may still be larger than max_bytes: nothing smaller was found then.

    Args:
        core, price: see plan_memory().
        forced: operators, by index, whose encoding must stay.
        grow_flash: whether another kernel may take more flash, or be one that no layer has yet.
    """
    memory = plan_memory(graph, choices, core, price=price, max_bytes=max_bytes)
    for _ in range(ROUNDS * len(choices)):
        if memory.plan.arena_bytes <= max_bytes:
            break
        found = _best(graph, choices, memory, max_bytes, forced, grow_flash)
        if found is None:
            break
        choices = found
        memory = plan_memory(graph, choices, core, price=price, max_bytes=max_bytes)
    return choices, memory


def _best(
    graph: Graph,
    choices: tuple[Choice, ...],
    memory: Memory,
    max_bytes: int,
    forced: Collection[int],
    grow_flash: bool,
) -> tuple[Choice, ...] | None:
    """The choices with the one other kernel that helps most; None where nothing helps.

    A smaller lower bound helps, fewer steps that need all of it, a smaller arena, each as far as the budget asks.
    """

    def need(other: tuple[Choice, ...]) -> tuple[int, int, int]:
        changed = {step for step, (a, b) in enumerate(zip(choices, other, strict=True)) if a is not b}
        apart = [strips for strips in memory.strips if not {strips.step, strips.step + 1} & changed]
        plans = [
            plan_with(graph, other, strips) for strips in (memory.strips, apart)
        ]  # strips for another kernel's sake
        return min((max(p.lower_bound, max_bytes), len(p.peak_steps), max(p.arena_bytes, max_bytes)) for p in plans)

    others = list(_others(choices, memory.plan.peak_steps, forced, grow_flash))
    best = min(others, key=need, default=choices)
    return best if need(best) < need(choices) else None


def _others(
    choices: tuple[Choice, ...], steps: Collection[int], forced: Collection[int], grow_flash: bool
) -> Iterator[tuple[Choice, ...]]:
    """The choices with one of these steps served by a kernel that needs less memory, the cheapest kernels first."""
    used = {choice.kernel for choice in choices}
    for step in sorted(step for step in steps if 0 <= step < len(choices)):
        old = choices[step]
        for new in sorted(old.found, key=lambda c: (c.cost.effort, c.flash_bytes)):
            less = new.workspace_bytes < old.workspace_bytes or (new.in_place and not old.in_place)
            light = grow_flash or (new.flash_bytes <= old.flash_bytes and new.kernel in used)
            if less and light and (old.op.index not in forced or new.encoding == old.encoding):
                kept = replace(new, why=f"{new.label} for less memory than {old.label}", found=old.found)
                yield (*choices[:step], kept, *choices[step + 1 :])
