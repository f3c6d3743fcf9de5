"""Operators that move values: bytes, whatever they stand for."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mcuprune.encodings import Array
from mcuprune.errors import ModelError
from mcuprune.ir.attributes import GatherAttrs, PadAttrs
from mcuprune.ir.graph import Graph, Op, Tensor
from mcuprune.ir.operators.moves import MAX_PADDED, MAX_TABLES, gather_tables, merged_pads, pad_value
from mcuprune.ir.walk import MAX_DIMS, walk_of
from mcuprune.kernels.lowering.members import Lower, plain
from mcuprune.kernels.params import LayerParams, Value


def _pad(graph: Graph, op: Op) -> LayerParams:
    """Bytes along the last dimension."""
    attrs = op.attrs
    assert isinstance(attrs, PadAttrs)
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    dims = merged_pads((*x.shape, x.dtype.itemsize), (*attrs.before, 0), (*attrs.after, 0))
    dims = [(1, 0, 0)] * (MAX_PADDED - len(dims)) + dims
    sizes, before, after = zip(*dims, strict=True)
    value = np.array(pad_value(graph, op), x.dtype.numpy).tobytes()
    fields: dict[str, Value] = {
        "in_dims": sizes,
        "before": before,
        "after": after,
        "value": tuple(value),
        "period": 1 if len(set(value)) == 1 else len(value),
    }
    return plain(op, "pad", fields, (x,), y)


def _walked(graph: Graph, op: Op) -> LayerParams:
    """SLICE, TRANSPOSE, and GATHER where the indices have a pattern; else by tables."""
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    walk = walk_of(op, x.shape)
    if walk is None:
        return _gather(op, x, y)
    item = x.dtype.itemsize
    loops, run = [(count, stride * item) for count, stride in walk.loops], item
    if loops and loops[-1][1] == item:  # elements side by side are copied as one
        run *= loops.pop()[0]
    loops = [(1, 0)] * (MAX_DIMS - len(loops)) + loops
    counts, strides = zip(*loops, strict=True)
    fields: dict[str, Value] = {"dims": counts, "strides": strides, "start": walk.start * item, "run": run}
    return plain(op, "copy", fields, (x,), y)


def _gather(op: Op, x: Tensor, y: Tensor) -> LayerParams:
    """A table of offsets for each dimension; what is inside of the last one goes as a run of bytes."""
    assert isinstance(op.attrs, GatherAttrs)
    tables, run = gather_tables(op.attrs), x.dtype.itemsize
    if tables[-1][1] is None:
        run *= tables.pop()[0]
    offsets, inner = [], run
    for size, indices in reversed(tables):
        offsets.append(inner * np.array(range(size) if indices is None else indices, np.uint32))
        inner *= size
    offsets += [np.zeros(1, np.uint32)] * (MAX_TABLES - len(offsets))
    dims = tuple(len(table) for table in reversed(offsets))
    fields: dict[str, Value] = {"dims": dims, "run": run, "offsets": ""}
    assert math.prod(dims) * run == y.nbytes
    array = Array("offsets", "uint32_t", np.concatenate(offsets[::-1]).astype(np.uint32))
    return plain(op, "gather", fields, (x,), y).with_arrays(array)


def _shape(graph: Graph, op: Op) -> LayerParams | None:
    """Where a shape is an output of the model; everywhere else the importer made a constant of it."""
    raise ModelError(
        f"the model gives a shape, {graph.tensors[op.inputs[0]].shape}, which is known ahead",
        where=op.place,
        hint="export the model without that output",
    )


LOWER: Mapping[str, Lower] = {
    "GATHER": _walked,
    "PAD": _pad,
    "RESHAPE": lambda graph, op: None,
    "SHAPE": _shape,
    "SLICE": _walked,
    "TRANSPOSE": _walked,
}
