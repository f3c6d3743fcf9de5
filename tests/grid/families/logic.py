"""Comparisons, logic on bool, and choices by it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mcuprune.ir.operators.logic import COMPARISONS
from tests.grid.cases import ZERO_POINTS, Array, Case, case
from tests.grid.families.arithmetic import SHAPES
from tests.tflite_builder import Builder, random_int8


def few_values(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    """Values of which many are equal; NaN and both zeros among floats."""
    chosen = {
        "int8": [-128, -3, 0, 1, 127],
        "int32": [-(2**31), -1, 0, 7, 2**31 - 1],
        "int64": [-(2**63), -(2**32), 0, 2**32, 2**63 - 1],
        "float32": [-np.inf, -1.5, -0.0, 0.0, np.nan, 2.0],
        "bool": [False, True],
    }[dtype]
    return rng.choice(np.array(chosen, dtype), shape)


def comparison_cases() -> Iterator[Case]:
    """int8 of one scale and of two, other types as they are stored."""
    for place, kind in enumerate(COMPARISONS):
        for number, (first, second) in enumerate(SHAPES):
            for scales in ((0.1, 0.1), (0.3, 0.02), (1e-5, 3e-6), (0.99, 0.5)):
                model = Builder()
                x = model.input(first, scales[0], ZERO_POINTS[number % 5])
                y = model.input(second, scales[1], ZERO_POINTS[(number + place) % 5])
                out = model.op(kind, [x, y], [model.tensor(np.broadcast_shapes(first, second), np.bool_)], None, 2)
                yield case(f"{kind}_{number}_{scales}".lower(), model, [out], number, samples=3)
            yield from plain_cases(kind, number, first, second)


def plain_cases(kind: str, number: int, first: tuple[int, ...], second: tuple[int, ...]) -> Iterator[Case]:
    """Stored values of types that have no scale; the second one constant at every other shape."""
    rng = np.random.default_rng(number)
    for dtype in ("int32", "int64", "float32", *(("bool",) if kind.endswith("EQUAL") and len(kind) < 10 else ())):
        model = Builder()
        x, data = model.input(first, dtype=dtype), few_values(rng, second, dtype)
        y = model.tensor(second, dtype, data=data) if number % 2 else model.input(second, dtype=dtype)
        out = model.op(kind, [x, y], [model.tensor(np.broadcast_shapes(first, second), np.bool_)])
        inputs = (few_values(rng, first, dtype),) if number % 2 else (few_values(rng, first, dtype), data)
        yield Case(f"{kind}_{dtype}_{number}".lower(), model.build([out]), (inputs,))


def logical_cases() -> Iterator[Case]:
    """AND and OR with broadcast, NOT."""
    for number, (first, second) in enumerate(SHAPES):
        for kind in ("LOGICAL_AND", "LOGICAL_OR"):
            model = Builder()
            x, y = model.input(first, dtype=np.bool_), model.input(second, dtype=np.bool_)
            out = model.op(kind, [x, y], [model.tensor(np.broadcast_shapes(first, second), np.bool_)])
            yield case(f"{kind}_{number}".lower(), model, [out], number)
        model = Builder()
        x = model.input(first, dtype=np.bool_)
        out = model.op("LOGICAL_NOT", [x], [model.tensor(first, np.bool_)])
        yield case(f"logical_not_{number}", model, [out], number)


def select_cases() -> Iterator[Case]:
    """Conditions of one shape with the choices, of one value, broadcast among three; a mask made by a comparison."""
    shapes = [((1, 3, 4),) * 3, ((), (1, 5), (1, 5)), ((1, 3, 1), (1, 1, 4), (1, 3, 4)), ((1, 4), (), (1, 4))]
    shapes += [((1, 2, 1, 2, 2), (1, 1, 3, 2, 2), (1, 2, 3, 2, 2)), ((1,), (1, 2, 3), (1, 2, 3))]
    for number, (condition, first, second) in enumerate(shapes):
        out_shape = np.broadcast_shapes(condition, first, second)
        for kind in ("SELECT", "SELECT_V2") if first == second == out_shape else ("SELECT_V2",):
            for dtype in ("int8", "uint8", "int16", "int32", "int64", "float32", "bool"):
                model = Builder()
                scale = 0.1 if dtype == "int8" else None
                c = model.input(condition, dtype=np.bool_)
                x, y = model.input(first, scale, 3, dtype), model.input(second, scale, 3, dtype)
                out = model.op(kind, [c, x, y], [model.tensor(out_shape, dtype, scale, 3)])
                yield case(f"{kind}_{number}_{dtype}".lower(), model, [out], number)
    model = Builder()
    x = model.input((1, 4, 6), 0.1, -5)
    limit = model.tensor((6,), np.int8, 0.05, 2, data=random_int8(np.random.default_rng(0), (6,)))
    mask = model.op("GREATER", [x, limit], [model.tensor((1, 4, 6), np.bool_)], None, 2)
    other = model.tensor((), np.int8, 0.1, -5, data=np.array(-5, np.int8))
    out = model.op("SELECT_V2", [mask, x, other], [model.tensor((1, 4, 6), np.int8, 0.1, -5)])
    yield case("select_masked", model, [out])


def cases() -> Iterator[Case]:
    """All of them."""
    yield from comparison_cases()
    yield from logical_cases()
    yield from select_cases()
