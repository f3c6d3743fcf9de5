"""A global budget while training: what each layer has of the sparsity of now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mcuprune.masks import Budget, Pattern, global_magnitude, unit_count
from mcuprune.sparsity.criteria import Array
from mcuprune.sparsity.masked import MaskedWeight
from mcuprune.sparsity.schedule import PruningSchedule


def share_out(
    masked: Sequence[MaskedWeight],
    importance: Sequence[Array],
    budget: Budget | None,
    pattern: Pattern,
    sparsity: float,
    final: float,
) -> None:
    """Share a sparsity out among the layers of a global budget, by their weights of now: their goals are set.

    Lower bounds rise as the sparsity does towards the final one, less the part of a unit that rounding may take.
    """
    places = [i for i, entry in enumerate(masked) if entry.goal.shared]
    if not places or budget is None or not final:
        return
    low = budget.low
    if sparsity < final:
        units = min(unit_count(pattern, *masked[i].weight.matrix_shape) for i in places)
        low = max(low * sparsity / final - 1 / units, 0.0)
    found = global_magnitude([importance[i] for i in places], sparsity, pattern=pattern, low=low, high=budget.high)
    for i, share in zip(places, found, strict=True):
        masked[i].goal = replace(masked[i].goal, sparsity=share, note="by --budget global")


def shares_at(
    masked: Sequence[MaskedWeight], schedule: PruningSchedule, step: int, final: float
) -> tuple[list[float], float]:
    """(sparsity of each weight before update `step`; the least share, 0..1, that one of them has of its goal then).

    Where a global budget shares out, the goals are those of now.
    """
    shares, reached = [], [1.0]
    for goal in (entry.goal for entry in masked):
        end = final if goal.shared else goal.sparsity
        now = schedule.sparsity_at(step, end)
        shares.append(goal.sparsity if goal.shared else now)
        reached.append(now / end)
    return shares, min(reached)
