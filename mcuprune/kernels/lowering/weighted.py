"""Layers with weights, on int8; on int16: weighted16.py.

Zero points of inputs are folded into biases here: sum over (q - in_zp) * w = sum over q * w - in_zp * sum(w), and
padding holds in_zp, so kernels multiply stored values only.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mcuprune.encodings import Array, Rows
from mcuprune.ir.attributes import ConvAttrs
from mcuprune.ir.graph import DType, Graph, Op
from mcuprune.ir.rescale import layer_rescale
from mcuprune.ir.shapes import explicit_pads
from mcuprune.kernels.lowering.members import Lower, rescale_members, window_shape
from mcuprune.kernels.lowering.weighted16 import LOWER16
from mcuprune.kernels.params import Geometry, LayerParams, Value


def _conv(graph: Graph, op: Op) -> LayerParams:
    attrs = op.attrs
    assert isinstance(attrs, ConvAttrs)
    x, w, y = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]], graph.output_of(op)
    assert w.data is not None
    out_ch, kernel_h, kernel_w, group_ch = w.shape
    in_ch = x.shape[3]
    if group_ch < in_ch:
        return _grouped(graph, op)
    rows: Rows = w.data.reshape(out_ch, -1)
    rescale, arrays, bound = rescale_members(graph, op)
    positions = y.shape[1] * y.shape[2]
    pointwise = (kernel_h, kernel_w) == (1, 1) and attrs.stride == (1, 1)
    geometry = Geometry(positions, out_ch, rows.shape[1], in_ch, pointwise)
    fields: dict[str, Value] = {
        "shape": window_shape(x, y, (kernel_h, kernel_w), attrs, attrs.dilation),
        "rescale": rescale,
    }
    macs = positions * rows.size
    return LayerParams(op, "conv2d_s8", fields, arrays, rows, geometry, (x.index,), y.index, macs, bound)


def _grouped(graph: Graph, op: Op) -> LayerParams:
    """CONV_2D with weights of fewer channels than the input's; groups of one channel are a depthwise convolution."""
    attrs = op.attrs
    assert isinstance(attrs, ConvAttrs)
    x, w, y = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]], graph.output_of(op)
    assert w.data is not None
    out_ch, kernel_h, kernel_w, group_ch = w.shape
    if group_ch == 1:
        return _by_taps(graph, op, np.ascontiguousarray(w.data[..., 0].transpose(1, 2, 0)))
    rows: Rows = w.data.reshape(out_ch, -1)
    rescale, arrays, bound = rescale_members(graph, op)
    positions = y.shape[1] * y.shape[2]
    fields: dict[str, Value] = {
        "shape": window_shape(x, y, (kernel_h, kernel_w), attrs, attrs.dilation),
        "rescale": rescale,
        "group_ch": group_ch,
    }
    geometry = Geometry(positions, out_ch, rows.shape[1], x.shape[3])
    macs = positions * rows.size
    return LayerParams(op, "grouped_conv2d_s8", fields, arrays, rows, geometry, (x.index,), y.index, macs, bound)


def _depthwise(graph: Graph, op: Op) -> LayerParams:
    w = graph.tensors[op.inputs[1]]
    assert w.data is not None
    return _by_taps(graph, op, w.data[0])


def _by_taps(graph: Graph, op: Op, weights: Rows) -> LayerParams:
    """A depthwise convolution with weights HWC."""
    attrs = op.attrs
    assert isinstance(attrs, ConvAttrs)
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    kernel_h, kernel_w, out_ch = weights.shape
    taps: Rows = weights.reshape(kernel_h * kernel_w, out_ch)
    rescale, arrays, bound = rescale_members(graph, op)
    positions = y.shape[1] * y.shape[2]
    sizes = y.shape[2], attrs.stride[1], attrs.stride[0]
    geometry = Geometry(positions, out_ch, len(taps), x.shape[3], False, len(taps), *sizes)
    fields: dict[str, Value] = {
        "shape": window_shape(x, y, (kernel_h, kernel_w), attrs, attrs.dilation),
        "rescale": rescale,
    }
    macs = positions * taps.size
    return LayerParams(op, "depthwise_conv2d_s8", fields, arrays, taps, geometry, (x.index,), y.index, macs, bound)


def _transpose_conv(graph: Graph, op: Op) -> LayerParams:
    """A window's part of the input differs from place to place, so the zero point stays out of the bias."""
    attrs = op.attrs
    assert isinstance(attrs, ConvAttrs)
    x, w, y = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]], graph.output_of(op)
    assert w.data is not None
    rows: Rows = w.data.reshape(w.shape[0], -1)
    rescale, arrays, _ = rescale_members(graph, op)
    bias = Array("rescale.bias", "int32_t", layer_rescale(graph, op).bias)
    taps = w.shape[1], w.shape[2]
    top, left, _, _ = explicit_pads((y.shape[1], y.shape[2]), taps, attrs.stride, (1, 1), attrs.padding)
    shape = window_shape(x, y, taps, attrs, (1, 1)) | {"pad_top": top, "pad_left": left}
    fields: dict[str, Value] = {"shape": shape, "rescale": rescale}
    arrays = (bias, *(array for array in arrays if array.member != bias.member))
    positions = y.shape[1] * y.shape[2]
    geometry = Geometry(positions, w.shape[0], rows.shape[1], x.shape[3])
    macs = x.shape[1] * x.shape[2] * rows.size
    return LayerParams(op, "transpose_conv_s8", fields, arrays, rows, geometry, (x.index,), y.index, macs)


def _fully_connected(graph: Graph, op: Op) -> LayerParams:
    x, w, y = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]], graph.output_of(op)
    assert w.data is not None
    rows: Rows = w.data
    rescale, arrays, bound = rescale_members(graph, op)
    batches = x.size // rows.shape[1]
    fields: dict[str, Value] = {
        "shape": {
            "batches": batches,
            "cols": rows.shape[1],
            "rows": rows.shape[0],
            "single_rounding": 1,
        },
        "rescale": rescale,
    }
    geometry = Geometry(batches, rows.shape[0], rows.shape[1], rows.shape[1], True)
    macs = batches * rows.size
    return LayerParams(op, "fully_connected_s8", fields, arrays, rows, geometry, (x.index,), y.index, macs, bound)


def _by_type(kind: str, on_int8: Lower) -> Lower:
    """Of int8 activations, or of int16 ones."""
    return lambda graph, op: (LOWER16[kind] if graph.output_of(op).dtype is DType.INT16 else on_int8)(graph, op)


LOWER: Mapping[str, Lower] = {
    "CONV_2D": _by_type("CONV_2D", _conv),
    "DEPTHWISE_CONV_2D": _by_type("DEPTHWISE_CONV_2D", _depthwise),
    "FULLY_CONNECTED": _by_type("FULLY_CONNECTED", _fully_connected),
    "TRANSPOSE_CONV": _by_type("TRANSPOSE_CONV", _transpose_conv),
}
