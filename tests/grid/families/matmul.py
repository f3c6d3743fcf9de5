"""Products of matrices."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from tests.grid.cases import SCALES, ZERO_POINTS, Case, case
from tests.tflite_builder import Builder, random_int8

BATCHES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((), ()),
    ((1,), (1,)),
    ((1, 3), (1, 3)),
    ((1, 3), (1, 1)),
    ((1, 1), (1, 2)),
    ((1, 2, 1), (3,)),
    ((1, 2, 3), ()),
]


def cases() -> Iterator[Case]:
    """Every kind of broadcast and transposition, computed and constant operands; ten orders of magnitude of scales."""
    kinds = product(BATCHES, (False, True), (False, True), (False, True))
    for number, ((first, second), adj_x, adj_y, fixed) in enumerate(kinds):
        yield _matmul(number, first, second, adj_x, adj_y, fixed, (0.05, 0.03, 0.1))
    for number, scale in enumerate(SCALES, 1000):
        yield _matmul(number, (1,), (1,), False, True, False, (scale, 0.01, scale * 0.2))
        yield _matmul(number + 100, (1,), (1,), False, False, True, (0.3, scale, scale * 100))


def _matmul(
    number: int,
    first: tuple[int, ...],
    second: tuple[int, ...],
    adj_x: bool,
    adj_y: bool,
    fixed: bool,
    scales: tuple[float, float, float],
) -> Case:
    rng = np.random.default_rng(number)
    a = (*first, *((5, 1) if adj_x else (1, 5)))
    b = (*second, *((2, 5) if adj_y else (5, 2)))
    model = Builder()
    x = model.input(a if a[0] == 1 else (1, *a), scales[0], ZERO_POINTS[number % 5])
    if fixed:
        y = model.tensor(b, np.int8, scales[1], ZERO_POINTS[number // 2 % 5], data=random_int8(rng, b))
    else:
        y = model.input(b if b[0] == 1 else (1, *b), scales[1], ZERO_POINTS[number // 2 % 5])  # inputs have a batch
    return case(f"matmul_{number}", model, [model.batch_matmul(x, y, scales[2], ZERO_POINTS[number % 4], adj_x, adj_y)])
