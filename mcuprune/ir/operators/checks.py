"""Demands that several operators make of their tensors. Each raises a ModelError that says what is wrong."""

from __future__ import annotations

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import FullyConnectedAttrs
from mcuprune.ir.graph import DType, Graph, Op, Tensor
from mcuprune.ir.rescale import quant_of
from mcuprune.ir.shapes import broadcast_shape, broadcast_walk

MAX_DIMENSION = 2**16 - 1  # 16-bit fields of the firmware
ACTIVATIONS = (DType.INT8, DType.INT16)
"""Types of activations: int16 ones have zero point 0."""


def shape_is(op_output: Tensor, expected: tuple[int, ...] | None) -> None:
    """Raise where an output's shape is not what the operator gives."""
    if expected != op_output.shape:
        raise ModelError(f"the output has shape {op_output.shape}, the operator gives {expected}")


def quantized(tensor: Tensor, *dtypes: DType) -> None:
    """One of these types, int8 where none is named, with one scale and zero point."""
    allowed = dtypes or (DType.INT8,)
    if tensor.dtype not in allowed:
        names = ", ".join(dtype.value for dtype in allowed)
        raise ModelError(f"tensor {tensor.index} is {tensor.dtype.value}, only {names} is supported")
    if quant_of(tensor).per_axis:
        raise ModelError(f"tensor {tensor.index} has a scale per channel, activations have one")


def one_type(*tensors: Tensor, dtypes: tuple[DType, ...] = ACTIVATIONS) -> DType:
    """Tensors of one of these types, with one scale and zero point each, 0 of int16: which type."""
    dtype = tensors[0].dtype
    for tensor in tensors:
        quantized(tensor, *dtypes)
        if tensor.dtype is not dtype:
            raise ModelError(f"tensor {tensor.index} is {tensor.dtype.value}, tensor {tensors[0].index} {dtype.value}")
        if dtype is DType.INT16 and quant_of(tensor).zero_point:
            raise ModelError(f"int16 has zero point 0, tensor {tensor.index} has {quant_of(tensor).zero_point}")
    return dtype


def present(graph: Graph, op: Op, number: int = 0) -> Tensor:
    """An input of any type."""
    tensor = graph.input_of(op, number)
    if tensor is None:
        raise ModelError(f"input {number} is absent")
    return tensor


def data_input(graph: Graph, op: Op, number: int = 0) -> Tensor:
    """An int8 activation input."""
    tensor = present(graph, op, number)
    quantized(tensor)
    return tensor


def broadcast(graph: Graph, op: Op, inputs: int = 2) -> None:
    """The first inputs broadcast to the output, in loops that the firmware has."""
    tensors = [graph.input_of(op, place) for place in range(inputs)]
    found = [tensor for tensor in tensors if tensor is not None]
    if len(found) < inputs:
        raise ModelError("one of the inputs is absent")
    shapes = [tensor.shape for tensor in found]
    expected: tuple[int, ...] | None = ()
    for shape in shapes:
        expected = None if expected is None else broadcast_shape(expected, shape)
    output = graph.output_of(op)
    shape_is(output, expected)
    if broadcast_walk(shapes, output.shape) is None:
        raise ModelError(f"inputs of shapes {shapes} repeat along too many dimensions: at most 4 loops are supported")


def moved_input(graph: Graph, op: Op, number: int = 0) -> Tensor:
    """An input of any type whose elements the output is made of: int8 ones keep scale and zero point.

    So do int16 ones, unless they are plain numbers on both sides.
    """
    tensor, output = present(graph, op, number), graph.output_of(op)
    if tensor.dtype is not output.dtype:
        raise ModelError(f"input {number} is {tensor.dtype.value}, the output {output.dtype.value}")
    plain = tensor.dtype is DType.INT16 and tensor.quant is None and output.quant is None
    if tensor.dtype in ACTIVATIONS and not plain:
        one_type(tensor, output)
        same_quant(tensor, output)
    return tensor


def same_quant(first: Tensor, second: Tensor) -> None:
    """Input and output of an operator that only moves or averages values share their quantization."""
    a, b = quant_of(first), quant_of(second)
    if abs(a.scale - b.scale) > 1e-6 or a.zero_point != b.zero_point:
        both = f"({a.scale}, {a.zero_point}) and ({b.scale}, {b.zero_point})"
        raise ModelError(f"input and output must have one scale and zero point, they have {both}")


def constant_weights(graph: Graph, op: Op, rank: int, axis: int, bias_type: DType = DType.INT32) -> Tensor:
    """Constant int8 weights of zero point 0, per tensor or per output channel; a bias of a type and zero point 0."""
    weights = graph.input_of(op, 1)
    if weights is None or weights.data is None:
        raise ModelError("the weights must be constant")
    if weights.dtype is not DType.INT8 or len(weights.shape) != rank:
        raise ModelError(f"weights {weights.dtype.value} {weights.shape}, expected int8 of rank {rank}")
    quant = quant_of(weights)
    if any(quant.zero_points):
        raise ModelError("weights with a zero point other than 0 are not supported")
    if quant.per_axis and quant.axis != axis:
        raise ModelError(f"scales of the weights lie along dimension {quant.axis}, expected {axis}")
    bias_fits(graph, op, weights.shape[axis], bias_type)
    return weights


def bias_fits(graph: Graph, op: Op, channels: int, dtype: DType) -> None:
    """The third input is absent, or a constant bias of zero point 0, of FULLY_CONNECTED with a scale that fits."""
    bias = graph.input_of(op, 2)
    if bias is None:
        return
    if bias.data is None or bias.dtype is not dtype or bias.shape != (channels,):
        found = f"{bias.dtype.value} {bias.shape}"
        raise ModelError(f"the bias must be constant {dtype.value} of {channels}, it is {found}")
    if bias.quant is not None and any(bias.quant.zero_points):
        raise ModelError("a bias with a zero point other than 0 is not supported")
    w_q = quant_of(present(graph, op, 1))
    if isinstance(op.attrs, FullyConnectedAttrs) and not w_q.per_axis:
        # GetQuantizedConvolutionMultipler in TensorFlow Lite, kernel_util.cc
        in_scale, bias_scale = quant_of(present(graph, op)).scale, bias.quant.scale if bias.quant else 0.0
        gap = abs(in_scale * w_q.scale - bias_scale) / quant_of(graph.output_of(op)).scale
        if not gap <= 0.02:
            raise ModelError(f"the bias has scale {bias_scale!r}, expected {in_scale * w_q.scale!r}")


def image(tensor: Tensor) -> None:
    if len(tensor.shape) != 4 or tensor.shape[0] != 1 or max(tensor.shape) > MAX_DIMENSION:
        raise ModelError(f"an input of shape (1, height, width, channels) is needed, got {tensor.shape}")


def left_shift_fits(shift: int, magnitude: int) -> None:
    """A left shift of values up to `magnitude` stays inside of int32."""
    if magnitude << max(shift, 0) >= 2**31 - 256:
        raise ModelError(f"the scales differ by 2**{shift}: int32 overflows")
