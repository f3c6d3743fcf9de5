"""What each operator demands of its tensors: dtypes, shapes, quantization. A Graph that passes has a meaning.

The importer calls verify() on what it read; passes call it on what they made.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from mcuprune.errors import ModelError
from mcuprune.ir.graph import (
    AddAttrs,
    ConvAttrs,
    DType,
    FullyConnectedAttrs,
    Graph,
    MeanAttrs,
    Op,
    PadAttrs,
    PoolAttrs,
    SoftmaxAttrs,
    Tensor,
)
from mcuprune.ir.rescale import layer_rescale, quant_of
from mcuprune.ir.shapes import (
    broadcast_shape,
    fully_connected_shape,
    mean_extents,
    mean_shape,
    pad_shape,
    window_output,
    window_shape,
)
from mcuprune.numerics import (
    activation_range,
    add_parameters,
    mean_parameters,
    quantize_multiplier,
    relu_multiplier,
    softmax_parameters,
)

MAX_SOFTMAX_COLUMNS = 4095  # the fixed-point sum holds fewer than 4096 ones
MAX_MEAN_COUNT = 2**22  # sums of int8 stay inside of int32
MAX_DIMENSION = 2**16 - 1  # 16-bit fields of the firmware
SOFTMAX_SCALE = 1.0 / 256


def verify(graph: Graph) -> None:
    """Check every operator of a graph.

    Raises:
        ModelError: an operator's tensors do not fit it; `where` names the file, the operator and its place.
    """
    for index in graph.inputs:
        tensor = graph.tensor(index)
        if tensor.shape and tensor.shape[0] != 1:
            raise ModelError(
                f"input '{tensor.name}' has shape {tensor.shape}: only batch 1 is supported",
                where=graph.source,
                hint="export the model with batch size 1",
            )
        if tensor.dtype is DType.INT8:
            _activation_quant(tensor)
    for op in graph.ops:
        try:
            _CHECKS[op.kind](graph, op)
        except ModelError as error:
            error.where = f"{graph.source}, op {op.index} {op.kind} '{op.name}'"
            raise


def _fail_shape(op_output: Tensor, expected: tuple[int, ...] | None) -> None:
    """Raise where an output's shape is not what the operator gives."""
    if expected != op_output.shape:
        raise ModelError(f"the output has shape {op_output.shape}, the operator gives {expected}")


def _activation_quant(tensor: Tensor) -> None:
    """int8, one scale and zero point."""
    if tensor.dtype is not DType.INT8:
        raise ModelError(f"tensor {tensor.index} is {tensor.dtype.value}, only int8 is supported")
    if quant_of(tensor).per_axis:
        raise ModelError(f"tensor {tensor.index} has a scale per channel, activations have one")


def _data(graph: Graph, op: Op, number: int = 0) -> Tensor:
    """An int8 activation input."""
    tensor = graph.input_of(op, number)
    if tensor is None or tensor.data is not None:
        raise ModelError(f"input {number} must be computed, it is constant or absent")
    _activation_quant(tensor)
    return tensor


def _same_quant(first: Tensor, second: Tensor) -> None:
    """Input and output of an operator that only moves or averages values share their quantization."""
    a, b = quant_of(first), quant_of(second)
    if abs(a.scale - b.scale) > 1e-6 or a.zero_point != b.zero_point:
        both = f"({a.scale}, {a.zero_point}) and ({b.scale}, {b.zero_point})"
        raise ModelError(f"input and output must have one scale and zero point, they have {both}")


def _check_weights(graph: Graph, op: Op, rank: int, axis: int) -> Tensor:
    """Constant int8 weights of zero point 0, per tensor or per output channel; int32 bias of zero point 0."""
    weights, bias = graph.input_of(op, 1), graph.input_of(op, 2)
    if weights is None or weights.data is None:
        raise ModelError("the weights must be constant")
    if weights.dtype is not DType.INT8 or len(weights.shape) != rank:
        raise ModelError(f"weights {weights.dtype.value} {weights.shape}, expected int8 of rank {rank}")
    quant = quant_of(weights)
    if any(quant.zero_points):
        raise ModelError("weights with a zero point other than 0 are not supported")
    if quant.per_axis and quant.axis != axis:
        raise ModelError(f"scales of the weights lie along dimension {quant.axis}, expected {axis}")
    if bias is not None:
        if bias.data is None or bias.dtype is not DType.INT32 or bias.shape != (weights.shape[axis],):
            raise ModelError(
                f"the bias must be constant int32 of {weights.shape[axis]}, it is {bias.dtype.value} {bias.shape}"
            )
        if bias.quant is not None and any(bias.quant.zero_points):
            raise ModelError("a bias with a zero point other than 0 is not supported")
    return weights


