"""Importance: which weights a layer misses least."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from mcuprune.errors import DataError, ToolMissingError, UsageError
from mcuprune.sparsity.weights import PrunableWeight

Array = NDArray[Any]


class Criterion(Protocol):
    """What says how important each weight is. Only the order within a layer counts, unless a budget compares layers."""

    def importance(self, model: Any, weights: Sequence[PrunableWeight]) -> list[Array]:
        """Numbers whose magnitudes count, (rows, cols) for each weight; weights that are zero are least important."""
        ...


class Magnitude:
    """|w|: the default."""

    def importance(self, model: Any, weights: Sequence[PrunableWeight]) -> list[Array]:
        return [weight.rows() for weight in weights]


class Taylor:
    """What the loss would change, to first order, if a weight were zero: |w * dL/dw|, its mean over some batches.

    Costs a forward and a backward pass over `batches` batches at each update of the masks. The samples are taken evenly
    from the data and are always the same ones, so equal weights give equal masks. The model runs as in inference.
    Source: Molchanov et al., "Pruning Convolutional Neural Networks for Resource Efficient Inference" (2017), equation
    7, and "Importance Estimation for Neural Network Pruning" (2019), for single weights.

    Args:
        x: samples (n, ...), the model's one input.
        y: targets (n, ...), as the loss takes them.
        loss: a Keras loss or its name; None is the loss that the model is compiled with.
        batches, batch_size: how many samples are looked at.
    Raises:
        DataError: no samples, or another number of targets.
        UsageError: batches or batch_size is less than 1.
    """

    def __init__(self, x: Array, y: Array, loss: Any = None, *, batches: int = 8, batch_size: int = 64) -> None:
        if batches < 1 or batch_size < 1:
            raise UsageError(f"{batches} batches of {batch_size} samples are no data", hint="8 of 64 are usual")
        if not len(x) or len(x) != len(y):
            raise DataError(
                f"{len(x)} samples and {len(y)} targets", where="Taylor(x, y)", hint="one for each, and some"
            )
        count = min(len(x), batches * batch_size)
        taken = np.arange(count) * len(x) // count
        self._batches = [(x[taken[i::batches]], y[taken[i::batches]]) for i in range(min(batches, count))]
        self._loss = None if loss is None else keras.losses.get(loss)

    def importance(self, model: Any, weights: Sequence[PrunableWeight]) -> list[Array]:
        """As Criterion says.

        Raises:
            UsageError: the model is not compiled with a loss, and none was given.
            ToolMissingError: Keras runs on a backend other than TensorFlow and jax.
        """
        backend = keras.backend.backend()
        if backend not in _GRADIENTS:
            raise ToolMissingError(f"no gradients with Keras on {backend}", hint="KERAS_BACKEND=tensorflow or jax")
        if self._loss is None and not getattr(model, "compiled", False):
            raise UsageError("the model has no loss", hint="compile it, or Taylor(x, y, loss='mse')")
        totals = [np.zeros(weight.shape) for weight in weights]
        values = [weight.value().astype(np.float32) for weight in weights]
        for x, y in self._batches:
            gradients = _GRADIENTS[backend](model, self._loss_of, [weight.variable for weight in weights], x, y)
            for total, value, gradient in zip(totals, values, gradients, strict=True):
                total += np.abs(value * gradient)
        return [
            weight.to_rows(_above_zeros(total / len(self._batches), value))
            for weight, total, value in zip(weights, totals, values, strict=True)
        ]

    def _loss_of(self, model: Any, x: Array, y: Array) -> Any:
        scores = model(x, training=False) if model._call_has_training_arg else model(x)
        if self._loss is not None:
            return keras.ops.mean(self._loss(keras.ops.convert_to_tensor(y), scores))
        return model.compute_loss(x=x, y=keras.ops.convert_to_tensor(y), y_pred=scores, training=False)


def _above_zeros(importance: Array, weights: Array) -> Array:
    """A weight that is not zero counts more than one that is, even where its gradient is zero."""
    return np.where(weights != 0, np.maximum(importance, np.finfo(np.float64).tiny), 0.0)


def _tensorflow_gradients(model: Any, loss_of: Any, variables: Sequence[Any], x: Array, y: Array) -> list[Array]:
    import tensorflow as tf

    sources = [variable.value for variable in variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(sources)
        loss = loss_of(model, tf.convert_to_tensor(x), y)
    return [
        np.zeros(variable.shape) if gradient is None else np.asarray(tf.convert_to_tensor(gradient), np.float32)
        for variable, gradient in zip(variables, tape.gradient(loss, sources), strict=True)
    ]


def _jax_gradients(model: Any, loss_of: Any, variables: Sequence[Any], x: Array, y: Array) -> list[Array]:
    import jax

    def loss(values: Any) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return loss_of(model, keras.ops.convert_to_tensor(x), y)

    return [np.asarray(gradient, np.float32) for gradient in jax.grad(loss)([v.value for v in variables])]


_GRADIENTS = {"tensorflow": _tensorflow_gradients, "jax": _jax_gradients}
