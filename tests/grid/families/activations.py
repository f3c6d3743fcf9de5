"""Activations: ReLU and its kin, slopes below zero, softmax."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ai_edge_litert import schema_py_generated as s

from tests.grid.cases import SCALES, ZERO_POINTS, Case, case
from tests.tflite_builder import Builder, random_int8

RELUS = {"RELU": 2, "RELU6": 2, "RELU_N1_TO_1": 1, "RELU_0_TO_1": 1}
"""And the version that the reference registers."""


def relu_cases() -> Iterator[Case]:
    """Bounds inside of int8 and outside, zero points at both ends."""
    for kind, version in RELUS.items():
        for number, scale in enumerate(SCALES):
            for ratio in (1.0, 0.31, 5.0):
                model = Builder()
                x = model.input((1, 7, 9), scale, ZERO_POINTS[number % 5])
                out = model.table(kind, x, scale * ratio, ZERO_POINTS[-number % 5], version=version)
                yield case(f"{kind}_{scale}_{ratio}".lower(), model, [out], number)


def prelu_cases() -> Iterator[Case]:
    """Slopes for channels, for all, for each element; computed ones; slopes below zero and above one."""
    rng = np.random.default_rng(3)
    shapes = [((1, 3, 4, 5), (1, 1, 5)), ((1, 3, 4, 5), (1,)), ((1, 3, 4, 5), (3, 1, 5)), ((1, 6), (1, 6))]
    shapes += [((1, 2, 3, 2, 4), (2, 1, 1, 4)), ((1, 2, 3, 2, 4), (4,))]
    for number, (shape, slopes) in enumerate(shapes):
        for computed in (False, True):
            for scale, slope_scale, out_scale in (
                (0.1, 0.01, 0.1),
                (0.03, 0.004, 0.2),
                (1e4, 1.0, 9e3),
                (1e-5, 0.1, 1e-5),
            ):
                model = Builder()
                zero_points = [ZERO_POINTS[(number + k) % 5] for k in range(3)]
                x = model.input(shape, scale, zero_points[0])
                if computed:
                    slope = model.input(
                        (1, *slopes) if len(slopes) < len(shape) else slopes, slope_scale, zero_points[1]
                    )
                else:
                    data = random_int8(rng, slopes)
                    slope = model.tensor(slopes, np.int8, slope_scale, zero_points[1], data=data)
                out = model.tensor(shape, np.int8, out_scale, zero_points[2])
                model.op("PRELU", [x, slope], [out])
                yield case(f"prelu_{number}_{computed}_{scale}", model, [out], number)


def softmax_cases() -> Iterator[Case]:
    """Rows of one column and of many, to int8 and int16."""
    for number, (shape, scale, beta) in enumerate(
        [
            ((1, 1), 0.1, 1.0),
            ((1, 12), 0.01, 1.0),
            ((1, 3, 5), 0.3, 0.7),
            ((1, 2, 2, 9), 2.0, 1.0),
            ((1, 200), 0.2, 3.0),
        ]
    ):
        model = Builder()
        x = model.input(shape, scale, ZERO_POINTS[number])
        yield case(f"softmax_{number}", model, [model.softmax(x, beta)], number, samples=4)
        model = Builder()
        x = model.input(shape, scale, ZERO_POINTS[number])
        wide = model.tensor(shape, np.int16, 1 / 65536, -32768)
        options = s.SoftmaxOptionsT()
        options.beta = beta
        yield case(f"softmax_s8_s16_{number}", model, [model.op("SOFTMAX", [x], [wide], options, 3)], number, samples=4)


def cases() -> Iterator[Case]:
    """All of them."""
    yield from relu_cases()
    yield from prelu_cases()
    yield from softmax_cases()