def _image(tensor: Tensor) -> None:
    if len(tensor.shape) != 4 or tensor.shape[0] != 1 or max(tensor.shape) > MAX_DIMENSION:
        raise ModelError(f"an input of shape (1, height, width, channels) is needed, got {tensor.shape}")


def _check_conv(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, ConvAttrs)
    depthwise = op.kind == "DEPTHWISE_CONV_2D"
    data, output = _data(graph, op), graph.output_of(op)
    _image(data)
    _activation_quant(output)
    weights = _check_weights(graph, op, 4, 3 if depthwise else 0)
    channels = weights.shape[3] if depthwise else weights.shape[0]
    if depthwise:
        if weights.shape[0] != 1 or channels != data.shape[3] * op.attrs.depth_multiplier:
            raise ModelError(f"weights {weights.shape} for {data.shape[3]} channels times {op.attrs.depth_multiplier}")
    elif weights.shape[3] != data.shape[3]:
        raise ModelError(f"weights {weights.shape} for {data.shape[3]} channels (grouped convolution is not supported)")
    taps = (weights.shape[1], weights.shape[2])
    for size, k, s, d in zip(data.shape[1:3], taps, op.attrs.stride, op.attrs.dilation, strict=True):
        if window_output(size, k, s, d, op.attrs.padding) < 1:
            raise ModelError(f"a window of {k} with dilation {d} does not fit an input of {size}")
    _fail_shape(output, window_shape(data.shape, taps, op.attrs.stride, op.attrs.dilation, op.attrs.padding, channels))
    layer_rescale(graph, op)


def _check_fully_connected(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, FullyConnectedAttrs)
    data, output = _data(graph, op), graph.output_of(op)
    _activation_quant(output)
    weights = _check_weights(graph, op, 2, 0)
    _fail_shape(output, fully_connected_shape(data.shape, (weights.shape[0], weights.shape[1]), op.attrs.keep_num_dims))
    bias, w_q = graph.input_of(op, 2), quant_of(weights)
    if bias is not None and not w_q.per_axis:  # GetQuantizedConvolutionMultipler in TensorFlow Lite, kernel_util.cc
        bias_scale = bias.quant.scale if bias.quant else 0.0
        gap = abs(quant_of(data).scale * w_q.scale - bias_scale) / quant_of(output).scale
        if not gap <= 0.02:
            raise ModelError(f"the bias has scale {bias_scale!r}, expected {quant_of(data).scale * w_q.scale!r}")
    layer_rescale(graph, op)


def _check_pool(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, PoolAttrs)
    data, output = _data(graph, op), graph.output_of(op)
    _image(data)
    _activation_quant(output)
    a = op.attrs
    for size, k, s in zip(data.shape[1:3], a.filter, a.stride, strict=True):
        if window_output(size, k, s, 1, a.padding) < 1:
            raise ModelError(f"a window of {k} does not fit an input of {size}")
    _fail_shape(output, window_shape(data.shape, a.filter, a.stride, (1, 1), a.padding, data.shape[3]))
    _same_quant(data, output)
    activation_range(quant_of(output).scale, quant_of(output).zero_point, a.activation.value)


def _check_mean(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, MeanAttrs)
    data, output = _data(graph, op), graph.output_of(op)
    _activation_quant(output)
    _fail_shape(output, mean_shape(data.shape, op.attrs.axes, op.attrs.keep_dims))
    extents = mean_extents(data.shape, op.attrs.axes)
    if extents is None:
        raise ModelError(f"a mean over the dimensions {op.attrs.axes} of {data.shape}, which do not lie side by side")
    if extents[1] > MAX_MEAN_COUNT:
        raise ModelError(f"a mean over {extents[1]} elements, at most {MAX_MEAN_COUNT} are supported")
    in_q = quant_of(data)
    params = mean_parameters(in_q.scale, quant_of(output).scale, extents[1])
    _check_left_shift(params.shift, 256 * extents[1])


