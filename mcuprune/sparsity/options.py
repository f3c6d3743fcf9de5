"""How to train: the defaults of the verb, the recipe and the function alike. Needs no Keras."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mcuprune.errors import UsageError

CRITERIA = ("magnitude", "taylor")


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
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)} is less than 1")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise UsageError(f"learning rate {self.learning_rate:g} is not positive")
        for name in ("distill", "ramp"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} {getattr(self, name):g} is not in [0, 1]")
        if self.criterion not in CRITERIA:
            raise UsageError(f"there is no criterion '{self.criterion}'", hint=" or ".join(CRITERIA))
        if self.seed < 0:
            raise UsageError(f"seed {self.seed} is negative")
