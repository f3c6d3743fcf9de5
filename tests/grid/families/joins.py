"""Operators that put tensors side by side."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ai_edge_litert import schema_py_generated as s

from tests.grid.cases import Case, case
from tests.grid.families.moves import QUANT, TYPES, of_type
from tests.tflite_builder import Builder, random_int8


def cases() -> Iterator[Case]:
    """CONCATENATION and PACK along every dimension, of constants and of one input twice, too."""
    for dtype in TYPES:
        for axis in (0, 1, 2, 3, -1, -3):
            yield _concatenation(axis, dtype)
        for axis in (0, 1, 2, -1, -2):
            for count in (1, 2, 5):
                if dtype is not np.bool_:  # the reference has no PACK of it
                    yield _pack(axis, count, dtype)
    yield _with_constants()


def _concatenation(axis: int, dtype: type) -> Case:
    model, parts = Builder(), []
    for width in (2, 1, 4):
        shape = [1, 3, 2, 5]
        shape[axis] = 1 if axis == 0 else width
        parts.append(of_type(model, shape, dtype, is_input=True))
    parts.append(parts[0])
    out = [1, 3, 2, 5]
    out[axis] = 4 if axis == 0 else 9
    y = of_type(model, out, dtype)
    options = s.ConcatenationOptionsT()
    options.axis = axis
    model.op("CONCATENATION", parts, [y], options, 2)
    return case(f"concatenation_{axis}_{dtype.__name__}", model, [y])


def _pack(axis: int, count: int, dtype: type) -> Case:
    model, shape = Builder(), [1, 3, 2]
    parts = [of_type(model, shape, dtype, is_input=True) for _ in range(count)]
    place = axis % 4
    y = of_type(model, [*shape[:place], count, *shape[place:]], dtype)
    options = s.PackOptionsT()
    options.axis, options.valuesCount = axis, count
    model.op("PACK", parts, [y], options, 2)
    return case(f"pack_{axis}_{count}_{dtype.__name__}", model, [y])


def _with_constants() -> Case:
    model, rng = Builder(), np.random.default_rng(5)
    x = of_type(model, (1, 3, 2), np.int8, is_input=True)
    first = model.tensor((1, 3, 1), np.int8, *QUANT, data=random_int8(rng, (1, 3, 1)))
    last = model.tensor((1, 3, 4), np.int8, *QUANT, data=random_int8(rng, (1, 3, 4)))
    y = of_type(model, (1, 3, 7), np.int8)
    options = s.ConcatenationOptionsT()
    options.axis = 2
    model.op("CONCATENATION", [first, x, last], [y], options, 2)
    return case("concatenation_constants", model, [y])
