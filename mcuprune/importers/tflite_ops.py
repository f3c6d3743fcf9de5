"""Options of each TFLite operator -> attributes of the graph's operator, in one table."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError
from mcuprune.ir.graph import (
    Activation,
    AddAttrs,
    Attrs,
    ConvAttrs,
    DType,
    FullyConnectedAttrs,
    MeanAttrs,
    NoAttrs,
    PadAttrs,
    Padding,
    PoolAttrs,
    SoftmaxAttrs,
    Tensor,
)
from mcuprune.ir.shapes import reshape_shape
from mcuprune.tflite import schema

_ACTIVATIONS = {0: Activation.NONE, 1: Activation.RELU, 2: Activation.RELU_N1_TO_1, 3: Activation.RELU6}
_PADDINGS = {0: Padding.SAME, 1: Padding.VALID}
MAX_WINDOW = 2**15  # strides, dilations and filters: what the firmware's 16-bit fields hold


@dataclass(frozen=True, slots=True)
class OpContext:
    """What a parser sees: where it is, the file's options, the tensors."""

    where: str
    options: Any
    inputs: tuple[Tensor | None, ...]
    output: Tensor


def _options(context: OpContext, wanted: type) -> Any:
    """The operator's options.

    Raises:
        ModelError: they are missing or belong to another operator.
    """
    if not isinstance(context.options, wanted):
        raise ModelError(f"options {wanted.__name__.removesuffix('T')} are missing", where=context.where)
    return context.options


def _optional_options(context: OpContext, wanted: type) -> Any:
    """The operator's options, or the schema's defaults where the file has none."""
    return wanted() if context.options is None else _options(context, wanted)


def _activation(number: int, where: str) -> Activation:
    if int(number) not in _ACTIVATIONS:
        raise ModelError(f"fused activation {number} is not supported", where=where)
    return _ACTIVATIONS[int(number)]


def _padding(number: int, where: str) -> Padding:
    if int(number) not in _PADDINGS:
        raise ModelError(f"padding {number} is neither SAME nor VALID", where=where)
    return _PADDINGS[int(number)]


def _pair(height: int, width: int, what: str, where: str) -> tuple[int, int]:
    if not (0 < height < MAX_WINDOW and 0 < width < MAX_WINDOW):
        raise ModelError(f"{what} {(int(height), int(width))} is not in 1..{MAX_WINDOW - 1}", where=where)
    return int(height), int(width)


def _conv(context: OpContext) -> Attrs:
    o = _options(context, generated.Conv2DOptionsT)
    return ConvAttrs(
        stride=_pair(o.strideH, o.strideW, "stride", context.where),
        dilation=_pair(o.dilationHFactor, o.dilationWFactor, "dilation", context.where),
        padding=_padding(o.padding, context.where),
        activation=_activation(o.fusedActivationFunction, context.where),
    )


def _depthwise(context: OpContext) -> Attrs:
    o = _options(context, generated.DepthwiseConv2DOptionsT)
    if o.depthMultiplier < 1:
        raise ModelError(f"depth multiplier {o.depthMultiplier} is not positive", where=context.where)
    return ConvAttrs(
        stride=_pair(o.strideH, o.strideW, "stride", context.where),
        dilation=_pair(o.dilationHFactor, o.dilationWFactor, "dilation", context.where),
        padding=_padding(o.padding, context.where),
        activation=_activation(o.fusedActivationFunction, context.where),
        depth_multiplier=int(o.depthMultiplier),
    )


def _fully_connected(context: OpContext) -> Attrs:
    o = _options(context, generated.FullyConnectedOptionsT)
    if o.weightsFormat != 0:
        raise ModelError("shuffled weights are not supported", where=context.where)
    return FullyConnectedAttrs(_activation(o.fusedActivationFunction, context.where), bool(o.keepNumDims))


def _pool(context: OpContext) -> Attrs:
    o = _options(context, generated.Pool2DOptionsT)
    return PoolAttrs(
        filter=_pair(o.filterHeight, o.filterWidth, "filter", context.where),
        stride=_pair(o.strideH, o.strideW, "stride", context.where),
        padding=_padding(o.padding, context.where),
        activation=_activation(o.fusedActivationFunction, context.where),
    )


