"""Functions of one value: of int8 256 bytes in flash, of int16 lines, slopes or a curve."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mcuprune.encodings import Array
from mcuprune.ir.graph import DType, Graph, Op
from mcuprune.ir.operators import functions16, tables
from mcuprune.ir.rescale import quant_of
from mcuprune.kernels.lowering.members import Lower, plain, table_layer
from mcuprune.kernels.params import LayerParams, Value
from mcuprune.numerics.functions16 import sigmoid16_multiplier


def _table(graph: Graph, op: Op) -> LayerParams:
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    if x.dtype is DType.INT16:
        return _function16(graph, op)
    entries = np.roll(tables.table(graph, op), 128)  # 0..127, then -128..-1
    return table_layer(op, x, y, entries)


def _function16(graph: Graph, op: Op) -> LayerParams:
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    if op.kind in functions16.TABLES:
        layer = plain(op, "lut_s16", {"size": x.size, "table": ""}, (x,), y)
        return layer.with_arrays(Array("table", "int16_t", functions16.table(graph, op)))
    if op.kind in functions16.CURVES:
        tanh = op.kind == "TANH"
        mult, right = sigmoid16_multiplier(quant_of(x).scale, tanh)
        fields: dict[str, Value] = {"size": x.size, "tanh": int(tanh), "mult": mult, "right": right}
        return plain(op, "sigmoid_s16", fields, (x,), y)
    slopes = functions16.slopes(graph, op)
    members: dict[str, Value] = {
        "size": x.size,
        "mult": slopes.mult,
        "shift": slopes.shift,
        "below_mult": slopes.below_mult,
        "below_shift": slopes.below_shift,
        "in_sign": slopes.in_sign,
        "out_sign": slopes.out_sign,
    }
    return plain(op, "slopes_s16", members, (x,), y)


LOWER: Mapping[str, Lower] = dict.fromkeys(tables.OPERATORS, _table)
