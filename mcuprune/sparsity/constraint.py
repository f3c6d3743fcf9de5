"""Masks on variables: Keras applies a variable's constraint in the graph, after each optimizer update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mcuprune.errors import TrainingError
from mcuprune.masks import Goal, mask, ramp_mask
from mcuprune.sparsity.layers import PrunableLayer

Mask = NDArray[np.bool_]


class MaskConstraint(keras.constraints.Constraint):  # type: ignore[misc]
    """Zero where the mask is false, after the constraint that the variable had, if any.

    The mask is a variable of its own, so that the traced train step sees each new mask. It is no part of the model.
    """

    def __init__(self, variable: Any) -> None:
        self.inner = variable.constraint
        self.mask = keras.Variable(
            np.ones(tuple(variable.shape), np.bool_), trainable=False, dtype="bool", name="pruning_mask"
        )

    def __call__(self, w: Any) -> Any:
        value = w if self.inner is None else self.inner(w)
        return keras.ops.where(self.mask, value, keras.ops.zeros_like(value))


class MaskedLayer:
    """A layer under a mask, from arm() to disarm()."""

    def __init__(self, layer: PrunableLayer, goal: Goal) -> None:
        assert goal.pattern is not None
        self.layer = layer
        self.goal = goal
        self.pattern = goal.pattern
        self._constraint: MaskConstraint | None = None
        self._keep: Mask | None = None  # rows, as it was last set

    def arm(self) -> None:
        """Put a mask that keeps everything on the variable. Train functions traced before do not know it."""
        self._constraint = MaskConstraint(self.layer.variable)
        self.layer.variable.constraint = self._constraint

    def disarm(self) -> None:
        """Give the variable back the constraint that it had; the weights stay as they are."""
        if self._constraint is not None:
            self.layer.variable.constraint = self._constraint.inner
            self._constraint = None

    def update(self, sparsity: float) -> None:
        """Choose the mask anew from the weights as they are, and set the others to zero.

        Raises:
            TrainingError: a weight is NaN.
        """
        rows = self.layer.rows()
        importance = np.abs(rows)
        final = sparsity >= self.goal.sparsity
        try:
            if final:
                self._keep = mask(importance, self.pattern, self.goal.sparsity)
            else:
                self._keep = ramp_mask(importance, self.pattern, sparsity)
        except TrainingError as error:
            error.where = error.where or f"layer '{self.layer.name}'"
            error.hint = "a lower --learning-rate, or clean the data"
            raise
        assert self._constraint is not None
        self._constraint.mask.assign(self.layer.to_kernel(self._keep))
        self.layer.variable.assign(self.layer.to_kernel(np.where(self._keep, rows, np.zeros_like(rows))))

    @property
    def sparsity(self) -> float:
        """The share of weights that the mask empties now."""
        return 0.0 if self._keep is None else 1 - float(np.count_nonzero(self._keep)) / self._keep.size

    def check(self) -> None:
        """Hold the weights against the mask: every place that it empties is zero, and it empties what was asked.

        Raises:
            TrainingError: a weight came back, or the count is another.
        """
        rows = self.layer.rows()
        wrong = 0 if self._keep is None else int(np.count_nonzero(rows[~self._keep]))
        wanted = int(np.count_nonzero(~mask(np.abs(rows), self.pattern, self.goal.sparsity)))
        masked = 0 if self._keep is None else int(np.count_nonzero(~self._keep))
        if wrong or masked != wanted:
            raise TrainingError(
                f"{masked - wrong} weights are held at zero, {wanted} were asked for",
                where=f"layer '{self.layer.name}', {self.pattern} at {self.goal.sparsity:g}",
                hint="something assigned weights beside the optimizer: leave them alone while masks are on",
            )


def total_sparsity(layers: Sequence[MaskedLayer]) -> float:
    """The share of zeros over all masked layers."""
    size = sum(layer.layer.size for layer in layers)
    return sum(layer.sparsity * layer.layer.size for layer in layers) / size if size else 0.0
