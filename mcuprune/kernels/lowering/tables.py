"""Functions of one int8 value: 256 bytes in flash."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.operators import tables
from mcuprune.kernels.lowering.members import Lower, table_layer
from mcuprune.kernels.params import LayerParams


def _table(graph: Graph, op: Op) -> LayerParams:
    entries = np.roll(tables.table(graph, op), 128)  # 0..127, then -128..-1
    return table_layer(op, graph.tensors[op.inputs[0]], graph.output_of(op), entries)


LOWER: Mapping[str, Lower] = dict.fromkeys(tables.OPERATORS, _table)
