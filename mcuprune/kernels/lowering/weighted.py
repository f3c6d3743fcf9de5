"""Layers with weights.

Zero points of inputs are folded into biases here: sum over (q - in_zp) * w = sum over q * w - in_zp * sum(w), and
padding holds in_zp, so kernels multiply stored values only.
"""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune.encodings import Rows
from mcuprune.ir.attributes import ConvAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.kernels.lowering.members import Lower, rescale_members, window_shape
from mcuprune.kernels.params import Geometry, LayerParams, Value


def _conv(graph: Graph, op: Op) -> LayerParams:
    attrs = op.attrs
    assert isinstance(attrs, ConvAttrs)
    x, w, y = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]], graph.output_of(op)
    assert w.data is not None
    out_ch, kernel_h, kernel_w, in_ch = w.shape
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


def _depthwise(graph: Graph, op: Op) -> LayerParams:
    attrs = op.attrs
    assert isinstance(attrs, ConvAttrs)
    x, w, y = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]], graph.output_of(op)
    assert w.data is not None
    _, kernel_h, kernel_w, out_ch = w.shape
    taps: Rows = w.data.reshape(kernel_h * kernel_w, out_ch)
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


LOWER: Mapping[str, Lower] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
}