def _constant(context: OpContext, number: int, what: str) -> Tensor:
    """An int32 input that must be constant."""
    tensor = context.inputs[number]
    if tensor is None or tensor.data is None or tensor.dtype is not DType.INT32:
        raise ModelError(f"{what} must be a constant int32 tensor", where=context.where)
    return tensor


def _mean(context: OpContext) -> Attrs:
    o = _optional_options(context, generated.ReducerOptionsT)
    tensor = _constant(context, 1, "the axes")
    source = context.inputs[0]
    assert tensor.data is not None and source is not None
    rank = len(source.shape)
    axes = {int(a) + rank if a < 0 else int(a) for a in tensor.data.reshape(-1)}
    if not all(0 <= a < rank for a in axes) or len(tensor.shape) > 1:
        raise ModelError(f"axes {tensor.data.tolist()} of an input of rank {rank}", where=context.where)
    return MeanAttrs(tuple(sorted(axes)), bool(o.keepDims))


def _softmax(context: OpContext) -> Attrs:
    beta = float(_options(context, generated.SoftmaxOptionsT).beta)
    if not 0.0 < beta < math.inf:
        raise ModelError(f"softmax beta {beta!r} is not a positive number", where=context.where)
    return SoftmaxAttrs(beta)


def _add(context: OpContext) -> Attrs:
    o = _optional_options(context, generated.AddOptionsT)
    return AddAttrs(_activation(o.fusedActivationFunction, context.where))


def _pad(context: OpContext) -> Attrs:
    tensor = _constant(context, 1, "the paddings")
    source = context.inputs[0]
    assert tensor.data is not None and source is not None
    if tensor.shape != (len(source.shape), 2) or len(source.shape) > 4:
        raise ModelError(f"paddings {tensor.shape} of an input {source.shape}", where=context.where)
    if tensor.data.min() < 0 or tensor.data.max() >= MAX_WINDOW:
        raise ModelError(f"paddings {tensor.data.tolist()} are not in 0..{MAX_WINDOW - 1}", where=context.where)
    before, after = (tuple(int(n) for n in tensor.data[:, side]) for side in (0, 1))
    return PadAttrs(before, after)


def _reshape(context: OpContext) -> Attrs:
    source = context.inputs[0]
    assert source is not None
    shape = context.inputs[1] if len(context.inputs) > 1 else None
    if shape is not None and len(shape.shape) == 1:
        data = _constant(context, 1, "the shape").data
        assert data is not None
        wanted = tuple(int(n) for n in data)
    elif shape is not None:
        raise ModelError(f"the new shape must be a vector, it is {shape.shape}", where=context.where)
    else:
        options = _options(context, generated.ReshapeOptionsT)
        wanted = tuple(int(n) for n in schema.numbers(options.newShape))
    if reshape_shape(source.shape, wanted) != context.output.shape:
        raise ModelError(f"{source.shape} to {wanted} does not give {context.output.shape}", where=context.where)
    return NoAttrs()


def _none(context: OpContext) -> Attrs:
    return NoAttrs()


@dataclass(frozen=True, slots=True)
class OpParser:
    """Fewest and most inputs of an operator, and the function that reads its options."""

    inputs: tuple[int, int]
    parse: Callable[[OpContext], Attrs]


PARSERS: dict[str, OpParser] = {
    "ADD": OpParser((2, 2), _add),
    "AVERAGE_POOL_2D": OpParser((1, 1), _pool),
    "CONV_2D": OpParser((2, 3), _conv),
    "DEPTHWISE_CONV_2D": OpParser((2, 3), _depthwise),
    "DEQUANTIZE": OpParser((1, 1), _none),
    "FULLY_CONNECTED": OpParser((2, 3), _fully_connected),
    "MEAN": OpParser((2, 2), _mean),
    "PAD": OpParser((2, 2), _pad),
    "QUANTIZE": OpParser((1, 1), _none),
    "RELU": OpParser((1, 1), _none),
    "RELU6": OpParser((1, 1), _none),
    "RESHAPE": OpParser((1, 2), _reshape),
    "SOFTMAX": OpParser((1, 1), _softmax),
}
