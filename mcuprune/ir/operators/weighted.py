"""Operators with weights: convolution, depthwise convolution, fully-connected."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import ConvAttrs, FullyConnectedAttrs
from mcuprune.ir.graph import DType, Graph, Op, Tensor
from mcuprune.ir.operators.checks import constant_weights, image, one_type, present, shape_is
from mcuprune.ir.operators.operator import Channels, Operator, channels_of
from mcuprune.ir.operators.windows import windows
from mcuprune.ir.rescale import layer_rescale, layer_tensors, quant_of, weight_rows
from mcuprune.ir.rescale16 import layer_rescale16
from mcuprune.ir.shapes import explicit_pads, fully_connected_shape, window_output, window_shape
from mcuprune.numerics import clamp_int8, requantize, round_product

Float64 = npt.NDArray[np.float64]
Activations = npt.NDArray[np.int8] | npt.NDArray[np.int16]


def _activations(graph: Graph, op: Op) -> tuple[Tensor, Tensor]:
    """Input and output of one type."""
    data, output = present(graph, op), graph.output_of(op)
    one_type(data, output)
    return data, output


def bias_type(graph: Graph, op: Op) -> DType:
    """Element type of the bias that goes with a layer's activations."""
    assert isinstance(op.attrs, ConvAttrs | FullyConnectedAttrs)
    wide = present(graph, op).dtype is DType.INT16 and not op.attrs.int32_sums
    return DType.INT64 if wide else DType.INT32


def _check_sums(graph: Graph, op: Op) -> None:
    """Raise where accumulators could overflow."""
    if graph.output_of(op).dtype is DType.INT16:
        layer_rescale16(graph, op)
    else:
        layer_rescale(graph, op)


