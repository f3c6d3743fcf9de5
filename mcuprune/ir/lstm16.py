"""The numbers of LSTM on int16 activations with int8 weights, as TensorFlow Lite Micro combines them, in double."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.ir.attributes import LstmAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.recurrent import ACTIVATION_SCALE, lstm_tensors
from mcuprune.ir.rescale import quant_of
from mcuprune.numerics import quantize_multiplier
from mcuprune.numerics.requant import reduced_multiplier

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Gate16:
    """One gate. in_weights: int8 (cells, inputs); rec_weights: int8 (cells, cells); bias: int64 (cells,). Scales have
    16-bit multipliers."""

    in_weights: Array
    rec_weights: Array
    bias: Array
    in_scale: tuple[int, int]
    rec_scale: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Lstm16:
    """An LSTM in integers. gates: by GATES; cell_bits: integer bits of the cell state; cell_clip: 0 for none;
    enter_scale: of what the input gate lets in."""

    steps: int
    inputs: int
    cells: int
    gates: tuple[Gate16, ...]
    cell_bits: int
    cell_clip: int
    enter_scale: tuple[int, int]
    hidden_scale: tuple[int, int]


def lstm16_parameters(graph: Graph, op: Op) -> Lstm16:
    """Source: PrepareGateParametersInteger in TensorFlow Lite Micro, kernels/lstm_eval_common.cc."""
    attrs = op.attrs
    assert isinstance(attrs, LstmAttrs)
    x, activation, cell = (graph.tensors[i] for i in op.inputs[:3])
    in_scale, out_scale, cell_scale = (quant_of(tensor).scale for tensor in (x, activation, cell))
    gates = []
    for in_weights, rec_weights, bias in zip(*(lstm_tensors(graph, op, first) for first in (3, 7, 14)), strict=True):
        assert in_weights is not None and in_weights.data is not None
        assert rec_weights is not None and rec_weights.data is not None and bias is not None and bias.data is not None
        gates.append(
            Gate16(
                in_weights.data,
                rec_weights.data,
                bias.data,
                _reduced(_product(in_scale, quant_of(in_weights).scale) / ACTIVATION_SCALE),
                _reduced(_product(out_scale, quant_of(rec_weights).scale) / ACTIVATION_SCALE),
            )
        )
    return Lstm16(
        steps=x.size // x.shape[-1],
        inputs=x.shape[-1],
        cells=activation.size,
        gates=tuple(gates),
        cell_bits=15 + round(math.log2(cell_scale)),
        cell_clip=int(min(attrs.cell_clip / cell_scale, 32767.0)),
        enter_scale=quantize_multiplier(2.0**-30 / cell_scale),
        hidden_scale=quantize_multiplier(2.0**-30 / out_scale),
    )


def _product(first: float, second: float) -> float:
    """A product of scales, rounded to float32. Source: GetQuantizedConvolutionMultipler, kernels/kernel_util.cc."""
    return float(np.float32(first) * np.float32(second))


def _reduced(scale: float) -> tuple[int, int]:
    mult, shift = quantize_multiplier(scale)
    return reduced_multiplier(mult), shift
