"""Recurrent operators: behind the output they give new values of their states.

Inputs of the graph's operators are the data, the states, then weights in the file's order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import LstmAttrs, SvdfAttrs
from mcuprune.ir.graph import DType, Graph, Op, Tensor
from mcuprune.ir.operators.checks import data_input, left_shift_fits, quantized, shape_is
from mcuprune.ir.operators.operator import Int8, Operator
from mcuprune.ir.recurrent import CELL, FORGET, INPUT, OUTPUT, Gate, Lstm, lstm_parameters, lstm_tensors, svdf_scales
from mcuprune.ir.rescale import quant_of
from mcuprune.numerics import clamp_int8, requantize, rounding_divide_by_pot
from mcuprune.numerics.fixed_point16 import INT16_MAX, INT16_MIN, sigmoid_int16, tanh_int16

Int16 = npt.NDArray[np.int16]
Int64 = npt.NDArray[np.int64]


def _constant(graph: Graph, op: Op, place: int, dtype: DType, shape: tuple[int, ...], what: str) -> Tensor:
    """A constant input of a type and shape, of zero point 0."""
    tensor = graph.input_of(op, place)
    if tensor is None or tensor.data is None or tensor.dtype is not dtype or tensor.shape != shape:
        got = "absent" if tensor is None else f"{tensor.dtype.value} {tensor.shape}"
        raise ModelError(f"{what} must be constant {dtype.value} {shape}, they are {got}")
    if dtype is not DType.INT32 and (quant_of(tensor).per_axis or quant_of(tensor).zero_point):
        raise ModelError(f"{what} must have one scale and zero point 0")
    return tensor


def _state(graph: Graph, op: Op, place: int, dtype: DType, size: int, symmetric: bool) -> Tensor:
    tensor = graph.tensors[op.inputs[place]]
    if tensor.dtype is not dtype or tensor.size != size:
        raise ModelError(
            f"its state must be {dtype.value} of {size} elements, it is {tensor.dtype.value} {tensor.shape}"
        )
    if quant_of(tensor).per_axis or (symmetric and quant_of(tensor).zero_point):
        raise ModelError("its state must have one scale" + (" and zero point 0" if symmetric else ""))
    return tensor


def _sums_fit(weights: npt.NDArray[np.int8], bias: npt.NDArray[np.int32], shift: int) -> None:
    """Sums of int8 inputs times weights stay inside of int32, shifted, too."""
    magnitude = np.abs(weights.astype(np.int64)).sum(axis=1) * 128 + np.abs(bias.astype(np.int64))
    left_shift_fits(shift, int(magnitude.max(initial=0)))


# SVDF


def _check_svdf(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, SvdfAttrs)
    x, output, rank = data_input(graph, op), graph.output_of(op), op.attrs.rank
    quantized(output)
    features, times = graph.input_of(op, 2), graph.input_of(op, 3)
    if len(x.shape) != 2 or features is None or times is None or len(features.shape) != 2 or len(times.shape) != 2:
        raise ModelError("input, feature weights and time weights must have two dimensions")
    filters, memory = features.shape[0], times.shape[1]
    if rank < 1 or filters % rank:
        raise ModelError(f"rank {rank} does not divide {filters} filters")
    shape_is(output, (x.shape[0], filters // rank))
    weights = _constant(graph, op, 2, DType.INT8, (filters, x.shape[1]), "feature weights").data
    _constant(graph, op, 3, DType.INT16, (filters, memory), "time weights")
    if graph.input_of(op, 4) is not None:
        _constant(graph, op, 4, DType.INT32, (filters // rank,), "biases")
    _state(graph, op, 1, DType.INT16, filters * memory, symmetric=True)
    scales = svdf_scales(graph, op)
    assert weights is not None
    _sums_fit(weights, svdf_feature_bias(graph, op), scales.feature[1])


def svdf_feature_bias(graph: Graph, op: Op) -> npt.NDArray[np.int32]:
    """-zero point of the input * sum of each filter's weights."""
    weights = graph.tensors[op.inputs[2]].data
    assert weights is not None
    folded: npt.NDArray[np.int32] = -quant_of(graph.tensors[op.inputs[0]]).zero_point * weights.sum(1, np.int32)
    return folded


def svdf(graph: Graph, op: Op, data: Int8, state: Int16) -> tuple[Int8, Int16]:
    """SVDF: a feature of each filter joins those of earlier calls, weighted over time; int32 sums wrap.

    Source: EvalIntegerSVDF in TensorFlow Lite, kernels/internal/reference/svdf.h.
    """
    assert isinstance(op.attrs, SvdfAttrs)
    features, times = graph.tensors[op.inputs[2]].data, graph.tensors[op.inputs[3]].data
    assert features is not None and times is not None
    bias, scales, out_q = graph.input_of(op, 4), svdf_scales(graph, op), quant_of(graph.output_of(op))
    sums = features.astype(np.int64) @ data.reshape(-1).astype(np.int64) + svdf_feature_bias(graph, op)
    rows = state.reshape(times.shape).astype(np.int64)
    rows[:, -1] = np.clip(requantize(sums, *scales.feature), INT16_MIN, INT16_MAX)
    total = (rows * times).sum(axis=1).reshape(-1, op.attrs.rank).sum(axis=1)
    if bias is not None and bias.data is not None:
        total = total + bias.data
    mult, shift = scales.time
    wrapped = _wrapped(_wrapped(total) << max(shift, 0))
    out = clamp_int8(requantize(wrapped, mult, min(shift, 0)) + out_q.zero_point)
    kept = np.concatenate([rows[:, 1:], np.zeros((len(rows), 1), np.int64)], axis=1).astype(np.int16)
    return out.reshape(graph.output_of(op).shape), kept.reshape(state.shape)


