"""Operators that scale rows."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune import numerics
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.rescale import quant_of
from mcuprune.kernels.lowering.members import Lower, plain
from mcuprune.kernels.params import LayerParams, Value


def _norm(graph: Graph, op: Op) -> LayerParams:
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    cols = x.shape[-1]
    fields: dict[str, Value] = {"rows": x.size // cols, "cols": cols, "in_zp": quant_of(x).zero_point}
    return plain(op, "l2_normalization_s8", fields, (x,), y, cols)


def _log_softmax(graph: Graph, op: Op) -> LayerParams:
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    cols = x.shape[-1]
    params = numerics.softmax_parameters(1.0, quant_of(x).scale)
    reverse_mult, reverse_shift = numerics.log_softmax_reverse(params)
    fields: dict[str, Value] = {
        "rows": x.size // cols,
        "cols": cols,
        "mult": params.mult,
        "shift": params.shift,
        "diff_min": params.diff_min,
        "reverse_mult": reverse_mult,
        "reverse_shift": reverse_shift,
    }
    return plain(op, "log_softmax_s8", fields, (x,), y, cols)


LOWER: Mapping[str, Lower] = {
    "L2_NORMALIZATION": _norm,
    "LOG_SOFTMAX": _log_softmax,
}
