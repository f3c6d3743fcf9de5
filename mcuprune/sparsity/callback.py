"""The callback that moves the masks along their schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from mcuprune.errors import TrainingError
from mcuprune.sparsity.constraint import MaskedLayer, total_sparsity
from mcuprune.sparsity.schedule import PruningSchedule


class UpdateMasks(keras.callbacks.Callback):  # type: ignore[misc]
    """Computes the masks again where the schedule says so, and stops at the first loss that is not a number.

    The step is the optimizer's count of updates, so that it goes on where a restored optimizer stopped.
    """

    def __init__(self, layers: Sequence[MaskedLayer], schedule: PruningSchedule) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.schedule = schedule
        self._last = -1  # step of the latest update

    @property
    def sparsity(self) -> float:
        """The share of zeros over all masked layers, now."""
        return total_sparsity(self.layers)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        step = int(self.model.optimizer.iterations)
        # With several steps in one execution the exact step may be jumped over: any update in between counts.
        if any(self.schedule.is_update(s) for s in range(max(self._last + 1, 0), step + 1)):
            self.update(step)
        self._last = step

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} at step {int(self.model.optimizer.iterations)}",
                hint="a lower --learning-rate; features of ordinary size (about -10..10)",
            )

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        step = int(self.model.optimizer.iterations)
        if self._last < self.schedule.final_step <= step:
            self.update(step)

    def update(self, step: int) -> None:
        """Set all masks to what the schedule says for this step."""
        for layer in self.layers:
            layer.update(self.schedule.sparsity_at(step, layer.goal.sparsity))
