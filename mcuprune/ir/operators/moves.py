"""Operators that move values and change none."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import PadAttrs
from mcuprune.ir.graph import Graph, Op, Tensor
from mcuprune.ir.operators.checks import data_input, quantized, same_quant, shape_is
from mcuprune.ir.operators.operator import Channels, Int8, Operator, channels_of, same_channels
from mcuprune.ir.rescale import quant_of
from mcuprune.ir.shapes import pad_shape


def _check_pad(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, PadAttrs)
    data, output = data_input(graph, op), graph.output_of(op)
    quantized(output)
    shape_is(output, pad_shape(data.shape, op.attrs.before, op.attrs.after))
    same_quant(data, output)


def pad(graph: Graph, op: Op, data: Int8) -> Int8:
    """PAD with the output's zero point.

    Source: Eval in TensorFlow Lite, kernels/pad.cc.
    """
    assert isinstance(op.attrs, PadAttrs)
    widths = tuple(zip(op.attrs.before, op.attrs.after, strict=True))
    return np.pad(data, widths, constant_values=quant_of(graph.output_of(op)).zero_point)


def _pad_channels(graph: Graph, op: Op, source: Tensor) -> Channels | None:
    assert isinstance(op.attrs, PadAttrs)
    return None if op.attrs.before[-1] or op.attrs.after[-1] else same_channels(graph, op, source)


def _check_reshape(graph: Graph, op: Op) -> None:
    data, output = data_input(graph, op), graph.output_of(op)
    quantized(output)
    if math.prod(data.shape) != math.prod(output.shape):
        raise ModelError(f"{data.shape} does not reshape to {output.shape}")
    same_quant(data, output)


def reshape(graph: Graph, op: Op, data: Int8) -> Int8:
    """RESHAPE: the same values in another shape."""
    return data.reshape(graph.output_of(op).shape)


def _reshape_channels(graph: Graph, op: Op, source: Tensor) -> Channels | None:
    """Row-major: positions that become channels repeat the channels of each."""
    inner, outer = channels_of(source), channels_of(graph.output_of(op))
    return np.tile(np.arange(inner), outer // inner) if outer % inner == 0 else None


OPERATORS: Mapping[str, Operator] = {
    "PAD": Operator(_check_pad, pad, carried=_pad_channels),
    "RESHAPE": Operator(_check_reshape, reshape, carried=_reshape_channels),
}
