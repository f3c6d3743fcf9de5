"""Channels whose every element is known ahead, whatever the model's input: computed by the interpreter itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.ir.graph import DType, Graph, Op, Tensor
from mcuprune.ir.interpreter import run_all
from mcuprune.ir.operators.operator import channels_of
from mcuprune.ir.rescale import quant_of
from mcuprune.passes.channels import carried, data_inputs, mixes, mixing_weights

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known of a tensor: `mask` (channels,), and `values` of its shape, right in known channels.

    Elements of one channel may differ: what a padded window makes of a constant changes at the border.
    """

    mask: Mask
    values: npt.NDArray[Any]


def known_channels(graph: Graph) -> Mapping[int, Known]:
    """Of every model input, kept value, output of an operator, and constant summand, what is known, by tensor index.

    Operators run once on values in which unknown channels hold the zero point; an output channel is known where it
    depends on known channels alone.
    """
    found = {i: _unknown(graph.tensors[i]) for i in (*graph.inputs, *(state.read for state in graph.states))}
    for op in graph.ops:
        for tensor in data_inputs(graph, op):
            if tensor.data is not None:
                found[tensor.index] = Known(np.ones(channels_of(tensor), bool), tensor.data)
        values = run_all(graph, op, {i: known.values for i, known in found.items()})
        found |= {i: _unknown(graph.tensors[i]) for i in op.outputs[1:]}
        found[op.outputs[0]] = Known(_known_outputs(graph, op, found), values[0])
    return found


def _unknown(tensor: Tensor) -> Known:
    fill = quant_of(tensor).zero_point if tensor.dtype is DType.INT8 else 0
    return Known(np.zeros(channels_of(tensor), bool), np.full(tensor.shape, fill, tensor.dtype.numpy))


def _known_outputs(graph: Graph, op: Op, found: Mapping[int, Known]) -> Mask:
    """Output channels that depend on known input channels alone."""
    sources = data_inputs(graph, op)
    masks = [found[source.index].mask for source in sources]
    if mixes(graph, op):
        weights = mixing_weights(graph, op)
        if weights is not None:
            alone: Mask = np.logical_not(weights[:, :, ~masks[0]].any(axis=(1, 2)))
            return alone
    maps = [carried(graph, op, source) for source in sources]
    result = np.ones(channels_of(graph.output_of(op)), bool)
    for mask, channel in zip(masks, maps, strict=True):
        result &= mask.all() if channel is None else mask[channel]
    if op.kind == "DEPTHWISE_CONV_2D":
        taps = graph.tensors[op.inputs[1]].data
        assert taps is not None
        result |= ~taps.any(axis=(0, 1, 2))
    return result
