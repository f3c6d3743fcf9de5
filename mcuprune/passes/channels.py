"""How an operator treats channels (the last dimension): carries them through, mixes them by weights, or neither."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from mcuprune.ir.graph import ConvAttrs, Graph, MeanAttrs, Op, PadAttrs, Tensor
from mcuprune.ir.interpreter import DATA_INPUTS

Channels = npt.NDArray[np.intp]

MIXING = ("CONV_2D", "FULLY_CONNECTED")
"""Every output channel is a weighted sum over all input channels."""


def channels_of(tensor: Tensor) -> int:
    return tensor.shape[-1] if tensor.shape else 1


def data_inputs(graph: Graph, op: Op) -> tuple[Tensor, ...]:
    """What an operator computes on: without weights, biases and parameters; constant summands of ADD are data."""
    return tuple(graph.tensors[i] for i in op.inputs[: DATA_INPUTS.get(op.kind, 1)])


def carried(graph: Graph, op: Op, source: Tensor) -> Channels | None:
    """For each output channel the one channel of `source` that it is made of; None where channels mix or move."""
    rule = _CARRIED.get(op.kind)
    return rule(graph, op, source) if rule is not None else None


def mixing_weights(graph: Graph, op: Op) -> npt.NDArray[np.int64] | None:
    """Weights of CONV_2D and FULLY_CONNECTED as (output channels, taps, input channels).

    A tap of a fully-connected layer is one position of its input; None where its columns are no whole positions.
    """
    weights, channels = graph.tensors[op.inputs[1]], channels_of(graph.tensors[op.inputs[0]])
    assert weights.data is not None
    rows = weights.data.reshape(weights.shape[0], -1).astype(np.int64)
    return rows.reshape(len(rows), -1, channels) if rows.shape[1] % channels == 0 else None


def _same(graph: Graph, op: Op, source: Tensor) -> Channels | None:
    """Channel by channel, where both sides have as many (not where a summand is repeated)."""
    channels = channels_of(source)
    return np.arange(channels) if channels == channels_of(graph.output_of(op)) else None


def _depthwise(graph: Graph, op: Op, source: Tensor) -> Channels:
    assert isinstance(op.attrs, ConvAttrs)
    return np.repeat(np.arange(channels_of(source)), op.attrs.depth_multiplier)


def _reshape(graph: Graph, op: Op, source: Tensor) -> Channels | None:
    """Row-major: positions that become channels repeat the channels of each."""
    inner, outer = channels_of(source), channels_of(graph.output_of(op))
    return np.tile(np.arange(inner), outer // inner) if outer % inner == 0 else None


def _mean(graph: Graph, op: Op, source: Tensor) -> Channels | None:
    assert isinstance(op.attrs, MeanAttrs)
    return None if len(source.shape) - 1 in op.attrs.axes else _same(graph, op, source)


def _pad(graph: Graph, op: Op, source: Tensor) -> Channels | None:
    assert isinstance(op.attrs, PadAttrs)
    return None if op.attrs.before[-1] or op.attrs.after[-1] else _same(graph, op, source)


_CARRIED: Mapping[str, Callable[[Graph, Op, Tensor], Channels | None]] = {
    "ADD": _same,
    "AVERAGE_POOL_2D": _same,
    "DEPTHWISE_CONV_2D": _depthwise,
    "DEQUANTIZE": _same,
    "MEAN": _mean,
    "PAD": _pad,
    "QUANTIZE": _same,
    "RELU": _same,
    "RELU6": _same,
    "RESHAPE": _reshape,
}
