"""How to train for int8: the defaults of the verb, the recipe and the function alike. Needs no Keras."""

from __future__ import annotations

from dataclasses import dataclass

from mcuprune.sparsity.options import check_fit_options


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
        check_fit_options(self)
