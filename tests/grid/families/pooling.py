"""Pooling."""

from __future__ import annotations

from collections.abc import Iterator

from tests.grid.cases import SCALES, ZERO_POINTS, Case, case
from tests.tflite_builder import NONE, RELU, RELU6, RELU_N1_TO_1, SAME, VALID, Builder

KINDS = ("AVERAGE_POOL_2D", "MAX_POOL_2D")
WINDOWS = [
    ((2, 2), (2, 2), (6, 4, 3)),
    ((3, 3), (1, 1), (5, 4, 2)),
    ((3, 2), (2, 3), (7, 8, 1)),
    ((1, 1), (3, 2), (7, 5, 4)),
    ((5, 4), (1, 2), (5, 4, 9)),
    ((16, 17), (1, 1), (16, 17, 1)),
    ((7, 7), (2, 2), (3, 2, 5)),
    ((1, 4), (1, 4), (1, 9, 6)),
]
"""Filter, stride, input; windows larger than the input are for SAME alone."""


def cases() -> Iterator[Case]:
    """Average and largest value: windows inside of the input and over its border, every activation, every scale."""
    for kind in KINDS:
        number = 0
        for window, stride, shape in WINDOWS:
            for padding in (SAME, VALID):
                if padding == VALID and (window[0] > shape[0] or window[1] > shape[1]):
                    continue
                for activation in (NONE, RELU, RELU6, RELU_N1_TO_1):
                    number += 1
                    yield _pool(kind, window, stride, shape, padding, activation, 0.04, ZERO_POINTS[number % 5], number)
        for scale in SCALES:
            for zero_point in ZERO_POINTS:
                number += 1
                yield _pool(kind, (3, 2), (2, 1), (4, 5, 5), SAME, number % 4, scale, zero_point, number)


def _pool(
    kind: str,
    window: tuple[int, int],
    stride: tuple[int, int],
    shape: tuple[int, int, int],
    padding: int,
    activation: int,
    scale: float,
    zero_point: int,
    number: int,
) -> Case:
    model = Builder()
    x = model.input((1, *shape), scale, zero_point)
    out = model.average_pool_2d(x, window, stride, padding, activation, kind)
    return case(f"{kind.lower()}_{number}", model, [out], number)
