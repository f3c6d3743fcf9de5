"""Operators that move values: padding, slices, other orders, repetitions, joins."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as s

from tests.grid.cases import Case, case
from tests.tflite_builder import Builder

TYPES = (np.int8, np.int16, np.int32, np.float32, np.bool_)
QUANT = (0.1, -7)


def ints(values: Any) -> np.ndarray:
    return np.asarray(values, np.int32)


def of_type(model: Builder, shape: Sequence[int], dtype: Any, *, is_input: bool = False, data: Any = None) -> int:
    """A tensor that is quantized where its type is int8 or int16."""
    scale, zero_point = QUANT if dtype is np.int8 else (QUANT[0] if dtype is np.int16 else None, 0)
    if is_input:
        return model.input(shape, scale, zero_point, dtype)
    return model.tensor(shape, dtype, scale, zero_point, data=data)


def one(
    name: str, kind: str, shape: Sequence[int], out: Any, options: Any, *constants: Any, dtype: Any = np.int8,
    data_at: int = 0,
) -> Case:  # fmt: skip
    """One operator on an input and constants; out: a shape, or one for each output."""
    model = Builder()
    inputs = [model.constant(c, c.dtype) for c in map(np.asarray, constants)]
    inputs.insert(data_at, of_type(model, shape, dtype, is_input=True))
    outputs = [of_type(model, one_shape, dtype) for one_shape in (out if np.ndim(out) == 2 else [out])]
    model.op(kind, inputs, outputs, options, 2 if kind == "BROADCAST_TO" else 1)
    return case(name, model, outputs)


def cases() -> Iterator[Case]:
    """Every operator that moves values, in every type that it may have."""
    yield from _pads()
    yield from _shapes()
    yield from _orders()
    yield from _repetitions()
    yield from _gathers()


def _pads() -> Iterator[Case]:
    for dtype, (number, pads) in itertools.product(
        TYPES,
        enumerate(
            ([(0, 0), (1, 2), (0, 3), (1, 0)], [(0, 1), (0, 0), (0, 0), (2, 1)], [(0, 0), (0, 0), (4, 0), (0, 0)])
        ),
    ):
        shape = (1, 3, 2, 4)
        out = [n + b + a for n, (b, a) in zip(shape, pads, strict=True)]
        yield one(f"pad_{number}_{dtype.__name__}", "PAD", shape, out, s.PadOptionsT(), ints(pads), dtype=dtype)
    deep = [(0, 0), (1, 1), (0, 2), (1, 0), (1, 1)]
    yield one("pad_5d", "PAD", (1, 2, 3, 1, 2), (1, 4, 5, 2, 4), s.PadOptionsT(), ints(deep))
    for dtype, value in [(np.int8, -128), (np.int8, 0), (np.int8, 127), (np.int16, -(2**15)), (np.float32, -0.3)]:
        model = Builder()
        x = of_type(model, (1, 3, 2), dtype, is_input=True)
        fill = of_type(model, (), dtype, data=np.array(value, dtype))
        out = of_type(model, (1, 6, 3), dtype)
        model.op("PADV2", [x, model.constant([(0, 0), (1, 2), (1, 0)]), fill], [out], s.PadV2OptionsT(), 2)
        yield case(f"padv2_{dtype.__name__}_{value}", model, [out])
    for mode, pads in ((0, [(0, 0), (2, 1), (1, 3)]), (1, [(0, 0), (3, 0), (4, 2)]), (1, [(1, 1), (0, 0), (0, 1)])):
        options = s.MirrorPadOptionsT()
        options.mode = mode
        out = [n + b + a for n, (b, a) in zip((1, 3, 4), pads, strict=True)]
        for dtype in (np.int8, np.float32):
            name = f"mirror_{mode}_{pads[2]}_{dtype.__name__}"
            yield one(name, "MIRROR_PAD", (1, 3, 4), out, options, ints(pads), dtype=dtype)


def _shapes() -> Iterator[Case]:
    for dtype in TYPES:
        name = dtype.__name__
        yield one(
            f"reshape_{name}", "RESHAPE", (1, 4, 3), (1, 2, 6), s.ReshapeOptionsT(), ints([1, 2, -1]), dtype=dtype
        )
        for listed, shape in ((None, (1, 3)), ([1], (1, 3, 1)), ([-1, 1], (1, 3))):
            options = s.SqueezeOptionsT()
            options.squeezeDims = listed
            out = (3,) if listed is None else shape
            yield one(f"squeeze_{listed}_{name}", "SQUEEZE", (1, 1, 3, 1), out, options, dtype=dtype)
        for axis, out in ((0, (1, 1, 3)), (-1, (1, 3, 1)), (1, (1, 1, 3))):
            yield one(
                f"expand_{axis}_{name}", "EXPAND_DIMS", (1, 3), out, s.ExpandDimsOptionsT(), ints(axis), dtype=dtype
            )


ORDERS = [
    (1, 2, 0), (0, 2, 1), (2, 1, 0), (0, 1, 2), (0, 3, 1, 2), (0, 2, 3, 1), (3, 2, 1, 0), (0, 2, 1, 3), (1, 0),
    (4, 1, 2, 0, 3), (0, 4, 2, 3, 1), (5, 4, 3, 2, 1, 0), (0, 3, 1, 4, 2, 5),
]  # fmt: skip


def _orders() -> Iterator[Case]:
    sizes = (1, 3, 2, 4, 2, 3)
    for order in ORDERS:
        shape = sizes[: len(order)]
        out = [shape[d] for d in order]
        for dtype in (np.int8, np.float32, np.bool_):
            name = f"transpose_{order}_{dtype.__name__}"
            yield one(name, "TRANSPOSE", shape, out, s.TransposeOptionsT(), ints(order), dtype=dtype)
    for block in (1, 2, 3):
        for kind, options, shape, out in (
            ("SPACE_TO_DEPTH", s.SpaceToDepthOptionsT(), (1, 2 * block, 3 * block, 5), (1, 2, 3, 5 * block**2)),
            ("DEPTH_TO_SPACE", s.DepthToSpaceOptionsT(), (1, 2, 3, 5 * block**2), (1, 2 * block, 3 * block, 5)),
        ):
            options.blockSize = block
            for dtype in (np.int8, np.float32):
                yield one(f"{kind}_{block}_{dtype.__name__}", kind, shape, out, options, dtype=dtype)
    for axis in (0, 1, 2, -1):
        for dtype in TYPES:
            name = f"reverse_{axis}_{dtype.__name__}"
            yield one(name, "REVERSE_V2", (1, 3, 4), (1, 3, 4), s.ReverseV2OptionsT(), ints([axis]), dtype=dtype)
    model = Builder()
    x, y = model.input((1, 3, 4), 0.1, -7), model.tensor((1, 3, 4), np.int8, 0.11, 5)
    model.op("REVERSE_V2", [x, model.constant([1])], [y], s.ReverseV2OptionsT())
    yield case("reverse_to_another_scale", model, [y])  # codes are copied: see test_moves.py
    yield one("reverse_two", "REVERSE_V2", (1, 3, 4, 2), (1, 3, 4, 2), s.ReverseV2OptionsT(), ints([1, 2]))


def _repetitions() -> Iterator[Case]:
    for times in itertools.product((1, 2), (1, 3), (1, 2)):
        out = [n * t for n, t in zip((1, 2, 3), times, strict=True)]
        for dtype in (np.int8, np.float32):
            yield one(
                f"tile_{times}_{dtype.__name__}", "TILE", (1, 2, 3), out, s.TileOptionsT(), ints(times), dtype=dtype
            )
    for shape, wanted in (((1, 3), (4, 3)), ((1, 2, 1), (1, 2, 5)), ((1,), (2, 3)), ((1, 1, 3, 1), (2, 4, 3, 2))):
        for dtype in (np.int8, np.int32):
            name = f"broadcast_{wanted}_{dtype.__name__}"
            yield one(name, "BROADCAST_TO", shape, wanted, s.BroadcastToOptionsT(), ints(wanted), dtype=dtype)
    for dtype in TYPES:
        yield one(
            f"fill_{dtype.__name__}", "FILL", (), (1, 3, 2), s.FillOptionsT(), ints([1, 3, 2]), dtype=dtype, data_at=1
        )


def _gathers() -> Iterator[Case]:
    rng = np.random.default_rng(3)
    for axis, positions in itertools.product((0, 1, 2, -1), ([0], [[4, 1], [2, 2]], [4, 3, 0, 0, 1], 3)):
        options = s.GatherOptionsT()
        options.axis = axis
        shape, place = [5, 5, 5], axis % 3
        shape[0] = 5 if place == 0 else 1
        out = [*shape[:place], *np.shape(positions), *shape[place + 1 :]]
        if shape[0] == 1:
            name = f"gather_{axis}_{np.shape(positions)}"
            dtype = rng.choice(np.array([np.int8, np.float32], object))
            yield one(name, "GATHER", shape, out, options, ints(positions), dtype=dtype)
