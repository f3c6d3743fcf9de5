"""Elementwise operators on two inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mcuprune import numerics
from mcuprune.ir.attributes import ArithmeticAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.rescale import quant_of
from mcuprune.kernels.lowering.members import Lower, plain, walk_members
from mcuprune.kernels.params import LayerParams, Value
from mcuprune.numerics import AddParameters


def _common(graph: Graph, op: Op) -> dict[str, Value]:
    """Members of every struct here: loops and offsets."""
    q1, q2 = (quant_of(graph.tensors[i]) for i in op.inputs)
    walk = walk_members(graph, op, 2)
    return {**walk, "in1_offset": -q1.zero_point, "in2_offset": -q2.zero_point}


def _output(graph: Graph, op: Op) -> dict[str, Value]:
    """Last members: zero point and range of the output."""
    out = quant_of(graph.output_of(op))
    activation = op.attrs.activation.value if isinstance(op.attrs, ArithmeticAttrs) else "NONE"
    low, high = numerics.activation_range(out.scale, out.zero_point, activation)
    return {"out_zp": out.zero_point, "act_min": low, "act_max": high}


def _layer(graph: Graph, op: Op, family: str, fields: Mapping[str, Value]) -> LayerParams:
    inputs = (graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]])
    return plain(op, family, fields, inputs, graph.output_of(op))


def _scaled(family: str, parameters: Callable[[float, float, float], AddParameters]) -> Lower:
    """Both inputs on one scale: sums and differences."""

    def lower(graph: Graph, op: Op) -> LayerParams:
        q1, q2 = (quant_of(graph.tensors[i]) for i in op.inputs)
        p = parameters(q1.scale, q2.scale, quant_of(graph.output_of(op)).scale)
        fields: dict[str, Value] = {
            **_common(graph, op),
            "mult1": p.mult1,
            "shift1": p.shift1,
            "mult2": p.mult2,
            "shift2": p.shift2,
            "out_mult": p.out_mult,
            "out_shift": p.out_shift,
            "left_shift": p.left_shift,
            **_output(graph, op),
        }
        return _layer(graph, op, family, fields)

    return lower


def _mul(graph: Graph, op: Op) -> LayerParams:
    q1, q2 = (quant_of(graph.tensors[i]) for i in op.inputs)
    mult, shift = numerics.product_multiplier(q1.scale, q2.scale, quant_of(graph.output_of(op)).scale)
    fields = {**_common(graph, op), "mult": mult, "shift": shift, **_output(graph, op)}
    return _layer(graph, op, "mul_s8", fields)


def _div(graph: Graph, op: Op) -> LayerParams:
    q1, q2 = (quant_of(graph.tensors[i]) for i in op.inputs)
    mult, shift = numerics.quotient_multiplier(q1.scale, q2.scale, quant_of(graph.output_of(op)).scale)
    fields = {**_common(graph, op), "mult": mult, "shift": shift, **_output(graph, op)}
    return _layer(graph, op, "div_s8", fields)


def _extremum(family: str) -> Lower:
    """MINIMUM and MAXIMUM: stored values."""
    return lambda graph, op: _layer(graph, op, family, walk_members(graph, op, 2))


LOWER: Mapping[str, Lower] = {
    "ADD": _scaled("add_s8", numerics.add_parameters),
    "DIV": _div,
    "MAXIMUM": _extremum("maximum_s8"),
    "MINIMUM": _extremum("minimum_s8"),
    "MUL": _mul,
    "SQUARED_DIFFERENCE": _scaled("squared_difference_s8", numerics.squared_difference_parameters),
    "SUB": _scaled("sub_s8", numerics.add_parameters),
}
