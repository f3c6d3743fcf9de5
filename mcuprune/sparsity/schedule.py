"""How sparse the weights are at each step of training. Pure Python.

Names, arguments and defaults are those of TensorFlow Model Optimization. Steps count optimizer updates from 0: at step
t, t updates were made before.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from numbers import Integral, Real
from typing import Any

from mcuprune.errors import UsageError

UPDATES = 50
"""Mask updates along a ramp whose frequency is None: few enough to cost nothing, many enough to be gradual."""


class PruningSchedule(ABC):
    """What says how sparse. A subclass says it in __call__, or in sparsity_at() and is_update()."""

    @abstractmethod
    def __call__(self, step: int) -> tuple[bool, float]:
        """(whether masks are computed again before update `step`, the share of zeros then)."""

    @abstractmethod
    def get_config(self) -> dict[str, Any]:
        """`{"class_name": ..., "config": arguments}`."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PruningSchedule:
        """A schedule of the arguments in get_config()["config"]."""
        return cls(**config)

    @property
    def final_step(self) -> int:
        """From this step on the sparsity stays as it is; -1 where the schedule does not say."""
        return -1

    def sparsity_at(self, step: int, final_sparsity: float | None = None) -> float:
        """The share of zeros before update `step`; final_sparsity is a layer's own goal, which a schedule that does not
        override this cannot know: it gives all layers the same."""
        return float(self(step)[1])

    def is_update(self, step: int) -> bool:
        """Whether masks are computed again before update `step`."""
        return bool(self(step)[0])

    def last_update(self, step: int, since: int = 0) -> int:
        """The last of the updates `since`..`step` before which masks are computed again, -1 if there is none."""
        return next((s for s in range(step, since - 1, -1) if self.is_update(s)), -1)


class _Schedule(PruningSchedule):
    """The rest of a schedule that is a dataclass of its arguments: a class derived from it that has a __call__() of its
    own is asked by that alone, and does not say where it ends."""

    def __call__(self, step: int) -> tuple[bool, float]:
        return self._last(int(step), int(step)) == int(step), self._share(int(step), None)

    def get_config(self) -> dict[str, Any]:
        return {"class_name": type(self).__name__, "config": asdict(self)}  # type: ignore[call-overload]

    @property
    def final_step(self) -> int:
        return self._end() if self._plain else super().final_step

    def sparsity_at(self, step: int, final_sparsity: float | None = None) -> float:
        return self._share(step, final_sparsity) if self._plain else super().sparsity_at(step, final_sparsity)

    def is_update(self, step: int) -> bool:
        return self.last_update(step, step) == step if self._plain else super().is_update(step)

    def last_update(self, step: int, since: int = 0) -> int:
        return self._last(step, since) if self._plain else super().last_update(step, since)

    @property
    def _plain(self) -> bool:
        return type(self).__call__ is _Schedule.__call__

    @abstractmethod
    def _end(self) -> int:
        """final_step."""

    @abstractmethod
    def _share(self, step: int, final_sparsity: float | None) -> float:
        """sparsity_at()."""

    @abstractmethod
    def _last(self, step: int, since: int) -> int:
        """last_update()."""


@dataclass(frozen=True)
class ConstantSparsity(_Schedule):
    """The goal from begin_step on. Masks are computed again every `frequency` updates until end_step (-1: forever),
    which changes them only where other weights became zero meanwhile."""

    target_sparsity: float
    begin_step: int
    end_step: int = -1
    frequency: int = 100

    def __post_init__(self) -> None:
        _check_sparsity("target_sparsity", self.target_sparsity)
        _check_steps(self.begin_step, self.end_step, self.frequency, endless=True)

    def _end(self) -> int:
        return self.begin_step

    def _share(self, step: int, final_sparsity: float | None) -> float:
        goal = self.target_sparsity if final_sparsity is None else final_sparsity
        return goal if step >= self.begin_step else 0.0

    def _last(self, step: int, since: int) -> int:
        last = step if self.end_step == -1 else min(step, self.end_step)
        if last < self.begin_step:
            return -1
        last -= (last - self.begin_step) % self.frequency
        return last if last >= since else -1


@dataclass(frozen=True)
class PolynomialDecay(_Schedule):
    """Sparsity that rises fast, then slowly, as the density decays by a polynomial.

        s(t) = goal + (start - goal) * (1 - (t - begin) / (end - begin)) ** power

    `start` is initial_sparsity / final_sparsity of the layer's goal, so that layers with other goals rise alike. Before
    begin_step nothing is pruned; from end_step on the goal is reached and the masks stay.
    Source: Zhu, Gupta, "To prune, or not to prune" (2017), equation 1.

    initial_sparsity, final_sparsity: shares of zeros in [0, 1).
    begin_step, end_step: optimizer updates; equal ones prune at once. end_step is always an update.
    frequency: updates between two masks; None gives UPDATES of them.
    """

    initial_sparsity: float
    final_sparsity: float
    begin_step: int
    end_step: int
    power: float = 3
    frequency: int | None = 100

    def __post_init__(self) -> None:
        _check_sparsity("initial_sparsity", self.initial_sparsity)
        _check_sparsity("final_sparsity", self.final_sparsity)
        _check_steps(self.begin_step, self.end_step, self.frequency, endless=False)
        if not isinstance(self.power, Real):
            raise UsageError(f"power is a number, got {self.power!r}", hint="3 is usual, 1 is a straight line")
        if not (math.isfinite(self.power) and self.power > 0):
            raise UsageError(f"power {self.power:g} is not positive", hint="3 is usual, 1 is a straight line")

    def _end(self) -> int:
        return self.end_step

    def _share(self, step: int, final_sparsity: float | None) -> float:
        goal = self.final_sparsity if final_sparsity is None else final_sparsity
        if step < self.begin_step:
            return 0.0
        if step >= self.end_step:
            return goal
        start = goal * self.initial_sparsity / self.final_sparsity if self.final_sparsity else 0.0
        left = 1 - (step - self.begin_step) / (self.end_step - self.begin_step)
        return float(goal + (start - goal) * left**self.power)

    def _last(self, step: int, since: int) -> int:
        if step < self.begin_step:
            return -1
        every = self.frequency or max(1, (self.end_step - self.begin_step) // UPDATES)
        last = self.end_step if step >= self.end_step else step - (step - self.begin_step) % every
        return last if last >= since else -1


def _check_sparsity(name: str, sparsity: float) -> None:
    if isinstance(sparsity, bool) or not isinstance(sparsity, Real):
        raise UsageError(f"{name} is a number, got {sparsity!r}", hint="0.8 makes 80% of the weights zero")
    if not 0.0 <= sparsity < 1.0:
        raise UsageError(f"{name} {sparsity:g} is not in [0, 1)", hint="0.8 makes 80% of the weights zero")


def _check_steps(begin: int, end: int, frequency: int | None, *, endless: bool) -> None:
    for name, value in (("begin_step", begin), ("end_step", end), ("frequency", frequency)):
        if not isinstance(value, Integral) and not (name == "frequency" and value is None):
            raise UsageError(f"{name} is a whole number of steps, got {value!r}", hint=f"{name}=int(...)")
    if begin < 0 or (end < begin and not (endless and end == -1)):
        hint = "begin_step is 0 or more, and end_step no less" + (", or -1 for no end" if endless else "")
        raise UsageError(f"the schedule begins at step {begin} and ends at {end}", hint=hint)
    if frequency is not None and frequency < 1:
        raise UsageError(f"frequency {frequency} is less than 1", hint="100 updates between two masks are usual")
