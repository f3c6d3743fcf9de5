"""Recurrent operators: behind the output they give new values of their states.

Inputs of the graph's operators are the data, the states, then weights in the file's order.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import SvdfAttrs
from mcuprune.ir.graph import DType, Graph, Op
from mcuprune.ir.operators.checks import data_input, quantized, shape_is
from mcuprune.ir.operators.kept import constant_of, state_of, sums_fit
from mcuprune.ir.operators.lstm import check_lstm, lstm
from mcuprune.ir.operators.operator import Int8, Operator
from mcuprune.ir.recurrent import svdf_scales
from mcuprune.ir.rescale import quant_of
from mcuprune.numerics import clamp_int8, requantize
from mcuprune.numerics.fixed_point16 import INT16_MAX, INT16_MIN

Int16 = npt.NDArray[np.int16]
Int64 = npt.NDArray[np.int64]


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
    weights = constant_of(graph, op, 2, DType.INT8, (filters, x.shape[1]), "feature weights").data
    constant_of(graph, op, 3, DType.INT16, (filters, memory), "time weights")
    if graph.input_of(op, 4) is not None:
        constant_of(graph, op, 4, DType.INT32, (filters // rank,), "biases")
    state_of(graph, op, 1, DType.INT16, filters * memory, symmetric=True)
    scales = svdf_scales(graph, op)
    assert weights is not None
    sums_fit(weights, svdf_feature_bias(graph, op), scales.feature[1])


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


OPERATORS: Mapping[str, Operator] = {
    "SVDF": Operator(_check_svdf, svdf, data_inputs=2),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Operator(check_lstm, lstm, data_inputs=3),
}
