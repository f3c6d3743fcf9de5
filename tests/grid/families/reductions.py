"""Reductions over some dimensions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from ai_edge_litert import schema_py_generated as s

from tests.grid.cases import SCALES, ZERO_POINTS, Case, case
from tests.tflite_builder import Builder, random_int8

AXES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((1, 4, 3, 5), (1, 2)),
    ((1, 4, 3, 5), (-1,)),
    ((1, 4, 3, 5), (1, 3)),
    ((1, 4, 3, 5), (3, 1, 2, 1)),
    ((1, 4, 3, 5), (0,)),
    ((1, 4, 3, 5), (0, 1, 2, 3)),
    ((1, 2, 3, 2, 3, 2), (1, 3, 5)),
    ((1, 2, 2, 3, 2, 3, 2), (2, 4, 6)),
    ((1, 9), (1,)),
    ((1, 7, 1, 2), (2, 3)),
]
"""Shape of the input, dimensions that go: side by side, apart, named twice, all, of size 1."""


def cases() -> Iterator[Case]:
    """Sums and extremes over every kind of dimensions, sums with scales over ten orders of magnitude; places."""
    yield from _over_axes()
    yield from _scales()
    yield from _sums()
    yield from _products()
    yield from _places()


def _over_axes() -> Iterator[Case]:
    kinds = product(("MEAN", "REDUCE_MAX", "REDUCE_MIN"), AXES, (False, True))
    for number, (kind, (shape, axes), keep) in enumerate(kinds):
        zero_point = ZERO_POINTS[number % 5]
        out = (
            (0.1, zero_point) if kind.startswith("REDUCE") else ((0.05, 0.3)[number % 2], ZERO_POINTS[number // 2 % 5])
        )
        model = Builder()
        x = model.input(shape, 0.1, zero_point)
        yield case(f"{kind}_{number}", model, [model.mean(x, axes, *out, keep, kind)], number)


def _scales() -> Iterator[Case]:
    for number, (scale, ratio) in enumerate(product(SCALES, (1e-5, 0.01, 0.37, 1.0, 40.0, 3e5))):
        model = Builder()
        x = model.input((1, 3, 4, 2), scale, ZERO_POINTS[number % 5])
        y = model.mean(x, (1, 2), scale * ratio, ZERO_POINTS[number // 5 % 5])
        yield case(f"MEAN_{scale}_{ratio}", model, [y], number)


def _sums() -> Iterator[Case]:
    """SUM of values and to values of 0 and more: the reference takes the bytes for uint8 (docs/numerics.md)."""
    rng = np.random.default_rng(5)
    for number, ((shape, axes), keep, scale) in enumerate(product(AXES, (False, True), SCALES[::2])):
        in_zp, out_zp = (-128, -1, 0)[number % 3], (0, 37)[number % 2]
        model = Builder()
        x = model.input(shape, scale, in_zp)
        count = int(np.prod([shape[axis] for axis in {a % len(shape) for a in axes}]))
        y = model.mean(x, axes, scale * count * float(rng.uniform(3, 9)), out_zp, keep, "SUM")
        samples = tuple((random_int8(rng, shape, 0),) for _ in range(2))
        yield Case(f"SUM_{number}", model.build([y]), samples)


def _products() -> Iterator[Case]:
    """REDUCE_PROD of int8 and int16: factors that fit the scales, and products that leave int32."""
    kinds = product((np.int8, np.int16), AXES[:5] + AXES[8:], ((0.02, 1.0), (0.5, 3.0), (1e-3, 1e-4), (1.0, 40.0)))
    for number, (dtype, (shape, axes), (scale, out_scale)) in enumerate(kinds):
        zero_points = (ZERO_POINTS[number % 5], ZERO_POINTS[number // 5 % 5]) if dtype is np.int8 else (0, 0)
        options = s.ReducerOptionsT()
        options.keepDims = bool(number % 2)
        gone = {axis % len(shape) for axis in axes}
        out = [1 if i in gone else n for i, n in enumerate(shape) if options.keepDims or i not in gone]
        model = Builder()
        x = model.input(shape, scale, zero_points[0], dtype)
        y = model.tensor(out, dtype, out_scale, zero_points[1])
        model.op("REDUCE_PROD", [x, model.constant(axes)], [y], options, 2)
        yield case(f"REDUCE_PROD_{number}", model, [y], number)


def _places() -> Iterator[Case]:
    kinds = product(("ARG_MAX", "ARG_MIN"), (-1, 0, 1, 2), (np.int32, np.int64))
    for number, (kind, axis, dtype) in enumerate(kinds):
        model = Builder()
        x = model.input((1, 4, 3, 5), 0.1, ZERO_POINTS[number % 5])
        y = model.arg(x, axis, kind, dtype, (np.int32, np.int64)[number // 2 % 2])
        yield case(f"{kind}_{axis}_{number}", model, [y], number)
