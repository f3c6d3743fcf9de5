"""How an operator treats channels (the last dimension): carries them through, mixes them by weights, or neither."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcuprune.ir.graph import Graph, Op, Tensor
from mcuprune.ir.operators import OPERATORS
from mcuprune.ir.operators.operator import Channels, channels_of

_MIXING = ("CONV_2D", "FULLY_CONNECTED")


def mixes(graph: Graph, op: Op) -> bool:
    """Whether every output channel is a weighted sum over all input channels; in a grouped convolution it is not."""
    if op.kind not in _MIXING:
        return False
    return op.kind != "CONV_2D" or graph.tensors[op.inputs[1]].shape[3] == channels_of(graph.tensors[op.inputs[0]])


def data_inputs(graph: Graph, op: Op) -> tuple[Tensor, ...]:
    """What an operator computes on: without weights, biases and parameters; constant summands of ADD are data."""
    return tuple(graph.tensors[i] for i in op.inputs[: OPERATORS[op.kind].data_inputs])


def carried(graph: Graph, op: Op, source: Tensor) -> Channels | None:
    """For each output channel the one channel of `source` that it is made of; None where channels mix or move."""
    return OPERATORS[op.kind].carried(graph, op, source)


def mixing_weights(graph: Graph, op: Op) -> npt.NDArray[np.int64] | None:
    """Weights of an operator that mixes channels as (output channels, taps, input channels).

    A tap of a fully-connected layer is one position of its input; None where its columns are no whole positions.
    """
    weights, channels = graph.tensors[op.inputs[1]], channels_of(graph.tensors[op.inputs[0]])
    assert weights.data is not None
    rows = weights.data.reshape(weights.shape[0], -1).astype(np.int64)
    return rows.reshape(len(rows), -1, channels) if rows.shape[1] % channels == 0 else None
