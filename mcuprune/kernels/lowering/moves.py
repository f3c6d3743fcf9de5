"""Operators that move values."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune.ir.attributes import PadAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.rescale import quant_of
from mcuprune.kernels.lowering.members import Lower, plain
from mcuprune.kernels.params import LayerParams, Value


def _pad(graph: Graph, op: Op) -> LayerParams:
    attrs = op.attrs
    assert isinstance(attrs, PadAttrs)
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)

    def four(values: tuple[int, ...], fill: int) -> tuple[int, ...]:
        return (fill,) * (4 - len(values)) + tuple(values)

    fields: dict[str, Value] = {
        "in_dims": four(x.shape, 1),
        "before": four(attrs.before, 0),
        "after": four(attrs.after, 0),
        "value": quant_of(y).zero_point,
    }
    return plain(op, "pad_s8", fields, (x,), y)


LOWER: Mapping[str, Lower] = {
    "PAD": _pad,
    "RESHAPE": lambda graph, op: None,
}
