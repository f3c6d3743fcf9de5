"""Pooling."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune.ir.attributes import PoolAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.operators.pooling import pool_range
from mcuprune.kernels.lowering.members import SHORT, Lower, plain, window_shape
from mcuprune.kernels.params import LayerParams, Value


def _pool(graph: Graph, op: Op) -> LayerParams:
    attrs = op.attrs
    assert isinstance(attrs, PoolAttrs)
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    low, high = pool_range(graph, op)
    fields: dict[str, Value] = {
        "shape": window_shape(x, y, attrs.filter, attrs, (1, 1)),
        "act_min": low,
        "act_max": high,
    }
    kind = "average_pool" if op.kind == "AVERAGE_POOL_2D" else "max_pool"
    return plain(op, f"{kind}_{SHORT[y.dtype]}", fields, (x,), y, attrs.filter[0] * attrs.filter[1])


LOWER: Mapping[str, Lower] = {
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
}
