"""Products of matrices."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune.encodings import Array
from mcuprune.ir.attributes import FullyConnectedAttrs, MatmulAttrs
from mcuprune.ir.graph import DType, Graph, Op
from mcuprune.ir.operators.matmul import computed_rescale, matmul_multiplier, matmul_operands
from mcuprune.ir.rescale import quant_of
from mcuprune.ir.shapes import broadcast_walk
from mcuprune.kernels.lowering.members import ABSENT, Lower, plain
from mcuprune.kernels.params import LayerParams, Value


def _walk(graph: Graph, op: Op) -> dict[str, Value]:
    """Members of mp_matmul_walk: every operand by its strides, so a transposed one is no other case."""
    first, second = matmul_operands(graph, op)
    y = graph.output_of(op)
    shapes, out, transposed = [first.shape, second.shape], y.shape, (False, True)
    if isinstance(op.attrs, MatmulAttrs):
        transposed = op.attrs.transpose_first, op.attrs.transpose_second
    else:  # FULLY_CONNECTED: the input as rows
        depth = second.shape[1]
        shapes[0], out = (first.size // depth, depth), (first.size // depth, second.shape[0])
    walk = broadcast_walk([shape[:-2] for shape in shapes], out[:-2], 3)
    assert walk is not None, "the verifier refuses more than 5 dimensions"
    batch, steps = walk
    (high, wide), (high2, wide2) = (shape[-2:] for shape in shapes)
    return {
        "batch": batch,
        "batch_stride1": tuple(step * high * wide for step in steps[0]),
        "batch_stride2": tuple(step * high2 * wide2 for step in steps[1]),
        "rows": wide if transposed[0] else high,
        "cols": high2 if transposed[1] else wide2,
        "depth": high if transposed[0] else wide,
        "row_stride": 1 if transposed[0] else wide,
        "col_stride": wide2 if transposed[1] else 1,
        "depth_stride1": wide if transposed[0] else 1,
        "depth_stride2": 1 if transposed[1] else wide2,
    }


def _matmul(graph: Graph, op: Op) -> LayerParams:
    first, second = matmul_operands(graph, op)
    y = graph.output_of(op)
    fields: dict[str, Value] = {"walk": _walk(graph, op)}
    if first.dtype is DType.INT16:
        mult, shift = matmul_multiplier(graph, op)
        fields |= {"mult": mult, "shift": shift, "in2_bytes": second.dtype.itemsize}
        return plain(op, "batch_matmul_s16", fields, (first, second), y)
    bias = None
    if isinstance(op.attrs, FullyConnectedAttrs):
        computed = computed_rescale(graph, op)
        mult, shift, bias = computed.mult, computed.shift, computed.bias
        low, high = computed.act_min, computed.act_max
    else:
        mult, shift = matmul_multiplier(graph, op)
        low, high = DType.INT8.limits
    fields |= {
        "bias": ABSENT if bias is None else "",
        "in1_zp": quant_of(first).zero_point,
        "in2_zp": quant_of(second).zero_point,
        "mult": mult,
        "shift": shift,
        "out_zp": quant_of(y).zero_point,
        "act_min": low,
        "act_max": high,
        "single_rounding": int(isinstance(op.attrs, FullyConnectedAttrs)),
    }
    params = plain(op, "batch_matmul_s8", fields, (first, second), y)
    return params if bias is None else params.with_arrays(Array("bias", "int32_t", bias))


LOWER: Mapping[str, Lower] = {
    "BATCH_MATMUL": _matmul,
}
