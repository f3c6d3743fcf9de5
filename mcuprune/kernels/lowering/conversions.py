"""Changes of type or quantization."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mcuprune import numerics
from mcuprune.ir.graph import DType, Graph, Op
from mcuprune.ir.operators import conversions
from mcuprune.ir.operators.activations import relu_range
from mcuprune.ir.rescale import quant_of
from mcuprune.kernels.lowering.members import SHORT, Lower, element_type, plain, table_layer
from mcuprune.kernels.params import LayerParams, Value


def requantize(graph: Graph, op: Op) -> LayerParams:
    """RELU and its kin, and QUANTIZE from int8 to int8."""
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    relu = op.kind.startswith("RELU")
    in_scale, out_scale = quant_of(x).scale, quant_of(y).scale
    mult, shift = (
        numerics.relu_multiplier(in_scale, out_scale) if relu else numerics.quantize_multiplier(in_scale / out_scale)
    )
    low, high = relu_range(graph, op) if relu else y.dtype.limits
    fields: dict[str, Value] = {
        "size": x.size,
        "in_zp": quant_of(x).zero_point,
        "out_zp": quant_of(y).zero_point,
        "mult": mult,
        "shift": shift,
        "act_min": low,
        "act_max": high,
    }
    return plain(op, f"requantize_{SHORT[y.dtype]}", fields, (x,), y)


def _rescale(graph: Graph, op: Op) -> LayerParams:
    """QUANTIZE between integers: of 8 bits and either sign by a table."""
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    if (x.dtype, y.dtype) == (DType.INT8, DType.INT8):
        return requantize(graph, op)
    if x.dtype.itemsize == y.dtype.itemsize == 1:
        codes = np.arange(256, dtype=np.uint8).view(x.dtype.numpy)
        return table_layer(op, x, y, conversions.quantize(graph, op, codes).view(np.int8))
    mult, shift = conversions.rescaling(quant_of(x), quant_of(y))
    fields: dict[str, Value] = {
        "size": x.size,
        "in_type": element_type(x),
        "out_type": element_type(y),
        "in_zp": quant_of(x).zero_point,
        "out_zp": quant_of(y).zero_point,
        "mult": mult,
        "shift": shift,
    }
    return plain(op, "requantize_any", fields, (x,), y)


def _cast(graph: Graph, op: Op) -> LayerParams:
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    fields: dict[str, Value] = {"size": x.size, "in_type": element_type(x), "out_type": element_type(y)}
    return plain(op, "cast_any", fields, (x,), y)


def _quantize(graph: Graph, op: Op) -> LayerParams:
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    if x.dtype is not DType.FLOAT32:
        return _rescale(graph, op)
    fields: dict[str, Value] = {"size": x.size, "scale": quant_of(y).scale, "zp": quant_of(y).zero_point}
    return plain(op, f"quantize_f32_{SHORT[y.dtype]}", fields, (x,), y)


def _dequantize(graph: Graph, op: Op) -> LayerParams:
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    fields: dict[str, Value] = {"size": x.size, "scale": quant_of(x).scale, "zp": quant_of(x).zero_point}
    return plain(op, f"dequantize_{SHORT[x.dtype]}_f32", fields, (x,), y)


LOWER: Mapping[str, Lower] = {
    "CAST": _cast,
    "DEQUANTIZE": _dequantize,
    "QUANTIZE": _quantize,
}
