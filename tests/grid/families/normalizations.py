"""Operators that scale every row by a number out of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tests.grid.cases import SCALES, ZERO_POINTS, Case, case
from tests.tflite_builder import Builder

SHAPES = [(1, 1), (1, 2), (1, 13), (1, 3, 7), (1, 2, 3, 4), (1, 700)]


def cases() -> Iterator[Case]:
    """Rows of every length, zero points at both ends, softmaxes from flat ones to those of one winner."""
    for number, (shape, zero_point) in enumerate(product(SHAPES, ZERO_POINTS)):
        model = Builder()
        y = model.l2_normalization(model.input(shape, SCALES[number % 7], zero_point))
        yield case(f"l2_{number}", model, [y], number, 4)
    for number, (shape, scale) in enumerate(product(SHAPES, (1e-5, 3e-3, 0.02, 0.1, 0.37, 1.0, 7.3, 100.0))):
        model = Builder()
        y = model.log_softmax(model.input(shape, scale, ZERO_POINTS[number % 5]))
        yield case(f"log_softmax_{number}_{scale}", model, [y], number, 3)
