"""Accuracy and its uncertainty, from outputs and labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.inputs import Bytes
from mcuprune.ir.graph import Tensor

Array = npt.NDArray[Any]
_Z_95 = 1.959963984540054
"""Two-sided 95% point of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """correct of samples; low and high bound the 95% interval."""

    correct: int
    samples: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.correct / self.samples


def predictions(rows: Bytes, tensor: Tensor) -> npt.NDArray[np.int64]:
    """The class of each sample: the largest score, the lowest index of equal ones.

    rows: uint8 (n, tensor.nbytes), outputs as they travel.
    """
    scores: Array = np.ascontiguousarray(rows).view(tensor.dtype.numpy)
    return np.asarray(np.argmax(scores, axis=1), np.int64)


def accuracy(predicted: Array, labels: Array) -> Accuracy:
    """How many are right, with Wilson's interval."""
    correct = int((predicted == labels).sum())
    return Accuracy(correct, len(labels), *wilson_interval(correct, len(labels)))


def wilson_interval(correct: int, samples: int) -> tuple[float, float]:
    """95% interval of a proportion; sound near 0 and 1, too.

    Source: Wilson, Journal of the American Statistical Association 22 (1927), 209.
    """
    if samples <= 0:
        return 0.0, 1.0
    share, z2 = correct / samples, _Z_95**2
    middle = (share + z2 / (2 * samples)) / (1 + z2 / samples)
    half = _Z_95 / (1 + z2 / samples) * math.sqrt(share * (1 - share) / samples + z2 / (4 * samples**2))
    low = 0.0 if correct == 0 else max(0.0, middle - half)
    high = 1.0 if correct == samples else min(1.0, middle + half)
    return low, high


def confusion_matrix(labels: Array, predicted: Array, classes: int) -> npt.NDArray[np.int64]:
    """int64 (classes, classes): rows are labels, columns what was predicted."""
    cells = labels.astype(np.int64) * classes + predicted
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes).astype(np.int64)
