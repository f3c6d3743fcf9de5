"""From an operator of the graph to the numbers its kernels need: the table LOWER has a row for each kind of operator.

Zero points of inputs are folded into biases here: sum over (q - in_zp) * w = sum over q * w - in_zp * sum(w), and
padding holds in_zp, so kernels multiply stored values only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from mcuprune import numerics
from mcuprune.encodings import Array, Rows
from mcuprune.ir.graph import (
    Activation,
    AddAttrs,
    ConvAttrs,
    DType,
    Graph,
    MeanAttrs,
    Op,
    PadAttrs,
    PoolAttrs,
    SoftmaxAttrs,
    Tensor,
)
from mcuprune.ir.rescale import layer_rescale, layer_tensors, quant_of, weight_rows
from mcuprune.ir.shapes import explicit_pads, mean_extents
from mcuprune.kernels.params import CONSTANT_INPUT, Geometry, LayerParams, Value


def lower(graph: Graph, op: Op) -> LayerParams | None:
    """What the kernels need to know of one operator; None for RESHAPE, which moves nothing.

    Raises:
        QuantError: an accumulator could leave int32.
    """
    return LOWER[op.kind](graph, op)


def _rescale(graph: Graph, op: Op) -> tuple[dict[str, Value], tuple[Array, ...], tuple[int, ...]]:
    """Members of mp_rescale, its arrays, and the largest |accumulator| of each output channel for stored inputs."""
    rescale = layer_rescale(graph, op)
    arrays = (
        Array("rescale.bias", "int32_t", rescale.folded_bias),
        Array("rescale.mult", "int32_t", rescale.mult),
        Array("rescale.shift", "int8_t", rescale.shift),
    )
    fields: dict[str, Value] = {
        "bias": "",
        "mult": "",
        "shift": "",
        "out_zp": rescale.out_zp,
        "act_min": rescale.act_min,
        "act_max": rescale.act_max,
    }
    _, weights, _ = layer_tensors(graph, op)
    assert weights.data is not None
    magnitude = np.abs(weight_rows(op.kind, weights.data).astype(np.int64)).sum(axis=1)
    bound = np.abs(rescale.folded_bias.astype(np.int64)) + 128 * magnitude
    return fields, arrays, tuple(bound.tolist())


def _shape(
    x: Tensor, y: Tensor, kernel: tuple[int, int], attrs: ConvAttrs | PoolAttrs, dilation: tuple[int, int]
) -> dict[str, Value]:
    """Members of mp_conv_shape."""
    _, in_h, in_w, in_ch = x.shape
    _, out_h, out_w, out_ch = y.shape
    top, left, _, _ = explicit_pads((in_h, in_w), kernel, attrs.stride, dilation, attrs.padding)
    return {
        "in_h": in_h,
        "in_w": in_w,
        "in_ch": in_ch,
        "out_h": out_h,
        "out_w": out_w,
        "out_ch": out_ch,
        "kernel_h": kernel[0],
        "kernel_w": kernel[1],
        "stride_h": attrs.stride[0],
        "stride_w": attrs.stride[1],
        "dilation_h": dilation[0],
        "dilation_w": dilation[1],
        "pad_top": top,
        "pad_left": left,
        "pad_value": quant_of(x).zero_point,
    }


def _conv(graph: Graph, op: Op) -> LayerParams:
    attrs = op.attrs
    assert isinstance(attrs, ConvAttrs)
    x, w, y = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]], graph.output_of(op)
    assert w.data is not None
    out_ch, kernel_h, kernel_w, in_ch = w.shape
    rows: Rows = w.data.reshape(out_ch, -1)
    rescale, arrays, bound = _rescale(graph, op)
    positions = y.shape[1] * y.shape[2]
    pointwise = (kernel_h, kernel_w) == (1, 1) and attrs.stride == (1, 1)
    geometry = Geometry(positions, out_ch, rows.shape[1], in_ch, pointwise)
    fields: dict[str, Value] = {
        "shape": _shape(x, y, (kernel_h, kernel_w), attrs, attrs.dilation),
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
    rescale, arrays, bound = _rescale(graph, op)
    positions = y.shape[1] * y.shape[2]
    sizes = y.shape[2], attrs.stride[1], attrs.stride[0]
    geometry = Geometry(positions, out_ch, len(taps), x.shape[3], False, len(taps), *sizes)
    fields: dict[str, Value] = {
        "shape": _shape(x, y, (kernel_h, kernel_w), attrs, attrs.dilation),
        "rescale": rescale,
    }
    macs = positions * taps.size
    return LayerParams(op, "depthwise_conv2d_s8", fields, arrays, taps, geometry, (x.index,), y.index, macs, bound)


def _fully_connected(graph: Graph, op: Op) -> LayerParams:
    x, w, y = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]], graph.output_of(op)
    assert w.data is not None
    rows: Rows = w.data
    rescale, arrays, bound = _rescale(graph, op)
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


def _plain(
    op: Op, family: str, fields: Mapping[str, Value], inputs: tuple[Tensor, ...], output: Tensor, cols: int = 0
) -> LayerParams:
    """A layer without weights."""
    geometry = Geometry(output.size, 0, cols)
    return LayerParams(op, family, fields, (), None, geometry, tuple(t.index for t in inputs), output.index)


def _average_pool(graph: Graph, op: Op) -> LayerParams:
    attrs = op.attrs
    assert isinstance(attrs, PoolAttrs)
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    low, high = numerics.activation_range(quant_of(y).scale, quant_of(y).zero_point, attrs.activation.value)
    fields: dict[str, Value] = {
        "shape": _shape(x, y, attrs.filter, attrs, (1, 1)),
        "act_min": low,
        "act_max": high,
    }
    return _plain(op, "average_pool_s8", fields, (x,), y, attrs.filter[0] * attrs.filter[1])


def _softmax(graph: Graph, op: Op) -> LayerParams:
    attrs = op.attrs
    assert isinstance(attrs, SoftmaxAttrs)
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    cols = x.shape[-1]
    softmax = numerics.softmax_parameters(attrs.beta, quant_of(x).scale)
    fields: dict[str, Value] = {
        "rows": x.size // cols,
        "cols": cols,
        "mult": softmax.mult,
        "shift": softmax.shift,
        "diff_min": softmax.diff_min,
    }
    return _plain(op, "softmax_s8", fields, (x,), y, cols)


def _pad(graph: Graph, op: Op) -> LayerParams:
    attrs = op.attrs
    assert isinstance(attrs, PadAttrs)
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)

    def four(values: tuple[int, ...], fill: int) -> tuple[int, ...]:
        return (fill,) * (4 - len(values)) + tuple(values)

    fields: dict[str, Value] = {
        "in_dims": four(x.shape, 1),
        "before": four(attrs.before, 0),
        "after": four(attrs.after, 0),
        "value": quant_of(y).zero_point,
    }
    return _plain(op, "pad_s8", fields, (x,), y)


def _requantize(graph: Graph, op: Op) -> LayerParams:
    """RELU, RELU6, and QUANTIZE from int8 to int8."""
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    activation = Activation[op.kind] if op.kind in ("RELU", "RELU6") else Activation.NONE
    in_scale, out_scale = quant_of(x).scale, quant_of(y).scale
    relu = activation is not Activation.NONE
    mult, shift = (
        numerics.relu_multiplier(in_scale, out_scale) if relu else numerics.quantize_multiplier(in_scale / out_scale)
    )
    low, high = numerics.activation_range(quant_of(y).scale, quant_of(y).zero_point, activation.value)
    fields: dict[str, Value] = {
        "size": x.size,
        "in_zp": quant_of(x).zero_point,
        "out_zp": quant_of(y).zero_point,
        "mult": mult,
        "shift": shift,
        "act_min": low,
        "act_max": high,
    }
    return _plain(op, "requantize_s8", fields, (x,), y)


def _quantize(graph: Graph, op: Op) -> LayerParams:
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    if x.dtype is DType.INT8:
        return _requantize(graph, op)
    fields: dict[str, Value] = {"size": x.size, "scale": quant_of(y).scale, "zp": quant_of(y).zero_point}
    return _plain(op, "quantize_f32_s8", fields, (x,), y)


def _dequantize(graph: Graph, op: Op) -> LayerParams:
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    fields: dict[str, Value] = {"size": x.size, "scale": quant_of(x).scale, "zp": quant_of(x).zero_point}
    return _plain(op, "dequantize_s8_f32", fields, (x,), y)


def _mean(graph: Graph, op: Op) -> LayerParams:
    """MEAN over consecutive axes: the shape collapses to (outer, reduce, inner)."""
    attrs = op.attrs
    assert isinstance(attrs, MeanAttrs)
    x, y = graph.tensors[op.inputs[0]], graph.output_of(op)
    extents = mean_extents(x.shape, attrs.axes)
    assert extents is not None, "the verifier refuses axes that do not lie side by side"
    outer, count, inner = extents
    mean = numerics.mean_parameters(quant_of(x).scale, quant_of(y).scale, count)
    fields: dict[str, Value] = {
        "outer": outer,
        "reduce": count,
        "inner": inner,
        "in_zp": quant_of(x).zero_point,
        "out_zp": quant_of(y).zero_point,
        "mult": mean.mult,
        "shift": mean.shift,
    }
    return _plain(op, "mean_s8", fields, (x,), y, count)


def _add(graph: Graph, op: Op) -> LayerParams:
    attrs = op.attrs
    assert isinstance(attrs, AddAttrs)
    a, b, y = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]], graph.output_of(op)
    add = numerics.add_parameters(quant_of(a).scale, quant_of(b).scale, quant_of(y).scale)
    low, high = numerics.activation_range(quant_of(y).scale, quant_of(y).zero_point, attrs.activation.value)
    fields: dict[str, Value] = {
        "dims": (1,) * (4 - len(y.shape)) + y.shape,
        "stride1": _broadcast_strides(a.shape, y.shape),
        "stride2": _broadcast_strides(b.shape, y.shape),
        "in1_offset": -quant_of(a).zero_point,
        "in2_offset": -quant_of(b).zero_point,
        "mult1": add.mult1,
        "shift1": add.shift1,
        "mult2": add.mult2,
        "shift2": add.shift2,
        "out_mult": add.out_mult,
        "out_shift": add.out_shift,
        "left_shift": add.left_shift,
        "out_zp": quant_of(y).zero_point,
        "act_min": low,
        "act_max": high,
    }
    params = _plain(op, "add_s8", fields, (a, b), y)
    constants = tuple(Array(CONSTANT_INPUT, "int8_t", t.data.reshape(-1)) for t in (a, b) if t.data is not None)
    return replace(params, arrays=constants)


def _broadcast_strides(shape: tuple[int, ...], out: tuple[int, ...]) -> tuple[int, ...]:
    """Strides in elements over four dimensions; 0 where the input repeats along one."""
    padded = (1,) * (4 - len(shape)) + shape
    wide = (1,) * (4 - len(out)) + out
    strides = [math.prod(padded[i + 1 :]) for i in range(4)]
    return tuple(0 if n == 1 and m != 1 else s for n, m, s in zip(padded, wide, strides, strict=True))


LOWER: Mapping[str, Callable[[Graph, Op], LayerParams | None]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "AVERAGE_POOL_2D": _average_pool,
    "MEAN": _mean,
    "ADD": _add,
    "SOFTMAX": _softmax,
    "PAD": _pad,
    "RELU": _requantize,
    "RELU6": _requantize,
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _dequantize,
    "RESHAPE": lambda graph, op: None,
}
"""The lowering of each kind of operator."""
