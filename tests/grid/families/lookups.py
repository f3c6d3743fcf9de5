"""Rows of a table at computed positions: embeddings, every type of positions, those out of range."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as s

from tests.grid.cases import Case
from tests.grid.families.moves import of_type
from tests.tflite_builder import Builder

Rng = np.random.Generator


def table(model: Builder, rng: Rng, shape: Sequence[int], dtype: Any) -> int:
    """A constant table."""
    return of_type(model, shape, dtype, data=rng.integers(-100, 100, shape).astype(dtype))


def gather(model: Builder, rows: int, at: int, axis: int = 0, own: int = 0, dtype: Any = np.int8) -> int:
    """GATHER; own: batch dimensions."""
    options = s.GatherOptionsT()
    options.axis, options.batchDims = axis, own
    shape, positions = model.shape(rows), model.shape(at)
    out = of_type(model, (*shape[:axis], *positions[own:], *shape[axis + 1 :]), dtype)
    return model.op("GATHER", [rows, at], [out], options, 2)


def from_end(model: Builder, at: int, size: int) -> int:
    """Positions below 0 counted from the end, as converters write it."""
    shape = model.shape(at)
    negative, shifted = model.tensor(shape, np.bool_), model.tensor(shape, np.int32)
    model.op("LESS", [at, model.constant(0)], [negative], s.LessOptionsT())
    model.op("ADD", [at, model.constant(size)], [shifted], s.AddOptionsT())
    return model.op("SELECT", [negative, shifted, at], [model.tensor(shape, np.int32)], s.SelectOptionsT())


def cases() -> Iterator[Case]:
    """Axes and batches, one size and several, constant tables and computed ones, positions beyond both ends."""
    yield from _gathers()
    yield from _tables_of_the_user()
    yield from _elements()
    yield _from_end()
    yield _beyond()


def _gathers() -> Iterator[Case]:
    rng = np.random.default_rng(31)
    types = ((np.int8, np.int32), (np.float32, np.int64), (np.int16, np.int32), (np.int8, np.int16))
    for (dtype, at_type), axis, shape in itertools.product(types, (0, 1, 2), ((1, 5), (1, 1, 3))):
        model = Builder()
        at = model.input(shape, None, 0, at_type)
        y = gather(model, table(model, rng, (6, 4, 3), dtype), at, axis, dtype=dtype)
        size = (6, 4, 3)[axis]
        samples = tuple((rng.integers(0, size, shape).astype(at_type),) for _ in range(2))
        name = f"lookup_{dtype.__name__}_{at_type.__name__}_{axis}_{len(shape)}"
        yield Case(name, model.build([y]), samples)


def _tables_of_the_user() -> Iterator[Case]:
    """What is looked into is computed, too; each of a dimension has positions of its own."""
    rng = np.random.default_rng(32)
    for own, axis, at_shape in ((0, 1, (3,)), (1, 1, (1, 3)), (1, 2, (1, 2)), (2, 2, (1, 4, 2))):
        model = Builder()
        x = of_type(model, (1, 4, 5), np.int8, is_input=True)
        at = model.input(at_shape, None, 0, np.int32) if own < 2 else model.constant(rng.integers(0, 5, at_shape))
        y = gather(model, x, at, axis, own)
        data = rng.integers(-128, 128, (1, 4, 5)).astype(np.int8)
        positions = [rng.integers(0, (1, 4, 5)[axis], at_shape).astype(np.int32)] if own < 2 else []
        yield Case(f"lookup_of_input_{own}_{axis}", model.build([y]), ((data, *positions),))


def _elements() -> Iterator[Case]:
    rng = np.random.default_rng(33)
    for depth, dtype in itertools.product((1, 2, 3), (np.int8, np.float32)):
        model = Builder()
        at = model.input((1, 4, depth), None, 0, np.int32)
        out = of_type(model, (1, 4, *(3, 5, 2)[depth:]), dtype)
        model.op("GATHER_ND", [table(model, rng, (3, 5, 2), dtype), at], [out], s.GatherNdOptionsT())
        samples = tuple((rng.integers(0, (3, 5, 2)[:depth], (1, 4, depth)).astype(np.int32),) for _ in range(2))
        yield Case(f"gather_nd_{depth}_{dtype.__name__}", model.build([out]), samples)
    for dtype in (np.int8, np.float32):
        model = Builder()
        at = model.input((3,), None, 0, np.int32)
        out = of_type(model, (3, 4), dtype)
        model.op("EMBEDDING_LOOKUP", [at, table(model, rng, (7, 4), dtype)], [out])
        yield Case(f"embedding_{dtype.__name__}", model.build([out]), ((np.array([6, 0, 3], np.int32),),))


def _from_end() -> Case:
    model = Builder()
    at = model.input((1, 6), None, 0, np.int32)
    rng = np.random.default_rng(34)
    y = gather(model, table(model, rng, (9, 4), np.int8), from_end(model, at, 9))
    return Case("lookup_from_end", model.build([y]), ((np.array([[-9, -1, 0, 8, 3, -4]], np.int32),),))


def _beyond() -> Case:
    """LiteRT ends the run; here the nearest row is taken."""
    model = Builder()
    at = model.input((1, 7), None, 0, np.int64)
    rows = table(model, np.random.default_rng(35), (5, 3), np.int8)
    y = gather(model, rows, at)
    data = np.frombuffer(model.model.buffers[model.graph.tensors[rows].buffer].data.tobytes(), np.int8).reshape(5, 3)
    positions = np.array([[-1, 5, -(2**63), 2**63 - 1, 2**32, 4, 0]], np.int64)
    expected = data[[0, 4, 0, 4, 4, 4, 0]].reshape(1, 7, 3)
    return Case("lookup_beyond", model.build([y]), ((positions,),), (expected,))
