"""Products of matrices."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune.ir.attributes import MatmulAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.operators.matmul import matmul_multiplier, matmul_operands
from mcuprune.ir.rescale import quant_of
from mcuprune.ir.shapes import broadcast_walk
from mcuprune.kernels.lowering.members import Lower, plain
from mcuprune.kernels.params import LayerParams, Value


def _matmul(graph: Graph, op: Op) -> LayerParams:
    """Every operand by its strides, so a transposed one is no other case."""
    assert isinstance(op.attrs, MatmulAttrs)
    first, second = matmul_operands(graph, op)
    y = graph.output_of(op)
    walk = broadcast_walk((first.shape[:-2], second.shape[:-2]), y.shape[:-2], 3)
    assert walk is not None, "the verifier refuses more than 5 dimensions"
    batch, steps = walk
    sizes = [tensor.shape[-2] * tensor.shape[-1] for tensor in (first, second)]
    depth, depth_stride1 = first.shape[-2:] if op.attrs.transpose_first else (first.shape[-1], 1)
    depth_stride2 = 1 if op.attrs.transpose_second else second.shape[-1]
    mult, shift = matmul_multiplier(graph, op)
    fields: dict[str, Value] = {
        "batch": batch,
        "batch_stride1": tuple(step * sizes[0] for step in steps[0]),
        "batch_stride2": tuple(step * sizes[1] for step in steps[1]),
        "rows": y.shape[-2],
        "cols": y.shape[-1],
        "depth": depth,
        "row_stride": 1 if op.attrs.transpose_first else first.shape[-1],
        "col_stride": second.shape[-1] if op.attrs.transpose_second else 1,
        "depth_stride1": depth_stride1,
        "depth_stride2": depth_stride2,
        "in1_zp": quant_of(first).zero_point,
        "in2_zp": quant_of(second).zero_point,
        "mult": mult,
        "shift": shift,
        "out_zp": quant_of(y).zero_point,
    }
    return plain(op, "batch_matmul_s8", fields, (first, second), y, depth)


LOWER: Mapping[str, Lower] = {
    "BATCH_MATMUL": _matmul,
}
