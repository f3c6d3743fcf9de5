"""Recurrent operators, built by the schema's object API."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as s

from tests.tflite_builder import Builder, random_int8

Rng = np.random.Generator


def _variable(model: Builder, shape: tuple[int, ...], dtype: Any, scale: float, zero_point: int = 0) -> int:
    index = model.tensor(shape, np.int32, scale, zero_point)
    model.graph.tensors[index].type = s.TensorType.INT16 if dtype is np.int16 else s.TensorType.INT8
    model.graph.tensors[index].isVariable = True
    return index


def _int16(model: Builder, data: np.ndarray, scale: float) -> int:
    index = model.tensor(data.shape, np.int8, scale, 0, data=np.zeros(1, np.int8))
    tensor = model.graph.tensors[index]
    tensor.type = s.TensorType.INT16
    model.model.buffers[tensor.buffer].data = np.frombuffer(data.astype(np.int16).tobytes(), np.uint8)
    return index


def svdf(
    model: Builder,
    x: int,
    rng: Rng,
    filters: int,
    rank: int,
    memory: int,
    *,
    scales: tuple[float, float, float, float] = (0.01, 1e-3, 1e-4, 0.1),
    zero_point: int = 0,
    bias: bool = True,
    reach: int = 32767,
) -> int:
    """SVDF with random weights. scales: feature weights, state, time weights, output; reach: largest time weight."""
    features = model.tensor((filters, model.shape(x)[1]), np.int8, scales[0], data=_random8(model, x, filters, rng))
    times = _int16(model, rng.integers(-reach, reach + 1, (filters, memory)), scales[2])
    biases = -1
    if bias:
        biases = model.tensor((filters // rank,), np.int32, data=rng.integers(-9000, 9000, filters // rank))
    state = _variable(model, (1, memory * filters), np.int16, scales[1])
    options = s.SVDFOptionsT()
    options.rank, options.fusedActivationFunction = rank, s.ActivationFunctionType.RELU
    out = model.tensor((1, filters // rank), np.int8, scales[3], zero_point)
    return model.op("SVDF", [x, features, times, biases, state], [out], options, 3)


def _random8(model: Builder, x: int, filters: int, rng: Rng) -> np.ndarray:
    return random_int8(rng, (filters, model.shape(x)[1]), -127)


def lstm(
    model: Builder,
    x: int,
    rng: Rng,
    cells: int,
    outputs: int | None = None,
    *,
    coupled: bool = False,
    peephole: bool = False,
    time_major: bool = False,
    clips: tuple[float, float] = (0.0, 0.0),
    weight_scale: float = 0.01,
    out: tuple[float, int] = (1 / 128, 3),
    hidden: tuple[float, int] = (1 / 128, -5),
    cell_bits: int = 4,
    projection_bias: bool = True,
    norm_scale: float | None = None,
    gate_scale: float = 2.0**-10,
) -> int:
    """UNIDIRECTIONAL_SEQUENCE_LSTM with random weights; a projection where outputs are given, layer normalization where
    the scale of its coefficients is, over gates' sums of gate_scale."""
    inputs, width = model.shape(x)[2], outputs or cells

    def matrix(rows: int, cols: int) -> int:
        scale = weight_scale * float(rng.uniform(0.5, 2))
        return model.tensor((rows, cols), np.int8, scale, data=random_int8(rng, (rows, cols), -127))

    def gate_wise(make: Any, absent: bool = False) -> list[int]:
        made = [make() for _ in range(4)]
        return [-1 if absent or (coupled and i == 0) else one for i, one in enumerate(made)]

    in_weights = gate_wise(lambda: matrix(cells, inputs))
    rec_weights = gate_wise(lambda: matrix(cells, width))
    peepholes = gate_wise(lambda: _int16(model, rng.integers(-32767, 32768, cells), 2e-5), not peephole)
    biases = gate_wise(lambda: model.tensor((cells,), np.int32, data=rng.integers(-4000, 4000, cells)))
    projection = [-1, -1]
    if outputs is not None:
        projection = [matrix(outputs, cells), -1]
        if projection_bias:
            projection[1] = model.tensor((outputs,), np.int32, data=rng.integers(-900, 900, outputs))
    activation = _variable(model, (1, width), np.int8, *out)
    cell = _variable(model, (1, cells), np.int16, 2.0 ** (cell_bits - 15))
    norms = gate_wise(lambda: _int16(model, rng.integers(-32767, 32768, cells), norm_scale or 1.0), not norm_scale)
    middle = [_middle(model, scale, zero) for scale, zero in [(gate_scale, 0)] * 4 + [hidden]]
    options = s.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction, options.timeMajor = s.ActivationFunctionType.TANH, time_major
    options.cellClip, options.projClip = clips
    result = model.tensor((*model.shape(x)[:2], width), np.int8, *out)
    wires = [x, *in_weights, *rec_weights, peepholes[0], peepholes[1], peepholes[3], *biases, *projection]
    wires += [activation, cell, *norms]
    model.op("UNIDIRECTIONAL_SEQUENCE_LSTM", wires, [result], options, 3)
    model.graph.operators[-1].intermediates = middle
    return result


def _middle(model: Builder, scale: float, zero_point: int) -> int:
    index = model.tensor((), np.int8, scale, zero_point)
    if zero_point == 0:
        model.graph.tensors[index].type = s.TensorType.INT16
    return index


def lstm16(
    model: Builder,
    x: int,
    rng: Rng,
    cells: int,
    *,
    time_major: bool = False,
    clip: float = 0.0,
    weight_scale: float = 0.01,
    out_scale: float = 1 / 32768,
    cell_bits: int = 4,
    bias: int = 4000,
) -> int:
    """UNIDIRECTIONAL_SEQUENCE_LSTM on int16 with random int8 weights, and biases up to `bias`."""

    def matrix(cols: int) -> int:
        scale = weight_scale * float(rng.uniform(0.5, 2))
        return model.tensor((cells, cols), np.int8, scale, data=random_int8(rng, (cells, cols), -127))

    weights = [matrix(cols) for cols in [model.shape(x)[2]] * 4 + [cells] * 4]
    biases = [model.tensor((cells,), np.int64, data=rng.integers(-bias, bias + 1, cells)) for _ in range(4)]
    states = [_variable(model, (1, cells), np.int16, scale) for scale in (out_scale, 2.0 ** (cell_bits - 15))]
    options = s.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction, options.timeMajor = s.ActivationFunctionType.TANH, time_major
    options.cellClip = clip
    out = model.tensor((*model.shape(x)[:2], cells), np.int16, out_scale)
    wires = [x, *weights, *[-1] * 3, *biases, *[-1] * 2, *states, *[-1] * 4]
    return model.op("UNIDIRECTIONAL_SEQUENCE_LSTM", wires, [out], options, 3)
