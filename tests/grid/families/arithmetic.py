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
    ((1, 1, 1, 3), (1, 2, 4, 3)),
    ((), (1, 2, 4)),
    ((1, 2, 3, 2, 2), (1, 2, 2)),
    ((1, 2, 1, 3, 1), (1, 1, 2, 1, 2)),
    ((1, 2, 3, 1, 2, 2), (1, 2, 1, 3, 2, 2)),
    ((1, 2, 1, 2, 3, 1, 2), (1, 1, 1, 1, 1, 3, 2)),
]
KINDS = ("ADD", "SUB", "MUL", "SQUARED_DIFFERENCE", "MINIMUM", "MAXIMUM")


def binary(model: Builder, kind: str, x: int, y: int, scale: float, zero_point: int, activation: int = NONE) -> int:
    """One operator; MINIMUM and MAXIMUM keep scale and zero point of the first input."""
    if kind == "ADD":
        return model.add(x, y, scale, zero_point, activation)
    if kind in ("MINIMUM", "MAXIMUM"):
        quant = model.graph.tensors[x].quantization
        scale, zero_point = float(quant.scale[0]), int(quant.zeroPoint[0])
    return model.binary(kind, x, y, scale, zero_point, activation)


def out_scale(kind: str, scale: float, ratio: float) -> float:
    """A scale for results of inputs of scales `scale` and `scale * ratio`, some of which saturate."""
    if kind == "MUL":
        return 60 * scale * scale * ratio
    return 90 * (scale * max(1.0, ratio)) ** 2 if kind == "SQUARED_DIFFERENCE" else 1.7 * scale * max(1.0, ratio)


def shape_cases() -> Iterator[Case]:
    """Every kind of broadcast, zero points at both ends, every fused activation."""
    for kind in KINDS:
        for number, (first, second) in enumerate(SHAPES):
            for activation in (NONE, RELU, RELU6, RELU_N1_TO_1) if kind in ("ADD", "SUB", "MUL") else (NONE,):
                model = Builder()
                x = model.input(first, 0.1, ZERO_POINTS[number % 5])
                y = model.input(second, 0.07, ZERO_POINTS[-number % 5])
                out = binary(model, kind, x, y, 0.2, ZERO_POINTS[(number + activation) % 5], activation)
                yield case(f"{kind}_{number}_{activation}".lower(), model, [out], number)


def scale_cases() -> Iterator[Case]:
    """Scales over ten orders of magnitude, near each other and far apart; a constant on either side."""
    rng = np.random.default_rng(1)
    for kind in KINDS:
        for number, scale in enumerate(SCALES):
            for ratio in (1.0, 0.03, 40.0):
                model = Builder()
                x = model.input((1, 40, 6), scale, ZERO_POINTS[number % 5])
                data = random_int8(rng, (6,))
                constant = model.tensor((6,), np.int8, scale * ratio, ZERO_POINTS[-number % 5], data=data)
                inputs = (x, constant) if number % 2 else (constant, x)
                out = binary(model, kind, *inputs, out_scale(kind, scale, ratio), ZERO_POINTS[number % 3])
                yield case(f"{kind}_constant_{scale}_{ratio}".lower(), model, [out])


def product_cases() -> Iterator[Case]:
    """Products whose multiplier is 1 and more, and so small that nothing is left."""
    for number, scale in enumerate((2**-14, 0.003, 0.02, 0.3, 1.0, 700.0, 1e9)):
        model = Builder()
        x, y = model.input((1, 50), 0.125, 3), model.input((1, 50), 0.125, -128)
        yield case(f"mul_to_{scale}", model, [model.binary("MUL", x, y, scale, ZERO_POINTS[number % 5])])


def quotient_cases() -> Iterator[Case]:
    """Quotients by divisors around zero and at the ends; the reference stops at zero itself."""
    rng = np.random.default_rng(2)
    for number, scale in enumerate((0.0001, 0.003, 0.05, 1.0, 300.0)):
        for place, ratio in enumerate((65.0, 100.0, 128.0, 3000.0, 8e6)):
            zero_points = [ZERO_POINTS[(number + k * place) % 5] for k in range(3)]
            near = np.clip(zero_points[1] + np.arange(-6, 7), -128, 127)
            divisors = np.setdiff1d([*near, *rng.integers(-128, 128, 8), -128, 127], zero_points[1:2]).astype(np.int8)
            model = Builder()
            x, y = (
                model.input((1, 24, 1), scale, zero_points[0]),
                model.input((1, 1, divisors.size), 0.02, zero_points[1]),
            )
            activation = (NONE, RELU, RELU6, RELU_N1_TO_1)[(number + place) % 4] if ratio < 1e6 else NONE
            out = model.binary("DIV", x, y, scale / 0.02 / ratio, zero_points[2], activation)
            dividends = random_int8(rng, (1, 24, 1))
            dividends.flat[:5] = [-128, 127, *np.clip(zero_points[0] + np.arange(-1, 2), -128, 127)]
            samples = ((dividends, divisors.reshape(1, 1, -1)),)
            yield Case(f"div_{scale}_{ratio}", model.build([out]), samples)


def cases() -> Iterator[Case]:
    """All of them."""
    yield from shape_cases()
    yield from scale_cases()
    yield from product_cases()
    yield from quotient_cases()
