"""Layers with int8 weights on int16 activations. Zero points are 0: biases are the file's, padding is left out."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune.encodings import Array, Rows
from mcuprune.ir.attributes import ConvAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.rescale16 import layer_rescale16
from mcuprune.ir.shapes import explicit_pads
from mcuprune.kernels.lowering.members import Lower, window_shape
from mcuprune.kernels.params import Geometry, LayerParams, Value


def _rescale(graph: Graph, op: Op) -> tuple[dict[str, Value], tuple[Array, ...]]:
    """Members of mp_rescale_s16, and its arrays."""
    rescale = layer_rescale16(graph, op)
    arrays = (
        Array("rescale.bias", "int64_t", rescale.bias),
        Array("rescale.mult", "int32_t", rescale.mult),
        Array("rescale.shift", "int8_t", rescale.shift),
    )
    fields: dict[str, Value] = {
        "bias": "",
        "mult": "",
        "shift": "",
        "act_min": rescale.act_min,
        "act_max": rescale.act_max,
        "wide": int(rescale.wide),
    }
    return fields, arrays


def _conv(graph: Graph, op: Op) -> LayerParams:
    w = graph.tensors[op.inputs[1]]
    assert w.data is not None
    extra: dict[str, Value] = {"group_ch": w.shape[3]}
    return _windowed(graph, op, "conv2d_s16s8", w.data.reshape(w.shape[0], -1), (w.shape[1], w.shape[2]), extra)


def _depthwise(graph: Graph, op: Op) -> LayerParams:
    """Rows are taps."""
    w = graph.tensors[op.inputs[1]]
    assert w.data is not None
    taps = w.data.reshape(-1, w.shape[3])
    return _windowed(graph, op, "depthwise_conv2d_s16s8", taps, (w.shape[1], w.shape[2]), {})


def _windowed(
    graph: Graph, op: Op, family: str, rows: Rows, kernel: tuple[int, int], extra: Mapping[str, Value]
) -> LayerParams:
    """A convolution. extra: members of its struct behind the usual ones."""
    attrs = op.attrs
    assert isinstance(attrs, ConvAttrs)
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    rescale, arrays = _rescale(graph, op)
    positions = y.shape[1] * y.shape[2]
    geometry = Geometry(positions, y.shape[3], rows.size // y.shape[3], x.shape[3])
    fields: dict[str, Value] = {
        "shape": window_shape(x, y, kernel, attrs, attrs.dilation),
        "rescale": rescale,
        **extra,
    }
    return LayerParams(op, family, fields, arrays, rows, geometry, (x.index,), y.index, positions * rows.size)


def _transpose_conv(graph: Graph, op: Op) -> LayerParams:
    attrs = op.attrs
    assert isinstance(attrs, ConvAttrs)
    x, w, y = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]], graph.output_of(op)
    assert w.data is not None
    rows: Rows = w.data.reshape(w.shape[0], -1)
    rescale, arrays = _rescale(graph, op)
    taps = w.shape[1], w.shape[2]
    top, left, _, _ = explicit_pads((y.shape[1], y.shape[2]), taps, attrs.stride, (1, 1), attrs.padding)
    shape = window_shape(x, y, taps, attrs, (1, 1)) | {"pad_top": top, "pad_left": left}
    fields: dict[str, Value] = {"shape": shape, "rescale": rescale}
    geometry = Geometry(y.shape[1] * y.shape[2], w.shape[0], rows.shape[1], x.shape[3])
    macs = x.shape[1] * x.shape[2] * rows.size
    return LayerParams(op, "transpose_conv_s16s8", fields, arrays, rows, geometry, (x.index,), y.index, macs)


def _fully_connected(graph: Graph, op: Op) -> LayerParams:
    x, w, y = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]], graph.output_of(op)
    assert w.data is not None
    rows: Rows = w.data
    rescale = layer_rescale16(graph, op)
    batches = x.size // rows.shape[1]
    fields: dict[str, Value] = {
        "batches": batches,
        "cols": rows.shape[1],
        "rows": rows.shape[0],
        "bias": "",
        "scale": "",
        "act_min": rescale.act_min,
        "act_max": rescale.act_max,
    }
    arrays = (Array("bias", "int64_t", rescale.bias), Array("scale", "double", rescale.scale))
    geometry = Geometry(batches, rows.shape[0], rows.shape[1], rows.shape[1], True)
    macs = batches * rows.size
    return LayerParams(op, "fully_connected_s16s8", fields, arrays, rows, geometry, (x.index,), y.index, macs)


LOWER16: Mapping[str, Lower] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "TRANSPOSE_CONV": _transpose_conv,
}
