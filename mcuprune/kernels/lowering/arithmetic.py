"""Elementwise operators on two inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mcuprune import numerics
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.operators.arithmetic import output_range, pot_shifts, sum_parameters
from mcuprune.ir.rescale import quant_of
from mcuprune.kernels.lowering.members import SHORT, Lower, plain, walk_members
from mcuprune.kernels.params import LayerParams, Value
from mcuprune.numerics import AddParameters


def _common(graph: Graph, op: Op) -> dict[str, Value]:
    """Members of every struct here: loops and offsets."""
    q1, q2 = (quant_of(graph.tensors[i]) for i in op.inputs)
    walk = walk_members(graph, op, 2)
    return {**walk, "in1_offset": -q1.zero_point, "in2_offset": -q2.zero_point}


def _output(graph: Graph, op: Op) -> dict[str, Value]:
    """Last members: zero point and range of the output."""
    low, high = output_range(graph, op)
    return {"out_zp": quant_of(graph.output_of(op)).zero_point, "act_min": low, "act_max": high}


def _layer(graph: Graph, op: Op, kind: str, fields: Mapping[str, Value]) -> LayerParams:
    """A layer of the family of this kind and the output's type."""
    inputs = (graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]])
    output = graph.output_of(op)
    return plain(op, f"{kind}_{SHORT[output.dtype]}", fields, inputs, output)


def _scaled(graph: Graph, op: Op, kind: str, p: AddParameters) -> LayerParams:
    """Both inputs on one scale: sums and differences."""
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
    return _layer(graph, op, kind, fields)


def _sum(kind: str) -> Lower:
    """ADD and SUB; by shifts where int16 is scaled by powers of two."""

    def lower(graph: Graph, op: Op) -> LayerParams:
        rights = pot_shifts(graph, op)
        if rights is None:
            return _scaled(graph, op, kind, sum_parameters(graph, op))
        low, high = output_range(graph, op)
        fields: dict[str, Value] = {
            **walk_members(graph, op, 2),
            "right1": rights[0],
            "right2": rights[1],
            "sign2": -1 if op.kind == "SUB" else 1,
            "act_min": low,
            "act_max": high,
        }
        return _layer(graph, op, "add_pot", fields)

    return lower


def _squared_difference(graph: Graph, op: Op) -> LayerParams:
    q1, q2 = (quant_of(graph.tensors[i]) for i in op.inputs)
    p = numerics.squared_difference_parameters(q1.scale, q2.scale, quant_of(graph.output_of(op)).scale)
    return _scaled(graph, op, "squared_difference", p)


def _by_multiplier(kind: str, parameters: Callable[[float, float, float], tuple[int, int]]) -> Lower:
    """MUL and DIV."""

    def lower(graph: Graph, op: Op) -> LayerParams:
        q1, q2 = (quant_of(graph.tensors[i]) for i in op.inputs)
        mult, shift = parameters(q1.scale, q2.scale, quant_of(graph.output_of(op)).scale)
        fields = {**_common(graph, op), "mult": mult, "shift": shift, **_output(graph, op)}
        return _layer(graph, op, kind, fields)

    return lower


def _extremum(kind: str) -> Lower:
    """MINIMUM and MAXIMUM: stored values."""
    return lambda graph, op: _layer(graph, op, kind, walk_members(graph, op, 2))


LOWER: Mapping[str, Lower] = {
    "ADD": _sum("add"),
    "DIV": _by_multiplier("div", numerics.quotient_multiplier),
    "MAXIMUM": _extremum("maximum"),
    "MINIMUM": _extremum("minimum"),
    "MUL": _by_multiplier("mul", numerics.product_multiplier),
    "SQUARED_DIFFERENCE": _squared_difference,
    "SUB": _sum("sub"),
}
