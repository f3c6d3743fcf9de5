"""How to train for int8: the defaults of the verb, the recipe and the function alike. Needs no Keras."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mcuprune.errors import UsageError


@dataclass(frozen=True, slots=True)
class QatOptions:
    """How to train.

    learning_rate: of Adam at the start; falls to 0 by half a cosine.
    distill: share of the float start model's answers in the targets, 0..1, where it is right; 0: labels alone.
    seed: of order and held-out samples; equal seeds give equal models on one machine.
    """

    epochs: int = 2
    batch_size: int = 100
    learning_rate: float = 2e-4
    distill: float = 0.7
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)} is less than 1")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise UsageError(f"learning rate {self.learning_rate:g} is not positive")
        if not 0 <= self.distill <= 1:
            raise UsageError(f"distill {self.distill:g} is not in [0, 1]")
        if self.seed < 0:
            raise UsageError(f"seed {self.seed} is negative")
