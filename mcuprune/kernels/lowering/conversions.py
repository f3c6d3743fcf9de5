"""Changes of type or quantization."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune import numerics
from mcuprune.ir.graph import DType, Graph, Op
from mcuprune.ir.rescale import quant_of
from mcuprune.kernels.lowering.members import Lower, plain
from mcuprune.kernels.params import LayerParams, Value


def requantize(graph: Graph, op: Op) -> LayerParams:
    """RELU and its kin, and QUANTIZE from int8 to int8."""
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    relu = op.kind.startswith("RELU")
    in_scale, out_scale = quant_of(x).scale, quant_of(y).scale
    mult, shift = (
        numerics.relu_multiplier(in_scale, out_scale) if relu else numerics.quantize_multiplier(in_scale / out_scale)
    )
    low, high = numerics.activation_range(quant_of(y).scale, quant_of(y).zero_point, op.kind if relu else "NONE")
    fields: dict[str, Value] = {
        "size": x.size,
        "in_zp": quant_of(x).zero_point,
        "out_zp": quant_of(y).zero_point,
        "mult": mult,
        "shift": shift,
        "act_min": low,
        "act_max": high,
    }
    return plain(op, "requantize_s8", fields, (x,), y)


def _quantize(graph: Graph, op: Op) -> LayerParams:
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    if x.dtype is DType.INT8:
        return requantize(graph, op)
    fields: dict[str, Value] = {"size": x.size, "scale": quant_of(y).scale, "zp": quant_of(y).zero_point}
    return plain(op, "quantize_f32_s8", fields, (x,), y)


def _dequantize(graph: Graph, op: Op) -> LayerParams:
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    fields: dict[str, Value] = {"size": x.size, "scale": quant_of(x).scale, "zp": quant_of(x).zero_point}
    return plain(op, "dequantize_s8_f32", fields, (x,), y)


LOWER: Mapping[str, Lower] = {
    "DEQUANTIZE": _dequantize,
    "QUANTIZE": _quantize,
}
