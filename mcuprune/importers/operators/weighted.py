"""Options of operators with weights."""

from __future__ import annotations

from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError
from mcuprune.importers.operators.reading import (
    OpContext,
    OpParser,
    activation,
    constant_int32,
    int32_sums,
    options_of,
    padding,
    pair,
)
from mcuprune.ir.attributes import Attrs, ConvAttrs, FullyConnectedAttrs


def _conv(context: OpContext) -> Attrs:
    o = options_of(context, generated.Conv2DOptionsT)
    return ConvAttrs(
        stride=pair(o.strideH, o.strideW, "stride", context.where),
        dilation=pair(o.dilationHFactor, o.dilationWFactor, "dilation", context.where),
        padding=padding(o.padding, context.where),
        activation=activation(o.fusedActivationFunction, context.where),
        int32_sums=int32_sums(o.quantizedBiasType, context),
    )


def _depthwise(context: OpContext) -> Attrs:
    o = options_of(context, generated.DepthwiseConv2DOptionsT)
    if o.depthMultiplier < 1:
        raise ModelError(f"depth multiplier {o.depthMultiplier} is not positive", where=context.where)
    return ConvAttrs(
        stride=pair(o.strideH, o.strideW, "stride", context.where),
        dilation=pair(o.dilationHFactor, o.dilationWFactor, "dilation", context.where),
        padding=padding(o.padding, context.where),
        activation=activation(o.fusedActivationFunction, context.where),
        depth_multiplier=int(o.depthMultiplier),
    )


def _transpose_conv(context: OpContext) -> Attrs:
    o = options_of(context, generated.TransposeConvOptionsT)
    shape = constant_int32(context, 3, "the output's shape").data
    assert shape is not None
    if tuple(int(n) for n in shape.reshape(-1)) != context.output.shape:
        raise ModelError(f"the shape {shape.tolist()} is not the output's", where=context.where)
    return ConvAttrs(
        stride=pair(o.strideH, o.strideW, "stride", context.where),
        dilation=(1, 1),
        padding=padding(o.padding, context.where),
        activation=activation(o.fusedActivationFunction, context.where),
        int32_sums=int32_sums(o.quantizedBiasType, context),
    )


def _fully_connected(context: OpContext) -> Attrs:
    o = options_of(context, generated.FullyConnectedOptionsT)
    narrow = int32_sums(o.quantizedBiasType, context)
    if o.weightsFormat != 0:
        raise ModelError("shuffled weights are not supported", where=context.where)
    return FullyConnectedAttrs(activation(o.fusedActivationFunction, context.where), bool(o.keepNumDims), narrow)


PRODUCT = OpParser((2, 3), _fully_connected, "BATCH_MATMUL")
"""FULLY_CONNECTED whose weights are computed: a product of two activations."""

PARSERS: Mapping[str, OpParser] = {
    "CONV_2D": OpParser((2, 3), _conv),
    "DEPTHWISE_CONV_2D": OpParser((2, 3), _depthwise),
    "FULLY_CONNECTED": OpParser((2, 3), _fully_connected),
    "TRANSPOSE_CONV": OpParser((3, 4), _transpose_conv, order=(2, 1, 3, 0)),
}
