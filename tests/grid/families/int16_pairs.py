"""int16 and uint8 of operators on two inputs: sums, products, extremes, comparisons."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as s

from tests.grid.cases import SCALES, ZERO_POINTS, Case, case
from tests.grid.families.arithmetic import out_scale
from tests.tflite_builder import NONE, RELU, RELU6, RELU_N1_TO_1, Builder

SHAPES = [((1, 3, 2, 5), (1, 3, 2, 5)), ((1, 3, 1, 5), (1, 1, 4, 1)), ((1, 1), (1, 7)), ((1, 2, 3, 2, 2), (1, 2, 2))]
ACTIVATIONS = (NONE, RELU, RELU6, RELU_N1_TO_1)
INT16 = np.int16


def options(kind: str, activation: int, pot_scale: bool = False) -> Any:
    """Options of ADD, SUB and MUL."""
    if kind not in ("ADD", "SUB", "MUL"):
        return None
    made = getattr(s, f"{kind.capitalize()}OptionsT")()
    made.fusedActivationFunction = activation
    if kind != "MUL":
        made.potScaleInt16 = pot_scale
    return made


def pair(
    kind: str,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    scales: tuple[float, float, float],
    activation: int = NONE,
    pot_scale: bool = False,
    seed: int = 0,
    constant: bool = False,
) -> Case:
    """One operator on two int16 inputs, of which the second may be constant."""
    model = Builder()
    x = model.input(shapes[0], scales[0], dtype=INT16)
    if constant:
        data = np.random.default_rng(seed).integers(-(2**15), 2**15, shapes[1])
        y = model.tensor(shapes[1], INT16, scales[1], data=data.astype(INT16))
    else:
        y = model.input(shapes[1], scales[1], dtype=INT16)
    out = model.tensor(np.broadcast_shapes(*shapes), INT16, scales[2])
    model.op(kind, [x, y], [out], options(kind, activation, pot_scale), 2)
    return case(f"{kind}_s16_{seed}_{activation}_{pot_scale}".lower(), model, [out], seed)


def arithmetic_cases() -> Iterator[Case]:
    """Every kind of broadcast and fused activation; scales over ten orders of magnitude, near each other and apart."""
    for kind in ("ADD", "SUB", "MUL", "MINIMUM", "MAXIMUM"):
        fused = ACTIVATIONS if kind in ("ADD", "SUB", "MUL") else (NONE,)
        for number, (shapes, activation) in enumerate(product(SHAPES, fused)):
            scale = (0.0004, 0.0003, 0.0005) if kind != "MUL" else (0.0004, 0.0003, 0.0004)
            yield pair(kind, shapes, scale, activation, seed=number)
        scales = product(SCALES, (1.0, 0.03, 40.0)) if kind in ("ADD", "SUB", "MUL") else ()
        for number, (scale_1, ratio) in enumerate(scales):
            scaled = 1e4 * scale_1**2 * ratio if kind == "MUL" else out_scale(kind, scale_1, ratio)
            yield pair(kind, ((1, 40, 6), (6,)), (scale_1, scale_1 * ratio, scaled), seed=100 + number, constant=True)


def shift_cases() -> Iterator[Case]:
    """Scales that are powers of two, with and without the option; sums of one scale and of two."""
    for kind, number in product(("ADD", "SUB"), range(12)):
        right = (0, 0, 1, 3, 8, 15)[number // 2]
        exponents = (-11, -11 - right) if number % 2 else (-11 - right, -11)
        scales = (2.0 ** exponents[0], 2.0 ** exponents[1], 2.0**-11)
        shapes = SHAPES[number % 4] if kind == "SUB" else ((1, 9, 5), (1, 9, 5))
        yield pair(kind, shapes, scales, ACTIVATIONS[number % 4], True, 200 + number)
        if number % 3 == 0:
            yield pair(kind, shapes, scales, ACTIVATIONS[number % 4], False, 300 + number)
    nearly = 2.0**-11 * (1 + 6e-4)
    yield pair("ADD", ((1, 60), (1, 60)), (nearly, 2.0**-12, 2.0**-11), NONE, True, 400)
    yield pair("ADD", ((1, 60), (1, 60)), (2.0**-11 * 1.001, 2.0**-12, 2.0**-11), NONE, True, 401)


def comparison_cases() -> Iterator[Case]:
    """int16 by scale and by stored value, uint8; values that are equal among them."""
    rng = np.random.default_rng(7)
    kinds = [("EQUAL", 2), ("NOT_EQUAL", 2), ("LESS", 3), ("LESS_EQUAL", 2), ("GREATER", 2), ("GREATER_EQUAL", 3)]
    for number, ((kind, version), scale) in enumerate(product(kinds, (1e-5, 0.004, 0.9))):
        for dtype in (np.uint8, np.int16) if not kind.startswith("GREATER") else (np.uint8,):
            model = Builder()
            zero_points = (0, 0) if dtype is INT16 else [z + 128 for z in (ZERO_POINTS[number % 5], 37)]
            x = model.input((1, 6, 8), scale, zero_points[0], dtype)
            y = model.input((8,) if number % 2 else (1, 6, 8), scale * 0.5, zero_points[1], dtype)
            out = model.tensor((1, 6, 8), np.bool_)
            model.op(kind, [x, y], [out], None, version)
            made = case(f"{kind}_{np.dtype(dtype).name}_{scale}".lower(), model, [out], number)
            first = rng.integers(-3, 4, (1, 6, 8)) + zero_points[0]
            second = 2 * rng.integers(-3, 4, model.shape(y)) + zero_points[1]
            info = np.iinfo(dtype)
            near = tuple(np.clip(values, info.min, info.max).astype(dtype) for values in (first, second))
            yield Case(made.name, made.content, (*made.samples, near))
    for kind in ("EQUAL", "LESS"):
        model = Builder()
        x, y = model.input((1, 90), dtype=INT16), model.input((1, 90), dtype=INT16)
        out = model.tensor((1, 90), np.bool_)
        model.op(kind, [x, y], [out], None, 3)
        yield case(f"{kind}_int16_plain".lower(), model, [out])


def cases() -> Iterator[Case]:
    """All of them."""
    yield from arithmetic_cases()
    yield from shift_cases()
    yield from comparison_cases()
