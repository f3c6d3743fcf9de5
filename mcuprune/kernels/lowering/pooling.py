"""Pooling."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune import numerics
from mcuprune.ir.attributes import PoolAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.rescale import quant_of
from mcuprune.kernels.lowering.members import Lower, plain, window_shape
from mcuprune.kernels.params import LayerParams, Value


def _pool(graph: Graph, op: Op) -> LayerParams:
    attrs = op.attrs
    assert isinstance(attrs, PoolAttrs)
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    low, high = numerics.activation_range(quant_of(y).scale, quant_of(y).zero_point, attrs.activation.value)
    fields: dict[str, Value] = {
        "shape": window_shape(x, y, attrs.filter, attrs, (1, 1)),
        "act_min": low,
        "act_max": high,
    }
    family = "average_pool_s8" if op.kind == "AVERAGE_POOL_2D" else "max_pool_s8"
    return plain(op, family, fields, (x,), y, attrs.filter[0] * attrs.filter[1])


LOWER: Mapping[str, Lower] = {
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
}
