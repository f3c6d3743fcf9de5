"""UNIDIRECTIONAL_SEQUENCE_LSTM on int16 activations with int8 weights (16x8).

LiteRT refuses it; TensorFlow Lite Micro runs it, in its plain form. Its kernels define the meaning.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import LstmAttrs
from mcuprune.ir.graph import DType, Graph, Op
from mcuprune.ir.lstm16 import Gate16, Lstm16, lstm16_parameters
from mcuprune.ir.operators.checks import left_shift_fits, present, quantized, shape_is
from mcuprune.ir.operators.kept import constant_of, state_of
from mcuprune.ir.recurrent import CELL, FORGET, INPUT, OUTPUT
from mcuprune.ir.rescale import quant_of
from mcuprune.numerics import requantize
from mcuprune.numerics.fixed_point16 import INT16_MAX, INT16_MIN
from mcuprune.numerics.functions16 import sigmoid16
from mcuprune.numerics.requant import MAX_WIDE_SHIFT, WIDE_BOUND, requantize_wide

Int64 = npt.NDArray[np.int64]
KEPT_SCALE = 1 << 30, -14
"""Of what the forget gate keeps: 2**-15."""


def check_lstm16(graph: Graph, op: Op) -> None:
    """Raise where the tensors do not fit."""
    assert isinstance(op.attrs, LstmAttrs)
    x, output = present(graph, op), graph.output_of(op)
    for tensor in (x, output):
        quantized(tensor, DType.INT16)
        if quant_of(tensor).zero_point:
            raise ModelError(f"tensor {tensor.index} is int16 with a zero point, which must be 0")
    if len(x.shape) != 3:
        raise ModelError(f"the input must have three dimensions, got {x.shape}")
    batch = x.shape[1] if op.attrs.time_major else x.shape[0]
    if batch != 1:
        raise ModelError(f"only batch 1 is supported, the input has shape {x.shape}")
    inputs, cells = x.shape[2], output.shape[-1] if output.shape else 0
    shape_is(output, (*x.shape[:2], cells))
    if any(graph.input_of(op, place) is not None for place in (11, 12, 13, *range(18, len(op.inputs)))):
        raise ModelError("peepholes, projections and layer normalization are supported on int8 alone, not on int16")
    for place in range(3, 7):
        constant_of(graph, op, place, DType.INT8, (cells, inputs), "input weights")
        constant_of(graph, op, place + 4, DType.INT8, (cells, cells), "recurrent weights")
        constant_of(graph, op, place + 11, DType.INT64, (cells,), "gate biases")
    activation = quant_of(state_of(graph, op, 1, DType.INT16, cells, symmetric=True))
    if activation.scale != quant_of(output).scale:
        raise ModelError(f"its output has the scale {quant_of(output).scale}, its state {activation.scale}")
    cell = quant_of(state_of(graph, op, 2, DType.INT16, cells, symmetric=True))
    if math.frexp(cell.scale)[0] != 0.5 or not -15 <= math.log2(cell.scale) <= -9:
        raise ModelError(f"the scale of the cell state must be a power of two in 2**-15..2**-9, it is {cell.scale}")
    if 0 < op.attrs.cell_clip < cell.scale:
        raise ModelError(f"a clip of {op.attrs.cell_clip:g} is less than one step of the cell state, {cell.scale}")
    _check_sums(lstm16_parameters(graph, op))


def _check_sums(numbers: Lstm16) -> None:
    """Sums stay inside of what the reference holds them in, also scaled."""
    for gate in numbers.gates:
        for weights, bias, (mult, shift) in (
            (gate.in_weights, gate.bias, gate.in_scale),
            (gate.rec_weights, np.zeros(1, np.int64), gate.rec_scale),
        ):
            bound = int(np.abs(weights.astype(np.int64)).sum(axis=1).max()) * 2**15 + max(map(abs, bias.tolist()))
            if bound >= WIDE_BOUND or shift > MAX_WIDE_SHIFT or bound * mult >> (15 - shift) >= 2**31 - 1:
                raise ModelError(f"sums of a gate reach {bound}: scaled they leave int32")
    for _, shift in (numbers.enter_scale, numbers.hidden_scale):
        left_shift_fits(shift, 2**30)


def step16(numbers: Lstm16, x: Int64, before: Int64, c: Int64) -> tuple[Int64, Int64]:
    """One step: the new activation and cell state.

    Source: LstmStep in TensorFlow Lite Micro, kernels/lstm_eval.h.
    """

    def sums(gate: Gate16) -> Int64:
        of_input = saturate16(requantize_wide(gate.in_weights.astype(np.int64) @ x + gate.bias, *gate.in_scale))
        of_before = saturate16(requantize_wide(gate.rec_weights.astype(np.int64) @ before, *gate.rec_scale))
        return saturate16(of_input + of_before)

    forget, enter = sigmoid_of(sums(numbers.gates[FORGET])), sigmoid_of(sums(numbers.gates[INPUT]))
    update = tanh_of(sums(numbers.gates[CELL]), 3)
    new = saturate16(requantize(enter * update, *numbers.enter_scale))
    c = saturate16(saturate16(requantize(forget * c, *KEPT_SCALE)) + new)
    if numbers.cell_clip:
        c = np.clip(c, -numbers.cell_clip, numbers.cell_clip)
    leave = sigmoid_of(sums(numbers.gates[OUTPUT]))
    return saturate16(requantize(leave * tanh_of(c, numbers.cell_bits), *numbers.hidden_scale)), c


def sigmoid_of(x: Int64) -> Int64:
    """1 / (1 + exp(-x)), Q3.12 to Q0.15."""
    return sigmoid16(x, 3, 0, tanh=False).astype(np.int64)


def tanh_of(x: Int64, integer_bits: int) -> Int64:
    """tanh(x) in Q0.15, of x with so many integer bits, 0 to 6."""
    return sigmoid16(x, 3 << max(integer_bits - 3, 0), max(3 - integer_bits, 0), tanh=True).astype(np.int64)


def saturate16(values: Int64) -> Int64:
    """Values inside of int16."""
    clipped: Int64 = np.clip(values, INT16_MIN, INT16_MAX)
    return clipped
