"""Operators that take rows of a table by positions."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune.ir.attributes import LookupAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.operators.lookups import MAX_SIZES
from mcuprune.kernels.lowering.members import Lower, element_type, plain
from mcuprune.kernels.params import LayerParams, Value


def _lookup(graph: Graph, op: Op) -> LayerParams:
    attrs = op.attrs
    assert isinstance(attrs, LookupAttrs)
    table, positions = (graph.tensors[i] for i in op.inputs[:2])
    fields: dict[str, Value] = {
        "batches": attrs.batches,
        "outer": attrs.outer,
        "count": attrs.count,
        "depth": len(attrs.sizes),
        "sizes": attrs.sizes + (1,) * (MAX_SIZES - len(attrs.sizes)),
        "run": attrs.inner * table.dtype.itemsize,
        "positions": element_type(positions),
        "from_end": int(attrs.from_end),
    }
    return plain(op, "lookup", fields, (table, positions), graph.output_of(op))


LOWER: Mapping[str, Lower] = {"LOOKUP": _lookup}
