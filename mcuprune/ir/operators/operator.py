"""What a kind of operator is to every stage: what it demands of its tensors, means, and does to channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.ir.graph import Graph, Op, Tensor

Array = npt.NDArray[Any]
Int8 = npt.NDArray[np.int8]
Channels = npt.NDArray[np.intp]


def channels_of(tensor: Tensor) -> int:
    return tensor.shape[-1] if tensor.shape else 1


def no_channels(graph: Graph, op: Op, source: Tensor) -> Channels | None:
    """For operators that mix or move channels."""
    return None


def same_channels(graph: Graph, op: Op, source: Tensor) -> Channels | None:
    """Channel by channel, where both sides have as many (not where an input is repeated)."""
    channels = channels_of(source)
    return np.arange(channels) if channels == channels_of(graph.output_of(op)) else None


@dataclass(frozen=True, slots=True)
class Operator:
    """One kind of operator; every operator has one output, recurrent ones have new values of their states behind it.

    Attributes:
        check: raises ModelError where the tensors do not fit; a graph that passes has a meaning.
        run: the output, of the output tensor's shape and dtype, from the graph, the operator and its data inputs; a
            tuple of all outputs where there are several.
        data_inputs: how many of the inputs are data, None: all; the others are weights and parameters, constants.
        carried: for each output channel (last dimension) the one channel of a data input that it is made of; None where
            channels mix or move.
    """

    check: Callable[[Graph, Op], None]
    run: Callable[..., Array | tuple[Array, ...]]
    data_inputs: int | None = 1
    carried: Callable[[Graph, Op, Tensor], Channels | None] = no_channels
