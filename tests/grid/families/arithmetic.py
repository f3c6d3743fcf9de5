"""Elementwise operators on two inputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.grid.cases import SCALES, ZERO_POINTS, Case, case
from tests.tflite_builder import NONE, RELU, RELU6, RELU_N1_TO_1, Builder, random_int8

SHAPES = [
    ((1, 3, 2, 5), (1, 3, 2, 5)),
    ((1, 3, 2, 5), (5,)),
    ((1, 3, 1, 5), (1, 1, 4, 1)),
    ((1, 6), (1, 1)),
    ((1, 4), (1, 4)),
]


def cases() -> Iterator[Case]:
    """ADD of every kind of broadcast, scales near each other and far apart, a constant summand."""
    rng = np.random.default_rng(1)
    for number, (first, second) in enumerate(SHAPES):
        for activation in (NONE, RELU, RELU6, RELU_N1_TO_1):
            model = Builder()
            x = model.input(first, 0.1, ZERO_POINTS[number])
            y = model.input(second, 0.07, ZERO_POINTS[-number])
            out = model.add(x, y, 0.2, ZERO_POINTS[(number + activation) % 5], activation)
            yield case(f"add_{number}_{activation}", model, [out], number)
    for scale in SCALES:
        for ratio in (1.0, 0.03, 40.0):
            model = Builder()
            x = model.input((1, 2, 3), scale, 5)
            constant = model.tensor((3,), np.int8, scale * ratio, -7, data=random_int8(rng, (3,)))
            out = model.add(x, constant, 2.2 * scale * max(1.0, ratio), 3)
            yield case(f"add_constant_{scale}_{ratio}", model, [out])
