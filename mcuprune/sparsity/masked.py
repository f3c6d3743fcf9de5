"""A weight under a mask: what is zero now, and that it stays so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcuprune.errors import TrainingError
from mcuprune.masks import Goal, Mask, mask, ramp_mask
from mcuprune.sparsity.constraint import MaskConstraint
from mcuprune.sparsity.weights import PrunableWeight

Array = NDArray[Any]


class MaskedWeight:
    """A weight and its goal; the mask is on the variable from arm() to disarm()."""

    def __init__(self, weight: PrunableWeight, goal: Goal) -> None:
        assert goal.pattern is not None
        self.weight = weight
        self.goal = goal
        self.pattern = goal.pattern
        self.keep: Mask | None = None  # (rows, cols), as it was last set
        self._constraint: MaskConstraint | None = None

    def arm(self, constraint: MaskConstraint | None = None) -> Any:
        """Put the mask on the variable (one that keeps everything, at first). Train functions traced before do not know
        it. The mask's variable."""
        self._constraint = constraint or MaskConstraint(self.weight.variable)
        self.weight.variable.constraint = self._constraint
        if self.keep is not None:
            self.set(self.keep)
        return self._constraint.mask

    def disarm(self) -> Any:
        """Give the variable back the constraint that it had; the weights stay as they are. The mask's variable."""
        constraint, self._constraint = self._constraint, None
        if constraint is None:
            return None
        if self.weight.variable.constraint is constraint:  # else another pruner took its place
            self.weight.variable.constraint = constraint.inner
        return constraint.mask

    @property
    def armed(self) -> bool:
        """Whether the mask is on the variable."""
        return self._constraint is not None and self.weight.variable.constraint is self._constraint

    @property
    def mask_variable(self) -> Any:
        """The mask's variable, of the kernel's shape; None where there is none yet."""
        return None if self._constraint is None else self._constraint.mask

    def update(self, sparsity: float, importance: list[Array]) -> None:
        """Choose the mask anew by the importance (magnitudes; rows, cols), and set the other weights to zero.

        importance: the first is this weight's; it is taken out, so that what it holds is free when the weights are set.

        Raises:
            TrainingError: an importance is NaN.
        """
        self.set(self._choose(sparsity, importance.pop(0)))

    def zeros(self, sparsity: float) -> Mask | None:
        """The mask of this sparsity whose zeros the weights have already; None where they have not."""
        rows = self.weight.rows()
        keep = self._choose(sparsity, rows)
        return None if rows[~keep].any() else keep

    def set(self, keep: Mask) -> None:
        """Take this mask (rows, cols), and set the other weights to zero."""
        assert self._constraint is not None
        self.keep = keep
        self._constraint.mask.assign(self.weight.to_kernel(keep))
        self.weight.variable.assign(self._constraint.apply(self.weight.variable))

    @property
    def identity(self) -> tuple[str, tuple[int, int], str]:
        """Name, (rows, cols) and goal: what a saved mask is held against."""
        share = "a share" if self.goal.shared else repr(self.goal.sparsity)
        return self.weight.name, self.weight.matrix_shape, f"{self.pattern} at {share}"

    @property
    def sparsity(self) -> float:
        """The share of weights that the mask empties now."""
        return 0.0 if self.keep is None else 1 - float(np.count_nonzero(self.keep)) / self.keep.size

    def check(self) -> None:
        """Hold the weights against the mask: every place that it empties is zero, and it empties what was asked.

        Raises:
            TrainingError: a weight came back, or the count is another.
        """
        rows = self.weight.rows()
        wrong = 0 if self.keep is None else int(np.count_nonzero(rows[~self.keep]))
        wanted = int(np.count_nonzero(~self._choose(self.goal.sparsity, rows)))
        masked = 0 if self.keep is None else int(np.count_nonzero(~self.keep))
        if wrong or masked != wanted:
            raise TrainingError(
                f"{masked - wrong} weights are held at zero, {wanted} were asked for",
                where=f"layer '{self.weight.name}', {self.pattern} at {self.goal.sparsity:g}",
                hint="something assigned weights beside the optimizer: leave them alone while masks are on",
            )

    def _choose(self, sparsity: float, importance: Array) -> Mask:
        try:
            if sparsity >= self.goal.sparsity:
                return mask(importance, self.pattern, self.goal.sparsity, magnitude=True)
            return ramp_mask(importance, self.pattern, sparsity, magnitude=True)
        except TrainingError as error:
            error.where = error.where or f"layer '{self.weight.name}'"
            error.hint = "a lower learning rate, or clean the data"
            raise


def total_sparsity(masked: Sequence[MaskedWeight]) -> float:
    """The share of zeros over all masked weights."""
    size = sum(entry.weight.size for entry in masked)
    return sum(entry.sparsity * entry.weight.size for entry in masked) / size if size else 0.0