def _wrapped(values: Int64) -> Int64:
    """Values as int32 holds them."""
    return values.astype(np.int32).astype(np.int64)


# LSTM


def _check_lstm(graph: Graph, op: Op) -> None:
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
    if any(graph.input_of(op, place) is not None for place in range(20, len(op.inputs))):
        raise ModelError("layer normalization inside of an LSTM is not supported")
    coupled = lstm_tensors(graph, op, 3)[INPUT] is None
    _check_gates(graph, op, (x.shape[2], cells, outputs), coupled)
    _state(graph, op, 1, DType.INT8, outputs, symmetric=False)
    cell = quant_of(_state(graph, op, 2, DType.INT16, cells, symmetric=True))
    if math.frexp(cell.scale)[0] != 0.5 or not -15 <= math.log2(cell.scale) <= -9:
        raise ModelError(f"the scale of the cell state must be a power of two in 2**-15..2**-9, it is {cell.scale}")
    if graph.input_of(op, 18) is not None:
        _constant(graph, op, 18, DType.INT8, (outputs, cells), "projection weights")
        if graph.input_of(op, 19) is not None:
            _constant(graph, op, 19, DType.INT32, (outputs,), "projection biases")
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
        _constant(graph, op, places[0], DType.INT8, (cells, inputs), "input weights")
        _constant(graph, op, places[1], DType.INT8, (cells, outputs), "recurrent weights")
        _constant(graph, op, places[2], DType.INT32, (cells,), "gate biases")
    peepholes = [place for place in (11, 12, 13) if graph.input_of(op, place) is not None]
    if peepholes and peepholes != ([12, 13] if coupled else [11, 12, 13]):
        raise ModelError("peephole weights are there in part")
    if peepholes and outputs > cells:
        raise ModelError(f"peephole weights with {outputs} outputs of {cells} cells: the reference reads behind them")
    for place in peepholes:
        _constant(graph, op, place, DType.INT16, (cells,), "peephole weights")


def _check_sums(lstm: Lstm) -> None:
    for gate in lstm.gates:
        _sums_fit(gate.in_weights, gate.in_bias, gate.in_scale[1])
        _sums_fit(gate.rec_weights, gate.rec_bias, gate.rec_scale[1])
        left_shift_fits(gate.cell_scale[1], 2**30)
    left_shift_fits(lstm.hidden_scale[1], 2**30)
    if lstm.projection is not None:
        _sums_fit(lstm.projection, lstm.projection_bias, lstm.projection_scale[1])


def lstm(graph: Graph, op: Op, data: Int8, activation: Int8, cell: Int16) -> tuple[Int8, Int8, Int16]:
    """UNIDIRECTIONAL_SEQUENCE_LSTM, int8 with an int16 cell state, one step after the other.

    Source: LstmStepInteger8x8_16 in TensorFlow Lite, kernels/lstm_eval.cc.
    """
    numbers = lstm_parameters(graph, op)
    before, c = activation.reshape(-1).astype(np.int64), cell.reshape(-1).astype(np.int64)
    rows = []
    for x in data.reshape(numbers.steps, numbers.inputs).astype(np.int64):
        before, c = _step(numbers, x, before, c)
        rows.append(before)
    out = np.array(rows).astype(np.int8).reshape(graph.output_of(op).shape)
    return out, before.astype(np.int8).reshape(activation.shape), c.astype(np.int16).reshape(cell.shape)


def _step(numbers: Lstm, x: Int64, before: Int64, c: Int64) -> tuple[Int64, Int64]:
    """One step: the new activation and cell state."""

    def sums(gate: Gate, cell: Int64) -> Int64:
        total = _int16(requantize(gate.in_weights.astype(np.int64) @ x + gate.in_bias, *gate.in_scale))
        recurrent = gate.rec_weights.astype(np.int64) @ before + gate.rec_bias
        total = _int16(total + requantize(recurrent, *gate.rec_scale))
        if gate.peephole is not None:  # of as many cells as there are outputs
            seen = requantize(gate.peephole.astype(np.int64) * cell, *gate.cell_scale)
            total = np.where(np.arange(numbers.cells) < numbers.outputs, _int16(total + seen), total)
        return total

    forget = sigmoid_int16(sums(numbers.gates[FORGET], c))
    update = tanh_int16(sums(numbers.gates[CELL], c), 3)
    enter = INT16_MAX - forget if len(numbers.gates) < 4 else sigmoid_int16(sums(numbers.gates[INPUT], c))
    kept, new = rounding_divide_by_pot(forget * c, 15), rounding_divide_by_pot(enter * update, 15 + numbers.cell_bits)
    c = _int16(kept + new)
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


def _int16(values: Int64) -> Int64:
    clipped: Int64 = np.clip(values, INT16_MIN, INT16_MAX)
    return clipped


OPERATORS: Mapping[str, Operator] = {
    "SVDF": Operator(_check_svdf, svdf, data_inputs=2),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Operator(_check_lstm, lstm, data_inputs=3),
}
