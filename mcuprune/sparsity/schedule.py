"""How sparse the weights are at each step of training. Pure Python."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from mcuprune.errors import UsageError

UPDATES = 50
"""Mask updates along a ramp whose frequency is not given: few enough to cost nothing, many enough to be gradual."""


class PruningSchedule(Protocol):
    """What says how sparse. Steps count optimizer updates from 0: `step` updates were made before."""

    @property
    def final_step(self) -> int:
        """From this step on the sparsity stays as it is."""
        ...

    def sparsity_at(self, step: int, final_sparsity: float) -> float:
        """The share of zeros that a layer with this goal has before update `step`, in [0, 1)."""
        ...

    def is_update(self, step: int) -> bool:
        """Whether masks are computed again before update `step`."""
        ...


@dataclass(frozen=True, slots=True)
class PolynomialDecay:
    """Sparsity that rises fast, then slowly, as the density decays by a polynomial.

        s(t) = goal + (start - goal) * (1 - (t - begin) / (end - begin)) ** power

    `start` is initial_sparsity / final_sparsity of the layer's goal, so that layers with other goals rise alike. Before
    begin_step nothing is pruned; from end_step on the goal is reached and the masks stay.
    Source: Zhu, Gupta, "To prune, or not to prune" (2017), equation 1.

    initial_sparsity, final_sparsity: shares of zeros in [0, 1).
    begin_step, end_step: optimizer updates; equal ones prune at once.
    frequency: updates between two masks; None gives UPDATES of them.
    """

    initial_sparsity: float = 0.0
    final_sparsity: float = 0.5
    begin_step: int = 0
    end_step: int = 1000
    power: float = 3
    frequency: int | None = None

    def __post_init__(self) -> None:
        for name in ("initial_sparsity", "final_sparsity"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise UsageError(f"{name} {getattr(self, name):g} is not in [0, 1)")
        if self.initial_sparsity > self.final_sparsity:
            raise UsageError(f"the sparsity falls from {self.initial_sparsity:g} to {self.final_sparsity:g}")
        if self.begin_step < 0 or self.end_step < self.begin_step:
            raise UsageError(
                f"the schedule begins at step {self.begin_step} and ends at {self.end_step}",
                hint="begin_step is 0 or more, and end_step no less",
            )
        if not (math.isfinite(self.power) and self.power > 0):
            raise UsageError(f"power {self.power:g} is not positive", hint="3 is usual, 1 is a straight line")
        if self.frequency is not None and self.frequency < 1:
            raise UsageError(f"frequency {self.frequency} is less than 1")

    @property
    def final_step(self) -> int:
        return self.end_step

    def sparsity_at(self, step: int, final_sparsity: float | None = None) -> float:
        """The share of zeros before update `step`, of a layer with this goal (default final_sparsity)."""
        goal = self.final_sparsity if final_sparsity is None else final_sparsity
        if step < self.begin_step:
            return 0.0
        if step >= self.end_step:
            return goal
        start = goal * self.initial_sparsity / self.final_sparsity if self.final_sparsity else 0.0
        left = 1 - (step - self.begin_step) / (self.end_step - self.begin_step)
        return float(goal + (start - goal) * left**self.power)

    def is_update(self, step: int) -> bool:
        if not self.begin_step <= step <= self.end_step:
            return False
        every = self.frequency or max(1, (self.end_step - self.begin_step) // UPDATES)
        return step == self.end_step or (step - self.begin_step) % every == 0


@dataclass(frozen=True, slots=True)
class ConstantSparsity:
    """The goal from begin_step on; masks are computed again every `frequency` updates until end_step (-1: once)."""

    target_sparsity: float
    begin_step: int
    end_step: int = -1
    frequency: int = 100

    def __post_init__(self) -> None:
        if not 0.0 <= self.target_sparsity < 1.0:
            raise UsageError(f"target_sparsity {self.target_sparsity:g} is not in [0, 1)")
        if self.begin_step < 0 or -1 != self.end_step < self.begin_step:
            raise UsageError(f"the schedule begins at step {self.begin_step} and ends at {self.end_step}")
        if self.frequency < 1:
            raise UsageError(f"frequency {self.frequency} is less than 1")

    @property
    def final_step(self) -> int:
        return max(self.begin_step, self.end_step)

    def sparsity_at(self, step: int, final_sparsity: float | None = None) -> float:
        goal = self.target_sparsity if final_sparsity is None else final_sparsity
        return goal if step >= self.begin_step else 0.0

    def is_update(self, step: int) -> bool:
        return self.begin_step <= step <= self.final_step and (step - self.begin_step) % self.frequency == 0