def _check_left_shift(shift: int, magnitude: int) -> None:
    """A left shift of values up to `magnitude` stays inside of int32."""
    if magnitude << max(shift, 0) >= 2**31 - 256:
        raise ModelError(f"the scales differ by 2**{shift}: int32 overflows")


def _check_softmax(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, SoftmaxAttrs)
    data, output = _data(graph, op), graph.output_of(op)
    _activation_quant(output)
    _fail_shape(output, data.shape)
    quant = quant_of(output)
    if abs(quant.scale - SOFTMAX_SCALE) > 0.001 * SOFTMAX_SCALE or quant.zero_point != -128:
        raise ModelError(f"softmax needs output scale 1/256 and zero point -128, got {quant.scale}, {quant.zero_point}")
    if not data.shape or data.shape[-1] > MAX_SOFTMAX_COLUMNS:
        raise ModelError(f"softmax over shape {data.shape}, at most {MAX_SOFTMAX_COLUMNS} columns are supported")
    softmax_parameters(op.attrs.beta, quant_of(data).scale)


def _check_add(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, AddAttrs)
    first, second, output = graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)
    if first is None or second is None or (first.data is not None and second.data is not None):
        raise ModelError("one of the summands must be computed")
    for tensor in (first, second, output):
        _activation_quant(tensor)
    if max(len(first.shape), len(second.shape)) > 4:
        raise ModelError(f"ADD of shapes {first.shape} and {second.shape}: at most 4 dimensions are supported")
    _fail_shape(output, broadcast_shape(first.shape, second.shape))
    out_q = quant_of(output)
    add_parameters(quant_of(first).scale, quant_of(second).scale, out_q.scale)
    activation_range(out_q.scale, out_q.zero_point, op.attrs.activation.value)


def _check_pad(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, PadAttrs)
    data, output = _data(graph, op), graph.output_of(op)
    _activation_quant(output)
    _fail_shape(output, pad_shape(data.shape, op.attrs.before, op.attrs.after))
    _same_quant(data, output)


def _check_reshape(graph: Graph, op: Op) -> None:
    data, output = _data(graph, op), graph.output_of(op)
    _activation_quant(output)
    if math.prod(data.shape) != math.prod(output.shape):
        raise ModelError(f"{data.shape} does not reshape to {output.shape}")
    _same_quant(data, output)


def _check_relu(graph: Graph, op: Op) -> None:
    data, output = _data(graph, op), graph.output_of(op)
    _activation_quant(output)
    _fail_shape(output, data.shape)
    out_q = quant_of(output)
    activation_range(out_q.scale, out_q.zero_point, op.kind)
    _check_left_shift(relu_multiplier(quant_of(data).scale, out_q.scale)[1], 256)


def _check_quantize(graph: Graph, op: Op) -> None:
    data, output = graph.input_of(op), graph.output_of(op)
    _activation_quant(output)
    _fail_shape(output, data.shape if data else None)
    if data is None or data.data is not None:
        raise ModelError("the input must be computed, it is constant or absent")
    if data.dtype is not DType.FLOAT32:
        _activation_quant(data)
        _check_left_shift(quantize_multiplier(quant_of(data).scale / quant_of(output).scale)[1], 256)


def _check_dequantize(graph: Graph, op: Op) -> None:
    data, output = _data(graph, op), graph.output_of(op)
    _fail_shape(output, data.shape)
    if output.dtype is not DType.FLOAT32:
        raise ModelError(f"the output is {output.dtype.value}, expected float32")


_CHECKS: dict[str, Callable[[Graph, Op], None]] = {
    "ADD": _check_add,
    "AVERAGE_POOL_2D": _check_pool,
    "CONV_2D": _check_conv,
    "DEPTHWISE_CONV_2D": _check_conv,
    "DEQUANTIZE": _check_dequantize,
    "FULLY_CONNECTED": _check_fully_connected,
    "MEAN": _check_mean,
    "PAD": _check_pad,
    "QUANTIZE": _check_quantize,
    "RELU": _check_relu,
    "RELU6": _check_relu,
    "RESHAPE": _check_reshape,
    "SOFTMAX": _check_softmax,
}
