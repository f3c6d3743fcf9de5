"""The numbers of SVDF and LSTM: multipliers, and zero points folded into biases. Scales are combined in float32, as the
reference does it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import LstmAttrs
from mcuprune.ir.graph import Graph, Op, Tensor
from mcuprune.ir.rescale import quant_of
from mcuprune.numerics import quantize_multiplier

Int32 = npt.NDArray[np.int32]
Array = npt.NDArray[Any]
ACTIVATION_SCALE = 2.0**-12  # of what goes into sigmoid and tanh: Q3.12
CELL, FORGET, OUTPUT, INPUT = range(4)
GATES = ("cell", "forget", "output", "input")
"""In the order in which they lie in arrays; a coupled LSTM has no input gate."""
OF_FILE = (2, 1, 3, 0)
"""Where each of GATES stands among the four of the file's."""


@dataclass(frozen=True, slots=True)
class SvdfScales:
    """(multiplier, shift) of the features, and of the sums over time."""

    feature: tuple[int, int]
    time: tuple[int, int]


def svdf_scales(graph: Graph, op: Op) -> SvdfScales:
    """Source: Prepare in TensorFlow Lite, kernels/svdf.cc."""
    x, state, features, times = (np.float32(quant_of(graph.tensors[i]).scale) for i in op.inputs[:4])
    out = np.float32(quant_of(graph.output_of(op)).scale)
    return SvdfScales(_multiplier(x * features / state), _multiplier(state * times / out))


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """Layer normalization of a gate's sums. weights: int16 (cells,); bias: int32 (cells,), the gate's own.

    guard: stands for a variance below 1.
    """

    weights: Array
    bias: Int32
    scale: tuple[int, int]
    guard: int


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """One gate: sums of the input and of the activation before, each with a multiplier, and the peephole's.

    in_weights: int8 (cells, inputs); rec_weights: int8 (cells, outputs); biases: int32 (cells,), zero points folded in;
    peephole: int16 (cells,), None where there is none. With `norm` its bias is there.
    """

    in_weights: Array
    rec_weights: Array
    in_bias: Int32
    rec_bias: Int32
    in_scale: tuple[int, int]
    rec_scale: tuple[int, int]
    peephole: Array | None
    cell_scale: tuple[int, int]
    norm: Norm | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Lstm:
    """An LSTM in integers. gates: by GATES, three where input and forget are coupled; cell_bits: integer bits of the
    cell state; clips: 0 for none; projection: int8 (outputs, cells), None where hidden values are the output."""

    steps: int
    inputs: int
    cells: int
    outputs: int
    gates: tuple[Gate, ...]
    cell_bits: int
    cell_clip: int
    hidden_scale: tuple[int, int]
    hidden_zp: int
    projection: Array | None
    projection_bias: Int32
    projection_scale: tuple[int, int]
    projection_clip: int
    out_zp: int


def lstm_tensors(graph: Graph, op: Op, first: int) -> tuple[Tensor | None, ...]:
    """Four inputs of the graph's operator in the order of GATES; there, data and two states come before the rest."""
    return tuple(graph.input_of(op, first + place) for place in OF_FILE)


def lstm_parameters(graph: Graph, op: Op) -> Lstm:
    """Source: PopulateQuantizedLstmParams8x8_16 and PopulatePrecomputedZPTimesWeightsWithBias in TensorFlow Lite,
    kernels/unidirectional_sequence_lstm.cc."""
    attrs = op.attrs
    assert isinstance(attrs, LstmAttrs)
    x, activation, cell = (graph.tensors[i] for i in op.inputs[:3])
    hidden, hidden_zp = np.float32(attrs.hidden_scale), attrs.hidden_zp
    cell_scale = quant_of(cell).scale
    gates = tuple(gate for number in range(4) if (gate := _gate(graph, op, number)) is not None)
    weights, bias = graph.input_of(op, 18), graph.input_of(op, 19)
    cells, outputs = gates[CELL].rec_weights.shape
    out_q = quant_of(activation)
    return Lstm(
        steps=x.size // x.shape[-1],
        inputs=x.shape[-1],
        cells=cells,
        outputs=outputs,
        gates=gates,
        cell_bits=15 + round(math.log2(cell_scale)),
        cell_clip=_clip(attrs.cell_clip, cell_scale, 2**15),
        hidden_scale=_multiplier(np.float32(2.0**-15 / float(hidden) * 2.0**-15)),
        hidden_zp=hidden_zp,
        projection=None if weights is None else weights.data,
        projection_bias=_folded(weights, bias, hidden_zp) if weights is not None else np.zeros(0, np.int32),
        projection_scale=(0, 0)
        if weights is None
        else _multiplier(np.float32(quant_of(weights).scale) * hidden / np.float32(out_q.scale)),
        projection_clip=_clip(attrs.projection_clip, quant_of(graph.output_of(op)).scale, 2**7),
        out_zp=out_q.zero_point,
    )


def _gate(graph: Graph, op: Op, number: int) -> Gate | None:
    """One gate; None for the input gate of a coupled LSTM."""
    in_weights, rec_weights, bias = (lstm_tensors(graph, op, first)[number] for first in (3, 7, 14))
    if in_weights is None or rec_weights is None:
        return None
    peephole = None if number == CELL else graph.input_of(op, {INPUT: 11, FORGET: 12, OUTPUT: 13}[number])
    x_q, activation_q, cell_q = (quant_of(graph.tensors[i]) for i in op.inputs[:3])
    assert in_weights.data is not None and rec_weights.data is not None and isinstance(op.attrs, LstmAttrs)
    inner = np.float32(op.attrs.gate_scales[OF_FILE[number]] if op.attrs.gate_scales else ACTIVATION_SCALE)
    norm = _norm(lstm_tensors(graph, op, 20)[number], bias) if op.attrs.gate_scales else None
    cell_scale = (0, 0)
    if peephole is not None:
        cell_scale = _multiplier(np.float32(cell_q.scale) * np.float32(quant_of(peephole).scale) / inner)
    return Gate(
        in_weights.data,
        rec_weights.data,
        _folded(in_weights, None if norm else bias, -x_q.zero_point),
        _folded(rec_weights, None, -activation_q.zero_point),
        _multiplier(np.float32(quant_of(in_weights).scale) * np.float32(x_q.scale) / inner),
        _multiplier(np.float32(quant_of(rec_weights).scale) * np.float32(activation_q.scale) / inner),
        None if peephole is None else peephole.data,
        cell_scale,
        norm,
    )


def _norm(weights: Tensor | None, bias: Tensor | None) -> Norm:
    assert weights is not None and weights.data is not None and bias is not None and bias.data is not None
    scale = np.float32(quant_of(weights).scale)
    return Norm(weights.data, bias.data, _multiplier(scale), max(1, int(np.float32(10000) * scale)))


def _folded(weights: Tensor, bias: Tensor | None, factor: int) -> Int32:
    """bias + factor * sum of each row, int32."""
    assert weights.data is not None
    sums = factor * weights.data.astype(np.int64).sum(axis=1)
    total = sums if bias is None or bias.data is None else sums + bias.data
    if np.abs(total).max(initial=0) >= 2**31:
        raise ModelError("a bias with the zero point folded in leaves int32")
    return np.asarray(total, np.int32)


def _multiplier(scale: np.floating[Any]) -> tuple[int, int]:
    return quantize_multiplier(float(scale))


def _clip(real: float, scale: float, limit: int) -> int:
    """A clip as a stored value, cut toward zero; 0 for none."""
    if real <= 0:
        return 0
    return int(min(float(np.float32(real) / np.float32(scale)), limit - 1.0))
