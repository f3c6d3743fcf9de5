"""Operators that take a part of a tensor, or split it into parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as s

from tests.grid.cases import Case
from tests.grid.families.moves import TYPES, ints, one


def cases() -> Iterator[Case]:
    """All masks of STRIDED_SLICE, steps of both signs, parts of every size."""
    yield from _slices()
    yield from _strided_slices()
    yield from _splits()


def _slices() -> Iterator[Case]:
    shape = (1, 4, 6, 3)
    for begin, size in (
        ((0, 1, 2, 0), (1, -1, 3, -1)),
        ((0, 0, 0, 0), (1, 4, 6, 3)),
        ((0, 3, 5, 2), (1, 1, 1, 1)),
        ((0, 0, 0, 1), (-1, 4, 6, 2)),
    ):
        out = [n - b if z == -1 else z for n, b, z in zip(shape, begin, size, strict=True)]
        for dtype in TYPES:
            name = f"slice_{begin}_{size}_{dtype.__name__}"
            yield one(name, "SLICE", shape, out, s.SliceOptionsT(), ints(begin), ints(size), dtype=dtype)


def _masks(**masks: Any) -> Any:
    options = s.StridedSliceOptionsT()
    for name, value in masks.items():
        setattr(options, name, value)
    return options


STRIDED: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], dict[str, Any], tuple[int, ...]]] = [
    ((0, 1, 1), (1, 4, 5), (1, 1, 2), {}, (1, 3, 2)),
    ((0, -1, -1), (1, -6, -7), (1, -1, -2), {}, (1, 5, 3)),
    ((0, 3, 9), (1, 0, -20), (1, -2, -1), {}, (1, 2, 6)),
    ((0, 2, 3), (0, 3, 1), (1, 1, 1), {"beginMask": 4, "endMask": 5}, (1, 1, 6)),
    ((0, 4, 3), (0, 0, 1), (1, -1, -2), {"beginMask": 5, "endMask": 7}, (1, 5, 3)),
    ((0, 2, 0), (1, 3, 6), (1, 1, 1), {"shrinkAxisMask": 2}, (1, 6)),
    ((0, -1, -2), (0, 0, 0), (1, 1, 1), {"shrinkAxisMask": 6, "endMask": 1}, (1,)),
    ((0, 3, 1), (0, 9, 9), (1, 1, 1), {"shrinkAxisMask": 7}, ()),
    ((0, 2), (1, 4), (1, 1), {}, (1, 2, 6)),
    ((0,), (1,), (1,), {}, (1, 5, 6)),
    ((0, 0, 2), (0, 1, 4), (1, 1, 1), {"ellipsisMask": 1}, (1, 1, 2)),
    ((0, 2), (0, 4), (1, 1), {"ellipsisMask": 1}, (1, 5, 2)),
    ((0, 0, 2), (1, 0, 4), (1, 1, 1), {"ellipsisMask": 2}, (1, 5, 2)),
    ((0, 0), (1, 0), (1, 1), {"ellipsisMask": 2}, (1, 5, 6)),
    ((0, 0, 1, 2), (1, 1, 3, 6), (1, 1, 1, 2), {"newAxisMask": 2}, (1, 1, 2, 2)),
    ((0, 0, 1), (1, 4, 9), (1, 3, 1), {"newAxisMask": 1}, (1, 1, 4, 6)),
    ((0, 1, 2), (1, 2, 3), (1, 1, 1), {"offset": True}, (1, 2, 3)),
    ((0, 4, 5), (1, 1, 1), (1, 1, 1), {"offset": True}, (1, 1, 1)),
    ((0, 4, 5), (1, 0, 0), (1, 2, 2), {"beginMask": 6, "endMask": 6, "shrinkAxisMask": 0}, (1, 3, 3)),
]
"""begin, end, strides, masks, and the output, of an input (1, 5, 6)."""


def _strided_slices() -> Iterator[Case]:
    for number, (begin, end, steps, masks, out) in enumerate(STRIDED):
        for dtype in TYPES if number < 4 else (np.int8, np.int32):
            values = (ints(begin), ints(end), ints(steps))
            name = f"strided_{number}_{dtype.__name__}"
            yield one(name, "STRIDED_SLICE", (1, 5, 6), out, _masks(**masks), *values, dtype=dtype)


def _splits() -> Iterator[Case]:
    shape = (1, 6, 4)
    for axis, count in ((1, 2), (1, 6), (2, 4), (-1, 2), (-2, 3), (0, 1)):
        options = s.SplitOptionsT()
        options.numSplits = count
        part = list(shape)
        part[axis] //= count
        for dtype in (np.int8, np.float32):
            name = f"split_{axis}_{count}_{dtype.__name__}"
            parts = [tuple(part)] * count
            yield one(name, "SPLIT", shape, parts, options, ints(axis), dtype=dtype, data_at=1)
    for axis, sizes, shown in (
        (1, (1, 3, 2), (1, 3, 2)),
        (2, (3, 1), (-1, 1)),
        (-2, (6,), (-1,)),
        (-1, (2, 2), (2, 2)),
    ):
        parts = [tuple(n if d == axis % 3 else m for d, m in enumerate(shape)) for n in sizes]
        options = s.SplitVOptionsT()
        options.numSplits = len(sizes)
        for dtype in (np.int8, np.int32):
            name = f"split_v_{axis}_{shown}_{dtype.__name__}"
            yield one(name, "SPLIT_V", shape, parts, options, ints(shown), ints(axis), dtype=dtype)
    for axis in (0, 1, 2, -1, -2):
        options = s.UnpackOptionsT()
        options.axis, options.num = axis, shape[axis]
        out = tuple(n for d, n in enumerate(shape) if d != axis % 3)
        for dtype in TYPES:
            yield one(f"unpack_{axis}_{dtype.__name__}", "UNPACK", shape, [out] * shape[axis], options, dtype=dtype)
