"""Operators that take rows of a table by positions that are known when the model runs."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import LookupAttrs
from mcuprune.ir.graph import DType, Graph, Op
from mcuprune.ir.operators.checks import moved_input, present
from mcuprune.ir.operators.operator import Array, Operator

POSITION_TYPES = (DType.INT16, DType.INT32, DType.INT64)
MAX_SIZES = 4
"""Dimensions of mp_lookup."""
MAX_SIZE = 2**31 - 1


def _check_lookup(graph: Graph, op: Op) -> None:
    attrs = op.attrs
    assert isinstance(attrs, LookupAttrs)
    table, positions, output = moved_input(graph, op), present(graph, op, 1), graph.output_of(op)
    if positions.dtype not in POSITION_TYPES:
        raise ModelError(f"positions are {positions.dtype.value}, only int16, int32 and int64 are supported")
    depth = len(attrs.sizes)
    if not 1 <= depth <= MAX_SIZES or min(attrs.sizes) < 1 or max(attrs.sizes) > MAX_SIZE:
        raise ModelError(f"positions in {depth} dimensions {attrs.sizes}, 1 to {MAX_SIZES} are supported")
    seen = (attrs.batches, attrs.outer, *attrs.sizes, attrs.inner)
    if math.prod(seen) != table.size or attrs.batches * attrs.count * depth != positions.size:
        raise ModelError(f"{positions.shape} positions in an input {table.shape}")
    if attrs.batches * attrs.outer * attrs.count * attrs.inner != output.size:
        raise ModelError(f"the output has shape {output.shape}, the operator gives {attrs.count} rows of {attrs.inner}")


def lookup(graph: Graph, op: Op, table: Array, positions: Array) -> Array:
    """GATHER, GATHER_ND, EMBEDDING_LOOKUP: rows at positions; those out of range take the nearest row.

    Source: Gather and GatherNd in TensorFlow Lite, kernels/internal/reference/, which end the run there.
    """
    attrs = op.attrs
    assert isinstance(attrs, LookupAttrs)
    at = positions.astype(np.int64).reshape(attrs.batches, attrs.count, len(attrs.sizes))
    if attrs.from_end:
        at = np.where(at < 0, at + attrs.sizes[0], at)
    sizes = np.array(attrs.sizes, np.int64)
    steps = np.array([math.prod(attrs.sizes[place + 1 :]) for place in range(len(sizes))], np.int64)
    rows = (np.clip(at, 0, sizes - 1) * steps).sum(axis=2)
    seen = table.reshape(attrs.batches, attrs.outer, int(sizes.prod()), attrs.inner)
    taken = [seen[batch][:, rows[batch]] for batch in range(attrs.batches)]
    return np.stack(taken).reshape(graph.output_of(op).shape)


OPERATORS: Mapping[str, Operator] = {"LOOKUP": Operator(_check_lookup, lookup, data_inputs=2)}
