"""A mask on a variable: Keras applies a variable's constraint in the graph, after each optimizer update."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


class MaskConstraint(keras.constraints.Constraint):  # type: ignore[misc]
    """Zero where the mask is false, after the constraint that the variable had, if any.

    The mask is a variable of its own, so that the traced train step sees each new mask. It is no part of the model.
    """

    def __init__(self, variable: Any) -> None:
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
