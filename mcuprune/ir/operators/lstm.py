"""UNIDIRECTIONAL_SEQUENCE_LSTM: on int8 here, on int16 in lstm16.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import LstmAttrs
from mcuprune.ir.graph import DType, Graph, Op
from mcuprune.ir.lstm16 import lstm16_parameters
from mcuprune.ir.operators.checks import data_input, left_shift_fits, present, quantized, shape_is
from mcuprune.ir.operators.kept import constant_of, state_of, sums_fit
from mcuprune.ir.operators.lstm16 import check_lstm16, saturate16, step16
from mcuprune.ir.operators.operator import Array
from mcuprune.ir.recurrent import CELL, FORGET, INPUT, OUTPUT, Gate, Lstm, Norm, lstm_parameters, lstm_tensors
from mcuprune.ir.rescale import quant_of
from mcuprune.numerics import inverse_sqrt, requantize, rounding_divide_by_pot
from mcuprune.numerics.fixed_point16 import INT16_MAX, sigmoid_int16, tanh_int16

Int64 = npt.NDArray[np.int64]
Step = Callable[[Int64, Int64, Int64], tuple[Int64, Int64]]
"""From an input, the activation before and the cell state to the new activation and cell state."""

MAX_NORMALIZED = 2**15
"""Cells of a layer normalization."""


def check_lstm(graph: Graph, op: Op) -> None:
    """Raise where the tensors do not fit."""
    if present(graph, op).dtype is DType.INT16:
        check_lstm16(graph, op)
    else:
        _check_lstm8(graph, op)


def lstm(graph: Graph, op: Op, data: Array, activation: Array, cell: Array) -> tuple[Array, ...]:
    """One step after the other: the output, and the new states."""
    wide = data.dtype == np.int16
    step: Step = partial(step16, lstm16_parameters(graph, op)) if wide else partial(_step8, lstm_parameters(graph, op))
    before, c = activation.reshape(-1).astype(np.int64), cell.reshape(-1).astype(np.int64)
    rows = []
    for x in data.reshape(-1, data.shape[-1]).astype(np.int64):
        before, c = step(x, before, c)
        rows.append(before)
    out = np.array(rows).astype(data.dtype).reshape(graph.output_of(op).shape)
    return out, before.astype(activation.dtype).reshape(activation.shape), c.astype(cell.dtype).reshape(cell.shape)


def _check_lstm8(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, LstmAttrs)
    x, output = data_input(graph, op), graph.output_of(op)
    quantized(output)
    in_weights, rec_weights = lstm_tensors(graph, op, 3)[OUTPUT], lstm_tensors(graph, op, 7)[OUTPUT]
    if in_weights is None or rec_weights is None or len(in_weights.shape) != 2 or len(rec_weights.shape) != 2:
        raise ModelError("weights of the output gate are missing, or are no matrix")
    if len(x.shape) != 3:
        raise ModelError(f"the input must have three dimensions, got {x.shape}")
    cells, outputs = rec_weights.shape
    batch = x.shape[1] if op.attrs.time_major else x.shape[0]
    if batch != 1:
        raise ModelError(f"only batch 1 is supported, the input has shape {x.shape}")
    shape_is(output, (*x.shape[:2], outputs))
    coupled = lstm_tensors(graph, op, 3)[INPUT] is None
    _check_gates(graph, op, (x.shape[2], cells, outputs), coupled)
    state_of(graph, op, 1, DType.INT8, outputs, symmetric=False)
    cell = quant_of(state_of(graph, op, 2, DType.INT16, cells, symmetric=True))
    if math.frexp(cell.scale)[0] != 0.5 or not -15 <= math.log2(cell.scale) <= -9:
        raise ModelError(f"the scale of the cell state must be a power of two in 2**-15..2**-9, it is {cell.scale}")
    if graph.input_of(op, 18) is not None:
        constant_of(graph, op, 18, DType.INT8, (outputs, cells), "projection weights")
        if graph.input_of(op, 19) is not None:
            constant_of(graph, op, 19, DType.INT32, (outputs,), "projection biases")
    elif graph.input_of(op, 19) is not None:
        raise ModelError("projection biases are there without projection weights")
    elif outputs != cells:
        raise ModelError(f"{cells} cells give {outputs} outputs without a projection")
    _check_sums(lstm_parameters(graph, op))


def _check_gates(graph: Graph, op: Op, sizes: tuple[int, int, int], coupled: bool) -> None:
    """Weights, biases and peepholes are all there or all absent, and fit."""
    inputs, cells, outputs = sizes
    for gate in (CELL, FORGET, OUTPUT, INPUT):
        places = {CELL: (5, 9, 16), FORGET: (4, 8, 15), OUTPUT: (6, 10, 17), INPUT: (3, 7, 14)}[gate]
        if gate == INPUT and coupled:
            if any(graph.input_of(op, place) is not None for place in places):
                raise ModelError("weights and biases of the input gate are there in part")
            continue
        constant_of(graph, op, places[0], DType.INT8, (cells, inputs), "input weights")
        constant_of(graph, op, places[1], DType.INT8, (cells, outputs), "recurrent weights")
        constant_of(graph, op, places[2], DType.INT32, (cells,), "gate biases")
    _check_norm(graph, op, cells, coupled)
    peepholes = [place for place in (11, 12, 13) if graph.input_of(op, place) is not None]
    if peepholes and peepholes != ([12, 13] if coupled else [11, 12, 13]):
        raise ModelError("peephole weights are there in part")
    if peepholes and outputs > cells:
        raise ModelError(f"peephole weights with {outputs} outputs of {cells} cells: the reference reads behind them")
    for place in peepholes:
        constant_of(graph, op, place, DType.INT16, (cells,), "peephole weights")


def _check_norm(graph: Graph, op: Op, cells: int, coupled: bool) -> None:
    """Coefficients of a layer normalization are all there or all absent."""
    assert isinstance(op.attrs, LstmAttrs)
    if not op.attrs.gate_scales:
        return  # runtimes look at those of the forget gate, and at no other
    if cells > MAX_NORMALIZED:
        raise ModelError(f"layer normalization over {cells} cells, at most {MAX_NORMALIZED} are supported")
    for place in range(20, 24):
        if place == 20 and coupled:
            if graph.input_of(op, place) is not None:
                raise ModelError("coefficients of the input gate's layer normalization are there without the gate")
        else:
            constant_of(graph, op, place, DType.INT16, (cells,), "coefficients of layer normalization")


def _check_sums(lstm: Lstm) -> None:
    for gate in lstm.gates:
        sums_fit(gate.in_weights, gate.in_bias, gate.in_scale[1])
        sums_fit(gate.rec_weights, gate.rec_bias, gate.rec_scale[1])
        left_shift_fits(gate.cell_scale[1], 2**30)
        if gate.norm is not None:
            left_shift_fits(gate.norm.scale[1] + 12, _largest_normalized(gate.norm))
    left_shift_fits(lstm.hidden_scale[1], 2**30)
    if lstm.projection is not None:
        sums_fit(lstm.projection, lstm.projection_bias, lstm.projection_scale[1])


def _largest_normalized(norm: Norm) -> int:
    """Bound of what is left of a sum, its deviation from the mean times weights, before the last rescaling.

    No value of n is further from the mean than sqrt(n - 1) deviations. The variance that the kernel computes, a whole
    number and 1 at least, can be too small by 1024 * (2**20 % n), since it multiplies by 2**20 // n for 1 / n.
    """
    count = len(norm.weights)
    furthest = 1024 * math.isqrt((2 + 1024 * (2**20 % count)) * count) + 2**12
    weighted = furthest * int(np.abs(norm.weights.astype(np.int64)).max()) + int(
        np.abs(norm.bias.astype(np.int64)).max()
    )
    return weighted // 1024 + 2


def _step8(numbers: Lstm, x: Int64, before: Int64, c: Int64) -> tuple[Int64, Int64]:
    """One step of int8 with an int16 cell state: the new activation and cell state.

    Source: LstmStepInteger8x8_16 in TensorFlow Lite, kernels/lstm_eval.cc.
    """

    def sums(gate: Gate, cell: Int64) -> Int64:
        total = saturate16(requantize(gate.in_weights.astype(np.int64) @ x + gate.in_bias, *gate.in_scale))
        recurrent = gate.rec_weights.astype(np.int64) @ before + gate.rec_bias
        total = saturate16(total + requantize(recurrent, *gate.rec_scale))
        if gate.peephole is not None:  # of as many cells as there are outputs
            seen = requantize(gate.peephole.astype(np.int64) * cell, *gate.cell_scale)
            total = np.where(np.arange(numbers.cells) < numbers.outputs, saturate16(total + seen), total)
        return total if gate.norm is None else normalized(total, gate.norm)

    forget = sigmoid_int16(sums(numbers.gates[FORGET], c))
    update = tanh_int16(sums(numbers.gates[CELL], c), 3)
    enter = INT16_MAX - forget if len(numbers.gates) < 4 else sigmoid_int16(sums(numbers.gates[INPUT], c))
    kept, new = rounding_divide_by_pot(forget * c, 15), rounding_divide_by_pot(enter * update, 15 + numbers.cell_bits)
    c = saturate16(kept + new)
    if numbers.cell_clip:
        c = np.clip(c, -numbers.cell_clip, numbers.cell_clip)
    leave = sigmoid_int16(sums(numbers.gates[OUTPUT], c))
    product = leave * tanh_int16(c, numbers.cell_bits)
    sign = 1 if numbers.projection is None else -1
    hidden = np.clip(requantize(product, *numbers.hidden_scale) + sign * numbers.hidden_zp, -128, 127)
    if numbers.projection is None:
        return hidden, c
    projected = numbers.projection.astype(np.int64) @ hidden + numbers.projection_bias
    out = np.clip(requantize(projected, *numbers.projection_scale) + numbers.out_zp, -128, 127)
    if numbers.projection_clip:
        out = np.clip(out, -numbers.projection_clip, numbers.projection_clip)
    return out, c


def normalized(sums: Int64, norm: Norm) -> Int64:
    """Sums of a gate less their mean, over their deviation, times weights, plus bias, in Q3.12.

    Source: PortableApplyLayerNorm in TensorFlow Lite, kernels/internal/reference/portable_tensor_utils.cc.
    """
    count, total = len(sums), int(sums.sum())
    mean = int(math.copysign(abs(total) * 1024 // count, total))
    variance = int((sums * sums).sum()) * (2**20 // count) - mean * mean
    whole = variance // 2**20 if variance > 0 else 0
    mult, shift = inverse_sqrt(whole or norm.guard)
    scaled = requantize(1024 * sums - mean, mult, shift)
    weighted = scaled * norm.weights + norm.bias
    halfway = np.where(weighted > 0, weighted + 512, weighted - 512)
    rounded = np.sign(halfway) * (np.abs(halfway) // 1024)
    return saturate16(requantize(rounded, norm.scale[0], norm.scale[1] + 12))
