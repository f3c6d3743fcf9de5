"""Accuracy, its interval, and the confusion matrix."""

from __future__ import annotations

import numpy as np
import pytest

from mcuprune.check.accuracy import accuracy, confusion_matrix, predictions, wilson_interval
from mcuprune.ir.graph import DType, Tensor


@pytest.mark.parametrize(
    ("correct", "samples", "low", "high"),
    [  # roots of (p - share)**2 = z**2 * p * (1 - p) / n, in 50 decimal digits
        (450, 500, 0.870578, 0.923322),
        (0, 10, 0.0, 0.277533),
        (10, 10, 0.722467, 1.0),
        (1, 2, 0.094531, 0.905469),
        (1, 1, 0.206549, 1.0),
    ],
)
def test_wilson_interval(correct, samples, low, high):
    """Wilson's 95% interval to six digits, also at the ends."""
    assert wilson_interval(correct, samples) == pytest.approx((low, high), abs=1e-6)


def test_wilson_interval_of_nothing():
    """Without samples everything is possible."""
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_predictions():
    """The largest score wins, of equal ones the first; int8 and float outputs."""
    codes = np.array([[-128, 3, 3], [-1, -128, -2]], np.int8)
    assert predictions(codes.view(np.uint8), Tensor(0, "y", (1, 3), DType.INT8)).tolist() == [1, 0]
    scores = np.array([[0.25, 0.5, 0.25], [1e-9, 0, 1]], "<f4")
    rows = scores.view(np.uint8).reshape(2, 12)
    assert predictions(rows, Tensor(0, "y", (1, 3), DType.FLOAT32)).tolist() == [1, 2]


def test_accuracy():
    """Counts and share."""
    found = accuracy(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2], np.uint8))
    assert (found.correct, found.samples, found.value) == (3, 4, 0.75) and found.low < 0.75 < found.high


def test_confusion_matrix():
    """Rows are labels, columns predictions; classes that never occur keep their place."""
    matrix = confusion_matrix(np.array([0, 0, 2, 2], np.uint8), np.array([0, 1, 2, 2]), 4)
    assert matrix.tolist() == [[1, 1, 0, 0], [0] * 4, [0, 0, 2, 0], [0] * 4]
