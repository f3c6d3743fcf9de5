"""Operators that put tensors side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mcuprune.encodings import Array
from mcuprune.ir.attributes import ConcatenationAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.kernels.lowering.members import Lower, plain
from mcuprune.kernels.params import LayerParams, Value


def _concatenation(graph: Graph, op: Op) -> LayerParams:
    """Rows of the output are what lies inside of the axis; each input holds a stretch of every row."""
    attrs = op.attrs
    assert isinstance(attrs, ConcatenationAttrs)
    parts, y = tuple(graph.tensors[i] for i in op.inputs), graph.output_of(op)
    rows = math.prod(y.shape[: attrs.axis])
    widths = np.array([part.nbytes // rows for part in parts], np.uint32)
    fields: dict[str, Value] = {"rows": rows, "parts": len(parts), "widths": ""}
    params = plain(op, "concatenation", fields, parts, y)
    return params.with_arrays(Array("widths", "uint32_t", widths))


LOWER: Mapping[str, Lower] = {
    "CONCATENATION": _concatenation,
}
