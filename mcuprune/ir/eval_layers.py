"""Meaning of the operators with weights and of pooling: convolution, depthwise, fully-connected, average pool."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcuprune.ir.graph import ConvAttrs, Graph, Op, PoolAttrs
from mcuprune.ir.rescale import Rescale, layer_rescale, layer_tensors, quant_of, weight_rows
from mcuprune.ir.shapes import explicit_pads, window_output
from mcuprune.numerics import activation_range, clamp_int8, requantize, round_product

Int8 = npt.NDArray[np.int8]
Float64 = npt.NDArray[np.float64]


def windows(
    data: npt.NDArray[np.generic],
    filter_hw: tuple[int, int],
    attrs: ConvAttrs | PoolAttrs,
    fill: int,
) -> npt.NDArray[np.generic]:
    """Windows of (1, in_h, in_w, in_ch) as a view (out_h, out_w, kernel_h, kernel_w, in_ch); outside is `fill`."""
    dilation = attrs.dilation if isinstance(attrs, ConvAttrs) else (1, 1)
    in_hw = (data.shape[1], data.shape[2])
    top, left, bottom, right = explicit_pads(in_hw, filter_hw, attrs.stride, dilation, attrs.padding)
    image = np.pad(data[0], ((top, bottom), (left, right), (0, 0)), constant_values=fill)
    out_h, out_w = (
        window_output(n, k, s, d, attrs.padding)
        for n, k, s, d in zip(in_hw, filter_hw, attrs.stride, dilation, strict=True)
    )
    row, col, channel = image.strides
    return np.lib.stride_tricks.as_strided(
        image,
        (out_h, out_w, *filter_hw, image.shape[2]),
        (row * attrs.stride[0], col * attrs.stride[1], row * dilation[0], col * dilation[1], channel),
        writeable=False,
    )


def _finish(acc: Float64, scale: Rescale) -> Int8:
    """Accumulators without bias to int8; they are whole numbers below 2**31, so double holds them exactly."""
    total = acc.astype(np.int64) + scale.bias
    values = round_product(total, scale.scale) if scale.rounds_once else requantize(total, scale.mult, scale.shift)
    return clamp_int8(values + scale.out_zp, scale.act_min, scale.act_max)


def conv_2d(graph: Graph, op: Op, data: Int8) -> Int8:
    """CONV_2D: im2col and one product of matrices in double."""
    assert isinstance(op.attrs, ConvAttrs)
    source, weights, _ = layer_tensors(graph, op)
    assert weights.data is not None
    zero = quant_of(source).zero_point
    patches = windows(data, (weights.shape[1], weights.shape[2]), op.attrs, zero)
    columns = patches.reshape(patches.shape[0] * patches.shape[1], -1).astype(np.float64) - zero
    rows = weight_rows(op.kind, weights.data).astype(np.float64)
    return _finish(columns @ rows.T, layer_rescale(graph, op)).reshape(graph.output_of(op).shape)


def depthwise_conv_2d(graph: Graph, op: Op, data: Int8) -> Int8:
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
    return _finish(acc, layer_rescale(graph, op)).reshape(graph.output_of(op).shape)


def fully_connected(graph: Graph, op: Op, data: Int8) -> Int8:
    """FULLY_CONNECTED over rows of the input."""
    source, weights, _ = layer_tensors(graph, op)
    assert weights.data is not None
    vectors = data.reshape(-1, weights.shape[1]).astype(np.float64) - quant_of(source).zero_point
    acc = vectors @ weights.data.astype(np.float64).T
    return _finish(acc, layer_rescale(graph, op)).reshape(graph.output_of(op).shape)


def average_pool_2d(graph: Graph, op: Op, data: Int8) -> Int8:
    """AVERAGE_POOL_2D over the part of the window that lies inside of the input; halves away from zero.

    Source: AveragePool in TensorFlow Lite, kernels/internal/reference/integer_ops/pooling.h.
    """
    assert isinstance(op.attrs, PoolAttrs)
    total = windows(data.astype(np.int64), op.attrs.filter, op.attrs, 0).sum(axis=(2, 3), dtype=np.int64)
    inside = np.ones((1, data.shape[1], data.shape[2], 1), np.int64)
    count = windows(inside, op.attrs.filter, op.attrs, 0).sum(axis=(2, 3), dtype=np.int64)
    magnitude = (np.abs(total) + count // 2) // count
    out_q = quant_of(graph.output_of(op))
    low, high = activation_range(out_q.scale, out_q.zero_point, op.attrs.activation.value)
    return clamp_int8(np.sign(total) * magnitude, low, high).reshape(graph.output_of(op).shape)
