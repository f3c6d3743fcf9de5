"""Activations."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune import numerics
from mcuprune.encodings import Array
from mcuprune.ir.attributes import SoftmaxAttrs
from mcuprune.ir.graph import DType, Graph, Op, Tensor
from mcuprune.ir.operators.activations import softmax16_multiplier
from mcuprune.ir.rescale import quant_of
from mcuprune.kernels.lowering.conversions import requantize
from mcuprune.kernels.lowering.members import Lower, plain, walk_members
from mcuprune.kernels.params import LayerParams, Value
from mcuprune.numerics.functions16 import softmax16_tables


def _prelu(graph: Graph, op: Op) -> LayerParams:
    x, slope, y = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]], graph.output_of(op)
    mult, shift = numerics.relu_multiplier(quant_of(x).scale, quant_of(y).scale)
    slope_mult, slope_shift = numerics.product_multiplier(quant_of(x).scale, quant_of(slope).scale, quant_of(y).scale)
    fields: dict[str, Value] = {
        **walk_members(graph, op, 2),
        "in_offset": -quant_of(x).zero_point,
        "slope_offset": -quant_of(slope).zero_point,
        "mult": mult,
        "shift": shift,
        "slope_mult": slope_mult,
        "slope_shift": slope_shift,
        "out_zp": quant_of(y).zero_point,
    }
    return plain(op, "prelu_s8", fields, (x, slope), y)


def _softmax(graph: Graph, op: Op) -> LayerParams:
    attrs = op.attrs
    assert isinstance(attrs, SoftmaxAttrs)
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    cols = x.shape[-1]
    if x.dtype is DType.INT16:
        return _softmax16(op, attrs.beta, x, y)
    softmax = numerics.softmax_parameters(attrs.beta, quant_of(x).scale)
    fields: dict[str, Value] = {
        "rows": x.size // cols,
        "cols": cols,
        "mult": softmax.mult,
        "shift": softmax.shift,
        "diff_min": softmax.diff_min,
    }
    kernel = "softmax_s8" if y.dtype is DType.INT8 else "softmax_s8_s16"
    return plain(op, kernel, fields, (x,), y, cols)


def _softmax16(op: Op, beta: float, x: Tensor, y: Tensor) -> LayerParams:
    cols = x.shape[-1]
    mult, shift = softmax16_multiplier(beta, quant_of(x).scale)
    fields: dict[str, Value] = {
        "rows": x.size // cols,
        "cols": cols,
        "mult": mult,
        "shift": shift,
        "exp": "",
        "reciprocal": "",
    }
    exp, reciprocal = softmax16_tables()
    tables = Array("exp", "int16_t", exp), Array("reciprocal", "int16_t", reciprocal)
    return plain(op, "softmax_s16", fields, (x,), y, cols).with_arrays(*tables)


LOWER: Mapping[str, Lower] = {
    "PRELU": _prelu,
    "RELU": requantize,
    "RELU6": requantize,
    "RELU_0_TO_1": requantize,
    "RELU_N1_TO_1": requantize,
    "SOFTMAX": _softmax,
}
