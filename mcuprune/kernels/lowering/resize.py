"""Images in another size."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune.ir.attributes import ResizeAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.operators.resize import steps_along
from mcuprune.kernels.lowering.members import SHORT, Lower, plain
from mcuprune.kernels.params import LayerParams, Value


def _bilinear(graph: Graph, op: Op) -> LayerParams:
    attrs = op.attrs
    assert isinstance(attrs, ResizeAttrs)
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    rows, cols = (steps_along(n, m, attrs) for n, m in zip(x.shape[1:3], y.shape[1:3], strict=True))
    fields: dict[str, Value] = {
        "in_h": x.shape[1],
        "in_w": x.shape[2],
        "out_h": y.shape[1],
        "out_w": y.shape[2],
        "ch": x.shape[3],
        "step_h": rows.step,
        "step_w": cols.step,
        "start_h": rows.start,
        "start_w": cols.start,
    }
    return plain(op, f"resize_bilinear_{SHORT[y.dtype]}", fields, (x,), y)


LOWER: Mapping[str, Lower] = {
    "RESIZE_BILINEAR": _bilinear,
}
