"""Reductions."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune import numerics
from mcuprune.ir.attributes import MeanAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.rescale import quant_of
from mcuprune.ir.shapes import mean_extents
from mcuprune.kernels.lowering.members import Lower, plain
from mcuprune.kernels.params import LayerParams, Value


def _mean(graph: Graph, op: Op) -> LayerParams:
    """MEAN over consecutive axes: the shape collapses to (outer, reduce, inner)."""
    attrs = op.attrs
    assert isinstance(attrs, MeanAttrs)
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    extents = mean_extents(x.shape, attrs.axes)
    assert extents is not None, "the verifier refuses axes that do not lie side by side"
    outer, count, inner = extents
    mean = numerics.mean_parameters(quant_of(x).scale, quant_of(y).scale, count)
    fields: dict[str, Value] = {
        "outer": outer,
        "reduce": count,
        "inner": inner,
        "in_zp": quant_of(x).zero_point,
        "out_zp": quant_of(y).zero_point,
        "mult": mean.mult,
        "shift": mean.shift,
    }
    return plain(op, "mean_s8", fields, (x,), y, count)


LOWER: Mapping[str, Lower] = {
    "MEAN": _mean,
}
