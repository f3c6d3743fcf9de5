"""Functions of one value: of int8 a table of 256 outputs and a look into it, of int16 what functions16.py says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import GeluAttrs, LeakyReluAttrs
from mcuprune.ir.graph import DType, Graph, Op
from mcuprune.ir.operators import functions16
from mcuprune.ir.operators.checks import one_type, present, shape_is
from mcuprune.ir.operators.operator import Array, Int8, Operator, same_channels
from mcuprune.ir.rescale import quant_of
from mcuprune.numerics import tables

LOGISTIC_SCALE = 1.0 / 256

Table = Callable[[float, int, float, int], Int8]
"""From scale and zero point of input and output to the outputs of all stored values, -128 first."""


def _real(function: Callable[[tables.Float32], tables.Float32]) -> Table:
    return lambda *quants: tables.table_of(function, *quants)


TABLES: Mapping[str, Table] = {
    "ABS": tables.abs_table,
    "EXP": _real(tables.exp),
    "HARD_SWISH": tables.hard_swish_table,
    "LOG": tables.log_table,
    "LOGISTIC": _real(tables.logistic),
    "NEG": lambda *quants: tables.neg_table(),
    "RSQRT": tables.rsqrt_table,
    "SQRT": tables.sqrt_table,
    "TANH": _real(tables.tanh),
}
"""Those that scales and zero points determine. Sources: Prepare and Eval of each in TensorFlow Lite,
kernels/activations.cc, elementwise.cc, exp.cc and neg.cc."""


def table(graph: Graph, op: Op) -> Int8:
    """What the operator gives for stored values -128..127."""
    source, output = graph.input_of(op), graph.output_of(op)
    assert source is not None
    x, y = quant_of(source), quant_of(output)
    quants = (x.scale, x.zero_point, y.scale, y.zero_point)
    if isinstance(op.attrs, LeakyReluAttrs):
        return tables.leaky_relu_table(op.attrs.alpha, *quants)
    if isinstance(op.attrs, GeluAttrs):
        return tables.table_of(tables.gelu_by_tanh if op.attrs.approximate else tables.gelu, *quants)
    return TABLES[op.kind](*quants)


def _check(graph: Graph, op: Op) -> None:
    data, output = present(graph, op), graph.output_of(op)
    dtype = one_type(data, output)
    shape_is(output, data.shape)
    if dtype is DType.INT16:
        functions16.check(graph, op)
        return
    if op.kind == "LOGISTIC" and quant_of(output).scale != LOGISTIC_SCALE:
        raise ModelError(f"LOGISTIC needs output scale 1/256, got {quant_of(output).scale}")
    table(graph, op)


def look_up(graph: Graph, op: Op, data: Array) -> Array:
    """The table's entry of each value."""
    if data.dtype == np.int16:
        return functions16.run(graph, op, data)
    found: Int8 = table(graph, op)[data.astype(np.intp) + 128]
    return found


OPERATORS: Mapping[str, Operator] = {
    kind: Operator(_check, look_up, carried=same_channels) for kind in sorted([*TABLES, "GELU", "LEAKY_RELU"])
}
