"""Elementwise operators on two inputs, with broadcast."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import AddAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.operators.checks import quantized, shape_is
from mcuprune.ir.operators.operator import Int8, Operator, same_channels
from mcuprune.ir.rescale import quant_of
from mcuprune.ir.shapes import broadcast_shape
from mcuprune.numerics import activation_range, add_parameters, clamp_int8, requantize


def _check_add(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, AddAttrs)
    first, second, output = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    if first is None or second is None or (first.data is not None and second.data is not None):
        raise ModelError("one of the summands must be computed")
    for tensor in (first, second, output):
        quantized(tensor)
    if max(len(first.shape), len(second.shape)) > 4:
        raise ModelError(f"ADD of shapes {first.shape} and {second.shape}: at most 4 dimensions are supported")
    shape_is(output, broadcast_shape(first.shape, second.shape))
    out_q = quant_of(output)
    add_parameters(quant_of(first).scale, quant_of(second).scale, out_q.scale)
    activation_range(out_q.scale, out_q.zero_point, op.attrs.activation.value)


def add(graph: Graph, op: Op, first: Int8, second: Int8) -> Int8:
    """ADD with broadcast and a fused activation.

    Source: AddFunc in TensorFlow Lite, kernels/internal/reference/integer_ops/add.h.
    """
    assert isinstance(op.attrs, AddAttrs)
    q1, q2 = (quant_of(graph.tensor(i)) for i in op.inputs)
    out_q = quant_of(graph.output_of(op))
    p = add_parameters(q1.scale, q2.scale, out_q.scale)
    a = requantize((first.astype(np.int64) - q1.zero_point) << p.left_shift, p.mult1, p.shift1)
    b = requantize((second.astype(np.int64) - q2.zero_point) << p.left_shift, p.mult2, p.shift2)
    low, high = activation_range(out_q.scale, out_q.zero_point, op.attrs.activation.value)
    return clamp_int8(requantize(a + b, p.out_mult, p.out_shift) + out_q.zero_point, low, high)


OPERATORS: Mapping[str, Operator] = {
    "ADD": Operator(_check_add, add, 2, same_channels),
}
