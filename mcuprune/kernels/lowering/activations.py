"""Activations."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune import numerics
from mcuprune.ir.attributes import SoftmaxAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.rescale import quant_of
from mcuprune.kernels.lowering.conversions import requantize
from mcuprune.kernels.lowering.members import Lower, plain
from mcuprune.kernels.params import LayerParams, Value


def _softmax(graph: Graph, op: Op) -> LayerParams:
    attrs = op.attrs
    assert isinstance(attrs, SoftmaxAttrs)
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    cols = x.shape[-1]
    softmax = numerics.softmax_parameters(attrs.beta, quant_of(x).scale)
    fields: dict[str, Value] = {
        "rows": x.size // cols,
        "cols": cols,
        "mult": softmax.mult,
        "shift": softmax.shift,
        "diff_min": softmax.diff_min,
    }
    return plain(op, "softmax_s8", fields, (x,), y, cols)


LOWER: Mapping[str, Lower] = {
    "RELU": requantize,
    "RELU6": requantize,
    "SOFTMAX": _softmax,
}
