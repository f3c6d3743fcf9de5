"""Functions of one int8 value: 256 bytes in flash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mcuprune.encodings import Array
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.operators import tables
from mcuprune.kernels.lowering.members import Lower, plain
from mcuprune.kernels.params import LayerParams


def _table(graph: Graph, op: Op) -> LayerParams:
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    entries = Array("table", "int8_t", np.roll(tables.table(graph, op), 128))  # by the value's bits
    layer = plain(op, "lut_s8", {"size": x.size, "table": ""}, (x,), y)
    return replace(layer, arrays=(entries,))


LOWER: Mapping[str, Lower] = dict.fromkeys(tables.OPERATORS, _table)