def _check_conv(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, ConvAttrs)
    depthwise = op.kind == "DEPTHWISE_CONV_2D"
    data, output = _activations(graph, op)
    image(data)
    weights = constant_weights(graph, op, 4, 3 if depthwise else 0, bias_type(graph, op))
    channels = weights.shape[3] if depthwise else weights.shape[0]
    if depthwise:
        if weights.shape[0] != 1 or channels != data.shape[3] * op.attrs.depth_multiplier:
            raise ModelError(f"weights {weights.shape} for {data.shape[3]} channels times {op.attrs.depth_multiplier}")
    elif data.shape[3] % weights.shape[3] or channels % (data.shape[3] // weights.shape[3]):
        raise ModelError(f"weights {weights.shape} for {data.shape[3]} channels: these do not divide into groups")
    taps = (weights.shape[1], weights.shape[2])
    for size, k, s, d in zip(data.shape[1:3], taps, op.attrs.stride, op.attrs.dilation, strict=True):
        if window_output(size, k, s, d, op.attrs.padding) < 1:
            raise ModelError(f"a window of {k} with dilation {d} does not fit an input of {size}")
    shape_is(output, window_shape(data.shape, taps, op.attrs.stride, op.attrs.dilation, op.attrs.padding, channels))
    _check_sums(graph, op)


def _check_transpose_conv(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, ConvAttrs)
    data, output = _activations(graph, op)
    image(data)
    weights = constant_weights(graph, op, 4, 0, bias_type(graph, op))
    if weights.shape[3] != data.shape[3]:
        raise ModelError(f"weights {weights.shape} for {data.shape[3]} channels")
    image(output)
    taps, sizes = weights.shape[1:3], output.shape[1:3]
    back = [window_output(n, k, s, 1, op.attrs.padding) for n, k, s in zip(sizes, taps, op.attrs.stride, strict=True)]
    if tuple(back) != data.shape[1:3] or output.shape[3] != weights.shape[0]:
        raise ModelError(f"an output {output.shape} of an input {data.shape} and weights {weights.shape}")
    _check_sums(graph, op)


def _check_fully_connected(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, FullyConnectedAttrs)
    data, output = _activations(graph, op)
    weights = constant_weights(graph, op, 2, 0, bias_type(graph, op))
    shape_is(output, fully_connected_shape(data.shape, (weights.shape[0], weights.shape[1]), op.attrs.keep_num_dims))
    _check_sums(graph, op)


def _finish(graph: Graph, op: Op, acc: Float64) -> Activations:
    """The output from accumulators without bias: whole numbers below 2**31, of int16 2**47, so double is exact."""
    output, sums = graph.output_of(op), acc.astype(np.int64)
    if output.dtype is DType.INT16:
        wide = layer_rescale16(graph, op)
        result = wide.rounded(sums) if op.kind == "FULLY_CONNECTED" else wide.convolved(sums)
        return result.reshape(output.shape)
    scale = layer_rescale(graph, op)
    total = sums + scale.bias
    values = round_product(total, scale.scale) if scale.rounds_once else requantize(total, scale.mult, scale.shift)
    return clamp_int8(values + scale.out_zp, scale.act_min, scale.act_max).reshape(output.shape)


def conv_2d(graph: Graph, op: Op, data: Activations) -> Activations:
    """CONV_2D: im2col and one product of matrices in double for each group.

    Weights of fewer channels than the input's make groups: output channel o reads the channels of group
    o // (out_ch / groups).
    Source: ConvPerChannel in TensorFlow Lite, kernels/internal/reference/integer_ops/conv.h.
    """
    assert isinstance(op.attrs, ConvAttrs)
    source, weights, _ = layer_tensors(graph, op)
    assert weights.data is not None
    zero, groups = quant_of(source).zero_point, source.shape[3] // weights.shape[3]
    patches = windows(data, (weights.shape[1], weights.shape[2]), op.attrs, zero)
    rows = weight_rows(op.kind, weights.data).astype(np.float64)
    parts = []
    for inputs, filters in zip(np.split(patches, groups, axis=-1), np.split(rows, groups), strict=True):
        columns = inputs.reshape(inputs.shape[0] * inputs.shape[1], -1).astype(np.float64) - zero
        parts.append(columns @ filters.T)
    return _finish(graph, op, np.concatenate(parts, axis=1))


def depthwise_conv_2d(graph: Graph, op: Op, data: Activations) -> Activations:
    """DEPTHWISE_CONV_2D: output channel o reads input channel o // depth_multiplier."""
    assert isinstance(op.attrs, ConvAttrs)
    source, weights, _ = layer_tensors(graph, op)
    assert weights.data is not None
    zero = quant_of(source).zero_point
    kernel = weights.data[0].astype(np.float64)
    patches = windows(data, (kernel.shape[0], kernel.shape[1]), op.attrs, zero)
    acc = np.zeros((*patches.shape[:2], kernel.shape[2]))
    for y, x in np.ndindex(kernel.shape[:2]):
        tap = patches[:, :, y, x, :].astype(np.float64) - zero
        acc += np.repeat(tap, op.attrs.depth_multiplier, axis=-1) * kernel[y, x]
    return _finish(graph, op, acc)


def transpose_conv(graph: Graph, op: Op, data: Activations) -> Activations:
    """TRANSPOSE_CONV: every input position adds its window to the output; what falls outside of it is lost.

    Source: TransposeConv in TensorFlow Lite, kernels/internal/reference/integer_ops/transpose_conv.h.
    """
    assert isinstance(op.attrs, ConvAttrs)
    source, weights, _ = layer_tensors(graph, op)
    assert weights.data is not None
    out_ch, kernel_h, kernel_w, in_ch = weights.shape
    height, width = graph.output_of(op).shape[1:3]
    top, left, _, _ = explicit_pads((height, width), (kernel_h, kernel_w), op.attrs.stride, (1, 1), op.attrs.padding)
    x = data[0].reshape(-1, in_ch).astype(np.float64) - quant_of(source).zero_point
    (in_h, in_w), (step_h, step_w) = source.shape[1:3], op.attrs.stride
    whole = np.zeros(((in_h - 1) * step_h + kernel_h + height, (in_w - 1) * step_w + kernel_w + width, out_ch))
    for ky, kx in np.ndindex(kernel_h, kernel_w):
        added = (x @ weights.data[:, ky, kx].astype(np.float64).T).reshape(in_h, in_w, out_ch)
        whole[ky : ky + in_h * step_h : step_h, kx : kx + in_w * step_w : step_w] += added
    acc = whole[top : top + height, left : left + width].reshape(-1, out_ch)
    return _finish(graph, op, acc)


def fully_connected(graph: Graph, op: Op, data: Activations) -> Activations:
    """FULLY_CONNECTED over rows of the input."""
    source, weights, _ = layer_tensors(graph, op)
    assert weights.data is not None
    vectors = data.reshape(-1, weights.shape[1]).astype(np.float64) - quant_of(source).zero_point
    acc = vectors @ weights.data.astype(np.float64).T
    return _finish(graph, op, acc)


def _depthwise(graph: Graph, op: Op, source: Tensor) -> Channels:
    assert isinstance(op.attrs, ConvAttrs)
    return np.repeat(np.arange(channels_of(source)), op.attrs.depth_multiplier)


OPERATORS: Mapping[str, Operator] = {
    "CONV_2D": Operator(_check_conv, conv_2d),
    "DEPTHWISE_CONV_2D": Operator(_check_conv, depthwise_conv_2d, carried=_depthwise),
    "FULLY_CONNECTED": Operator(_check_fully_connected, fully_connected),
    "TRANSPOSE_CONV": Operator(_check_transpose_conv, transpose_conv),
}
