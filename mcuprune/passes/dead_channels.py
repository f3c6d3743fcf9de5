"""Dead channels leave the graph: those whose value is known ahead, and those that nobody reads.

A channel goes where every operator that reads it can do without. CONV_2D and FULLY_CONNECTED can where the weights on
it are all zero, or where it is known and adds the same number to an accumulator at every position: the sum then moves
into the bias. (A padded window reads the zero point outside of its input, so a constant other than that adds less at
the border.) Operators that carry channels through can where the channel made of it goes, too; that is so for what feeds
them as well. Which channels go is the largest set for which all this holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.ir.attributes import ConvAttrs
from mcuprune.ir.graph import Graph, Op, Quant, Tensor
from mcuprune.ir.operators.operator import channels_of
from mcuprune.ir.operators.weighted import bias_type
from mcuprune.ir.operators.windows import windows
from mcuprune.ir.rescale import quant_of
from mcuprune.passes.channels import carried, data_inputs, mixes, mixing_weights
from mcuprune.passes.known import Known, Mask, known_channels

Dead = Mapping[int, Mask]
"""By tensor index, True for each channel that goes."""


def drop_dead_channels(graph: Graph) -> Graph:
    """The graph without its dead channels; the same graph where there are none."""
    known = known_channels(graph)
    dead = _dead_channels(graph, known)
    if not any(mask.any() for mask in dead.values()):
        return graph
    return _Rewrite(graph, known, dead).graph()


def _dead_channels(graph: Graph, known: Mapping[int, Known]) -> dict[int, Mask]:
    """Start from all channels, take back what some operator needs, until nothing changes."""
    kept = (tensor for state in graph.states for tensor in (state.read, state.written))
    stay = {*graph.inputs, *graph.outputs, *kept}
    dead = {i: np.full(len(k.mask), i not in stay) for i, k in known.items()}
    absorbed = {op.name: _Absorption(graph, op, known) for op in graph.ops if mixes(graph, op)}
    before, left = -1, sum(len(mask) for mask in dead.values())
    while left != before:
        before = left
        for op in reversed(graph.ops):
            if op.name in absorbed:
                dead[op.inputs[0]] &= absorbed[op.name].spared(~dead[op.outputs[0]])
            else:
                _tie(graph, op, dead)
        for mask in dead.values():
            mask[0] &= not mask.all()  # a tensor keeps one channel
        left = sum(int(mask.sum()) for mask in dead.values())
    return dead


def _tie(graph: Graph, op: Op, dead: dict[int, Mask]) -> None:
    """Inputs and output of an operator that carries channels through lose the same ones; others lose none."""
    sources = data_inputs(graph, op)
    maps = [carried(graph, op, source) for source in sources]
    shared = [s for s in sources if s.data is not None and _readers(graph, s.index) > 1]
    if shared or any(channel is None for channel in maps):
        for index in (*(source.index for source in sources), op.outputs[0]):
            dead[index][:] = False
        return
    gone = dead[op.outputs[0]]
    for source, channel in zip(sources, maps, strict=True):
        needed = np.zeros_like(dead[source.index])
        needed[channel[~gone]] = True  # type: ignore[index]
        dead[source.index] &= ~needed
        gone &= dead[source.index][channel]


def _readers(graph: Graph, tensor: int) -> int:
    return sum(op.inputs.count(tensor) for op in graph.ops)


class _Absorption:
    """How CONV_2D or FULLY_CONNECTED does without channels of its input."""

    def __init__(self, graph: Graph, op: Op, known: Mapping[int, Known]) -> None:
        self.weights = mixing_weights(graph, op)
        source = graph.tensors[op.inputs[0]]
        self.mask = known[source.index].mask
        if self.weights is not None:
            self.columns = _columns(graph, op, known[source.index].values)

    def spared(self, alive: Mask) -> Mask:
        """Input channels without which the output channels `alive` are the same, but for their biases."""
        if self.weights is None:
            return np.zeros_like(self.mask)
        rows = self.weights[alive]
        spared: Mask = np.logical_not(rows.any(axis=(0, 1)))
        drift = self.columns - self.columns[:1]
        for c in np.flatnonzero(self.mask & ~spared):
            spared[c] = not drift[:, :, c].any() or not (drift[:, :, c] @ rows[:, :, c].T).any()
        return spared

    def moved(self, dead: Mask) -> npt.NDArray[np.int64]:
        """What the dead channels add to each accumulator: zero for those that are not known, their weights are zero."""
        assert self.weights is not None
        gone = dead & self.mask
        added: npt.NDArray[np.int64] = np.einsum("otc,tc->o", self.weights[:, :, gone], self.columns[0][:, gone])
        return added


def _columns(graph: Graph, op: Op, values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """What the weights multiply at each position, zero point taken off: (positions, taps, channels)."""
    zero = quant_of(graph.tensors[op.inputs[0]]).zero_point
    weights = graph.tensors[op.inputs[1]]
    if isinstance(op.attrs, ConvAttrs):
        patches = windows(values, (weights.shape[1], weights.shape[2]), op.attrs, zero)
        columns = patches.reshape(patches.shape[0] * patches.shape[1], -1, values.shape[-1])
    else:
        columns = values.reshape(values.size // weights.shape[1], -1, values.shape[-1])
    return columns.astype(np.int64) - zero


@dataclass(slots=True, eq=False)
class _Rewrite:
    """A graph in the making: `tensors` is the old list with changes, grown by copies of constants that are shared."""

    old: Graph
    known: Mapping[int, Known]
    dead: Dead
    tensors: list[Tensor] = field(init=False)

    def graph(self) -> Graph:
        self.tensors = list(self.old.tensors)
        for index, mask in self.dead.items():
            if mask.any():
                self.tensors[index] = _kept(self.old.tensors[index], mask)
        ops = tuple(self._op(op) for op in self.old.ops)
        return replace(self.old, tensors=tuple(self.tensors), ops=ops)

    def _op(self, op: Op) -> Op:
        """The operator with constants of its own that hold the channels that stay."""
        depthwise = op.kind == "DEPTHWISE_CONV_2D"
        if not depthwise and not mixes(self.old, op):
            return op
        rows, cols = self.dead[op.outputs[0]], self.dead[op.inputs[0]]
        if not rows.any() and not cols.any():
            return op
        weights, bias = self.old.tensors[op.inputs[1]], self.old.input_of(op, 2)
        assert weights.data is not None
        moved = np.zeros(len(rows), np.int64) if depthwise else _Absorption(self.old, op, self.known).moved(cols)
        data = weights.data[..., ~rows] if depthwise else _take_columns(weights.data, ~cols)[~rows]
        new_weights = replace(weights, shape=data.shape, data=data, quant=_take(weights.quant, ~rows))
        inputs = [op.inputs[0], self._constant(new_weights)]
        if bias is not None or moved[~rows].any():
            inputs.append(self._constant(self._bias(op, bias, moved, ~rows)))
        return replace(op, inputs=(*inputs, *op.inputs[3:]))

    def _bias(self, op: Op, bias: Tensor | None, moved: npt.NDArray[np.int64], alive: Mask) -> Tensor:
        if bias is None:
            in_q, w_q = (quant_of(self.old.tensors[i]) for i in op.inputs[:2])
            quant = Quant(
                tuple(in_q.scale * s for s in w_q.scales), (0,) * len(w_q.scales), 0 if w_q.per_axis else None
            )
            name, dtype = f"{self.old.output_of(op).name}_bias", bias_type(self.old, op)
            bias = Tensor(len(self.tensors), name, moved.shape, dtype, quant, np.zeros(moved.shape, dtype.numpy))
        assert bias.data is not None
        data = (bias.data + moved)[alive].astype(bias.data.dtype)  # no sum grows: bounds of the whole sum hold
        return replace(bias, shape=data.shape, data=data, quant=_take(bias.quant, alive))

    def _constant(self, tensor: Tensor) -> int:
        """Put a constant in its place, or behind the others where several operators read the old one."""
        if tensor.data is not None:
            tensor.data.flags.writeable = False
        if tensor.index < len(self.old.tensors) and _readers(self.old, tensor.index) == 1:
            self.tensors[tensor.index] = tensor
            return tensor.index
        self.tensors.append(replace(tensor, index=len(self.tensors)))
        return len(self.tensors) - 1


def _kept(tensor: Tensor, dead: Mask) -> Tensor:
    """An activation (or a constant summand) without its dead channels."""
    of_file = np.arange(channels_of(tensor)) if tensor.kept is None else np.array(tensor.kept)
    return replace(
        tensor,
        shape=(*tensor.shape[:-1], int((~dead).sum())),
        data=None if tensor.data is None else tensor.data[..., ~dead],
        kept=tuple(of_file[~dead].tolist()),
    )


def _take_columns(weights: npt.NDArray[np.int8], alive: Mask) -> npt.NDArray[np.int8]:
    """Weights of CONV_2D or FULLY_CONNECTED for the input channels that stay."""
    if weights.ndim == 4:
        return weights[..., alive]
    return weights.reshape(len(weights), -1, len(alive))[..., alive].reshape(len(weights), -1)


def _take(quant: Quant | None, alive: Mask) -> Quant | None:
    """A quantization along the channels, for those that stay."""
    if quant is None or not quant.per_axis:
        return quant
    pairs: Iterator[Any] = zip(quant.scales, quant.zero_points, alive, strict=True)
    scales, zero_points = zip(*[(s, z) for s, z, stays in pairs if stays], strict=True)
    return Quant(scales, zero_points, quant.axis)
