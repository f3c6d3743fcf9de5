"""A Keras model scored on labelled samples, and what its weights weigh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.sparsity.samples import Floats, fit_samples

Array = npt.NDArray[Any]

PREDICT_BATCH = 256


@dataclass(frozen=True, slots=True)
class Score:
    """accuracy: correct / samples. weight_bytes: all variables as float32. sparsity: zeros among the kernels (variables
    of two and more dimensions)."""

    accuracy: float
    correct: int
    samples: int
    weight_bytes: int
    sparsity: float


def evaluate(model: Any, x: Array, y: Array, source: str = "") -> Score:
    """Score a classifier on (x, y): the largest output wins.

    Raises:
        DataError: the samples do not fit the model.
    """
    fitted, _ = fit_samples(x, tuple(model.inputs[0].shape[1:]), "input", source)
    correct = int((predict(model, fitted).argmax(axis=1) == y).sum())
    kernels = [np.asarray(w) for w in model.trainable_weights if len(w.shape) >= 2]
    size = sum(kernel.size for kernel in kernels)
    zeros = size - sum(int(np.count_nonzero(kernel)) for kernel in kernels)
    weight_bytes = 4 * sum(int(np.prod(w.shape)) for w in model.weights)
    return Score(correct / len(fitted), correct, len(fitted), weight_bytes, zeros / max(size, 1))


def predict(model: Any, x: Floats) -> Floats:
    """Outputs (n, classes) in batches, each computed as in inference."""
    parts = [model.predict_on_batch(x[i : i + PREDICT_BATCH]) for i in range(0, len(x), PREDICT_BATCH)]
    return np.concatenate(parts).astype(np.float32)


def accuracy_of(model: Any, x: Floats, y: npt.NDArray[np.int64]) -> float:
    """The share of samples whose largest score is their label's."""
    return accuracy(predict(model, x), y)


def accuracy(scores: Floats, y: npt.NDArray[np.int64]) -> float:
    """The same of scores (n, classes)."""
    return float((scores.argmax(axis=1) == y).mean())


def is_probabilities(scores: Floats) -> bool:
    """Whether outputs are probabilities (a softmax at the end): none is negative, each row sums to 1."""
    return bool((scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-3))


def softmax(scores: Floats) -> Floats:
    """Probabilities of scores (n, classes)."""
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)
