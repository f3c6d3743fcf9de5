"""Elementwise operators on two inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mcuprune import numerics
from mcuprune.ir.attributes import AddAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.rescale import quant_of
from mcuprune.kernels.lowering.members import Lower, plain
from mcuprune.kernels.params import LayerParams, Value


def _add(graph: Graph, op: Op) -> LayerParams:
    attrs = op.attrs
    assert isinstance(attrs, AddAttrs)
    a, b, y = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]], graph.output_of(op)
    add = numerics.add_parameters(quant_of(a).scale, quant_of(b).scale, quant_of(y).scale)
    low, high = numerics.activation_range(quant_of(y).scale, quant_of(y).zero_point, attrs.activation.value)
    fields: dict[str, Value] = {
        "dims": (1,) * (4 - len(y.shape)) + y.shape,
        "stride1": broadcast_strides(a.shape, y.shape),
        "stride2": broadcast_strides(b.shape, y.shape),
        "in1_offset": -quant_of(a).zero_point,
        "in2_offset": -quant_of(b).zero_point,
        "mult1": add.mult1,
        "shift1": add.shift1,
        "mult2": add.mult2,
        "shift2": add.shift2,
        "out_mult": add.out_mult,
        "out_shift": add.out_shift,
        "left_shift": add.left_shift,
        "out_zp": quant_of(y).zero_point,
        "act_min": low,
        "act_max": high,
    }
    return plain(op, "add_s8", fields, (a, b), y)


def broadcast_strides(shape: tuple[int, ...], out: tuple[int, ...]) -> tuple[int, ...]:
    """Strides in elements over four dimensions; 0 where the input repeats along one."""
    padded = (1,) * (4 - len(shape)) + shape
    wide = (1,) * (4 - len(out)) + out
    strides = [math.prod(padded[i + 1 :]) for i in range(4)]
    return tuple(0 if n == 1 and m != 1 else s for n, m, s in zip(padded, wide, strides, strict=True))


LOWER: Mapping[str, Lower] = {
    "ADD": _add,
}
