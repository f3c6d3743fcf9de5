"""Reductions."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mcuprune.ir.attributes import ArgAttrs, ReduceAttrs
from mcuprune.ir.graph import DType, Graph, Op
from mcuprune.ir.operators.reductions import product_multiplier, sum_parameters
from mcuprune.ir.rescale import quant_of
from mcuprune.ir.shapes import reduction_walk
from mcuprune.kernels.lowering.members import SHORT, Lower, plain
from mcuprune.kernels.params import LayerParams, Value

MAX_DIMS = 4  # of either sort: an input has 8 at most


def _walk(graph: Graph, op: Op) -> dict[str, Value]:
    """Members of mp_reduce_walk."""
    assert isinstance(op.attrs, ReduceAttrs)
    members: dict[str, Value] = {}
    walk = reduction_walk(graph.tensors[op.inputs[0]].shape, op.attrs.axes)
    for name, (sizes, strides) in zip(("kept", "reduced"), walk, strict=True):
        unused = MAX_DIMS - len(sizes)
        members |= {name: (1,) * unused + sizes, f"{name}_stride": (0,) * unused + strides}
    return members


def _sum(graph: Graph, op: Op) -> LayerParams:
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    p = sum_parameters(graph, op)
    fields: dict[str, Value] = {
        "walk": _walk(graph, op),
        "in_zp": quant_of(x).zero_point,
        "out_zp": quant_of(y).zero_point,
        "mult": p.mult,
        "shift": p.shift,
    }
    return plain(op, f"mean_{SHORT[y.dtype]}", fields, (x,), y, p.count)


def _product(graph: Graph, op: Op) -> LayerParams:
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    mult, shift = product_multiplier(graph, op)
    fields: dict[str, Value] = {
        "walk": _walk(graph, op),
        "in_zp": quant_of(x).zero_point,
        "out_zp": quant_of(y).zero_point,
        "mult": mult,
        "shift": shift,
    }
    return plain(op, f"reduce_prod_{SHORT[y.dtype]}", fields, (x,), y, x.size // y.size)


def _extreme(graph: Graph, op: Op) -> LayerParams:
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    fields: dict[str, Value] = {"walk": _walk(graph, op), "smallest": int(op.kind == "REDUCE_MIN")}
    return plain(op, f"reduce_extreme_{SHORT[y.dtype]}", fields, (x,), y, x.size // y.size)


def _arg(graph: Graph, op: Op) -> LayerParams:
    assert isinstance(op.attrs, ArgAttrs)
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    axis = op.attrs.axis
    fields: dict[str, Value] = {
        "outer": math.prod(x.shape[:axis]),
        "count": x.shape[axis],
        "inner": math.prod(x.shape[axis + 1 :]),
        "smallest": int(op.kind == "ARG_MIN"),
    }
    family = "arg_extreme_s8_s64" if y.dtype is DType.INT64 else "arg_extreme_s8_s32"
    return plain(op, family, fields, (x,), y, x.shape[axis])


LOWER: Mapping[str, Lower] = {
    "ARG_MAX": _arg,
    "ARG_MIN": _arg,
    "MEAN": _sum,
    "REDUCE_MAX": _extreme,
    "REDUCE_MIN": _extreme,
    "REDUCE_PROD": _product,
    "SUM": _sum,
}
