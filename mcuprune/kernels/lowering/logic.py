"""Comparisons, logic on bool, and choices by it."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.operators.logic import COMPARISONS, comparison_multiplier, on_one_scale
from mcuprune.ir.rescale import quant_of
from mcuprune.ir.shapes import broadcast_walk
from mcuprune.kernels.lowering.members import SHORT, Lower, element_type, plain, walk_members
from mcuprune.kernels.params import LayerParams, Value

_TRUTH = {"LOGICAL_AND": 0b1000, "LOGICAL_OR": 0b1110, "LOGICAL_NOT": 0b0001}
"""Bit 2 * a + b is the result."""


def _compare(graph: Graph, op: Op) -> LayerParams:
    a, b, y = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]], graph.output_of(op)
    fields: dict[str, Value] = walk_members(graph, op, 2)
    if not on_one_scale(op, a):
        fields |= {"type": element_type(a), "accepts": COMPARISONS[op.kind]}
        return plain(op, "compare_any", fields, (a, b), y)
    (mult1, shift1), (mult2, shift2) = (comparison_multiplier(quant_of(side)) for side in (a, b))
    fields |= {
        "in1_offset": -quant_of(a).zero_point,
        "in2_offset": -quant_of(b).zero_point,
        "mult1": mult1,
        "shift1": shift1,
        "mult2": mult2,
        "shift2": shift2,
        "accepts": COMPARISONS[op.kind],
    }
    return plain(op, f"compare_{SHORT[a.dtype]}", fields, (a, b), y)


def _logical(graph: Graph, op: Op) -> LayerParams:
    """LOGICAL_NOT takes its input twice."""
    a, b, y = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[-1]], graph.output_of(op)
    walk = broadcast_walk([a.shape, b.shape], y.shape)
    assert walk is not None, "the verifier refuses what four loops do not reach"
    dims, (stride1, stride2) = walk
    fields: dict[str, Value] = {"dims": dims, "stride1": stride1, "stride2": stride2, "truth": _TRUTH[op.kind]}
    return plain(op, "logical_bool", fields, (a, b), y)


def _select(graph: Graph, op: Op) -> LayerParams:
    condition, x, y = (graph.tensors[i] for i in op.inputs)
    fields = {**walk_members(graph, op, 3), "bytes": x.dtype.itemsize}
    return plain(op, "select_any", fields, (condition, x, y), graph.output_of(op))


LOWER: Mapping[str, Lower] = {
    **dict.fromkeys(COMPARISONS, _compare),
    **dict.fromkeys(_TRUTH, _logical),
    "SELECT": _select,
    "SELECT_V2": _select,
}
