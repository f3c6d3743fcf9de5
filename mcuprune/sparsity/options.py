"""How to train: the defaults of the verb, the recipe and the function alike. Needs no Keras."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from mcuprune.errors import UsageError

CRITERIA = ("magnitude", "taylor")


class FitOptions(Protocol):
    """What every training of a classifier is told."""

    @property
    def epochs(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def distill(self) -> float: ...
    @property
    def seed(self) -> int: ...


def check_fit_options(options: FitOptions) -> None:
    """Refuse what no training can be told.

    Raises:
        UsageError: a value is out of its range.
    """
    for name in ("epochs", "batch_size"):
        if getattr(options, name) < 1:
            raise UsageError(f"{name} {getattr(options, name)} is less than 1")
    if not (math.isfinite(options.learning_rate) and options.learning_rate > 0):
        raise UsageError(f"learning rate {options.learning_rate:g} is not positive")
    if not 0 <= options.distill <= 1:
        raise UsageError(f"distill {options.distill:g} is not in [0, 1]")
    if options.seed < 0:
        raise UsageError(f"seed {options.seed} is negative")


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How to train.

    learning_rate: of Adam at the start; falls to 0 by half a cosine.
    distill: share of the dense start model's answers in the targets, 0..1, where it is right; 0: labels alone.
    ramp: share of all steps over which the sparsity rises, 0..1.
    criterion: which weights go first: `magnitude`, or `taylor` (what the loss would change, by gradients of samples).
    seed: of order, initial state and held-out samples; equal seeds give equal models on one machine.
    """

    epochs: int = 5
    batch_size: int = 100
    learning_rate: float = 6e-4
    distill: float = 0.7
    ramp: float = 0.5
    seed: int = 1
    criterion: str = "magnitude"

    def __post_init__(self) -> None:
        check_fit_options(self)
        if not 0 <= self.ramp <= 1:
            raise UsageError(f"ramp {self.ramp:g} is not in [0, 1]")
        if self.criterion not in CRITERIA:
            raise UsageError(f"there is no criterion '{self.criterion}'", hint=" or ".join(CRITERIA))
