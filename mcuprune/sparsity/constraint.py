"""A mask on a variable: Keras applies a variable's constraint in the graph, after each optimizer update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np

from mcuprune.errors import UsageError


class Holder(Protocol):
    """What moves a mask, and for how long it is its own."""

    def holds(self, training: Any) -> bool:
        """Whether the mask must not be taken from it by what runs in this training (the params that fit() gives to all
        of its callbacks; None outside of fit())."""


class MaskConstraint(keras.constraints.Constraint):  # type: ignore[misc]
    """Zero where the mask is false, after the constraint that the variable had, if any.

    The mask is a variable of its own, so that the traced train step sees each new mask. It is no part of the model.
    holder: gives what moves the mask, None once that is gone.
    """

    def __init__(self, variable: Any, holder: Callable[[], Holder | None] = lambda: None) -> None:
        self.holder = holder
        inner = variable.constraint  # a mask there is of a training that did not end: this one takes its place
        self.inner: Any = inner.inner if isinstance(inner, MaskConstraint) else inner
        self.mask = keras.Variable(
            np.ones(tuple(variable.shape), np.bool_), trainable=False, dtype="bool", name="pruning_mask"
        )

    def __call__(self, w: Any) -> Any:
        return self.apply(w)

    def apply(self, w: Any) -> Any:
        """The weights with what the mask empties at zero."""
        value = keras.ops.convert_to_tensor(w if self.inner is None else self.inner(w))
        return keras.ops.where(keras.ops.convert_to_tensor(self.mask), value, keras.ops.cast(0, value.dtype))


def require_free(variable: Any, taker: Holder, training: Any, where: str) -> None:
    """Refuse a variable whose mask something else moves: the later one would win in silence.

    Raises:
        UsageError: it is held.
    """
    constraint = variable.constraint
    holder = constraint.holder() if isinstance(constraint, MaskConstraint) else None
    if holder is not None and holder is not taker and holder.holds(training):
        raise UsageError(
            "another pruner, which is not done, prunes these weights already",
            where=where,
            hint="one pruner with rules=[...] for its layers; or detach() the other first (wrappers: strip_pruning())",
        )
