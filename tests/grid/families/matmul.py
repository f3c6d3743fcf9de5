"""Products of matrices."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.grid.cases import SCALES, ZERO_POINTS, Case, case
from tests.grid.families.weighted import ACTIVATIONS
from tests.tflite_builder import Builder, random_bias, random_int8

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
    for number, ((first, second), adj_x, adj_y) in enumerate(product(BATCHES, (False, True), (False, True)), 2000):
        yield _matmul16(number, first, second, adj_x, adj_y, (1e-4, 2e-4, 3e-4))
    for number, scale in enumerate(SCALES, 3000):
        yield _matmul16(number, (1,), (1,), False, True, (scale, 0.01, scale * 25))
    yield from computed_weights()
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


def _matmul16(
    number: int,
    first: tuple[int, ...],
    second: tuple[int, ...],
    adj_x: bool,
    adj_y: bool,
    scales: tuple[float, float, float],
) -> Case:
    """int16 by int16 or int8, the second operand computed or constant."""
    rng = np.random.default_rng(number)
    a = (*first, *((5, 1) if adj_x else (1, 5)))
    b = (*second, *((2, 5) if adj_y else (5, 2)))
    model = Builder()
    x = model.input(a if a[0] == 1 else (1, *a), scales[0], dtype=np.int16)
    dtype: type[np.signedinteger] = (np.int16, np.int8)[number % 2]
    if number % 3 == 0:
        values = rng.integers(*_ends(dtype), b, dtype, endpoint=True)
        y = model.tensor(b, dtype, scales[1], data=values)
    else:
        y = model.input(b if b[0] == 1 else (1, *b), scales[1], dtype=dtype)
    scale = scales[2] * (256 if dtype is np.int16 else 1)
    return case(f"matmul16_{number}", model, [model.batch_matmul(x, y, scale, 0, adj_x, adj_y)], samples=1)


def _ends(dtype: type[np.signedinteger]) -> tuple[int, int]:
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def computed_weights() -> Iterator[Case]:
    """FULLY_CONNECTED whose weights are computed."""
    shapes = [((1, 7), 7, False), ((1, 3, 4), 12, False), ((1, 3, 4), 4, False), ((1, 3, 4), 4, True)]
    for number, ((shape, cols, keep), zero_point) in enumerate(product(shapes, ZERO_POINTS)):
        rng, model, options = np.random.default_rng(number), Builder(), schema.FullyConnectedOptionsT()
        options.keepNumDims, options.fusedActivationFunction = keep, ACTIVATIONS[number % 4]
        x = model.input(shape, 0.05, ZERO_POINTS[number % 5])
        w = model.reshape(model.input((1, 3 * cols), 0.03, zero_point), (3, cols))
        inputs = [x, w]
        if number % 3:
            inputs.append(model.tensor((3,), np.int32, 0.05 * 0.03, data=random_bias(rng, 3)))
        lead = shape[:-1] if keep else (int(np.prod(shape)) // cols,)
        out = model.tensor((*lead, 3), np.int8, (0.1, 0.03, 1.0)[number % 3], ZERO_POINTS[number // 3 % 5])
        model.op("FULLY_CONNECTED", inputs, [out], options, 5)
        yield case(f"computed_weights_{number}", model, [out], number)
