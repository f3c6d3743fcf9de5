"""A Keras model scored on labelled samples, and what its weights weigh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.sparsity.samples import fit_samples
from mcuprune.sparsity.train import predict

Array = npt.NDArray[Any]


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
