"""Recurrent operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mcuprune.encodings import Array
from mcuprune.ir.attributes import SvdfAttrs
from mcuprune.ir.graph import DType, Graph, Op
from mcuprune.ir.lstm16 import lstm16_parameters
from mcuprune.ir.operators.recurrent import svdf_feature_bias
from mcuprune.ir.recurrent import Norm, lstm_parameters, svdf_scales
from mcuprune.ir.rescale import quant_of
from mcuprune.kernels.lowering.members import ABSENT, Lower, plain
from mcuprune.kernels.params import LayerParams, Value


def _svdf(graph: Graph, op: Op) -> LayerParams:
    assert isinstance(op.attrs, SvdfAttrs)
    x, y, bias = graph.tensors[op.inputs[0]], graph.output_of(op), graph.input_of(op, 4)
    features, times = graph.tensors[op.inputs[2]].data, graph.tensors[op.inputs[3]].data
    assert features is not None and times is not None
    scales = svdf_scales(graph, op)
    fields: dict[str, Value] = {
        "inputs": x.size,
        "filters": len(features),
        "rank": op.attrs.rank,
        "memory": times.shape[1],
        "features": "",
        "times": "",
        "feature_bias": "",
        "bias": ABSENT,
        "feature_mult": scales.feature[0],
        "feature_shift": scales.feature[1],
        "mult": scales.time[0],
        "shift": scales.time[1],
        "out_zp": quant_of(y).zero_point,
    }
    arrays = [
        Array("features", "int8_t", features),
        Array("times", "int16_t", times),
        Array("feature_bias", "int32_t", svdf_feature_bias(graph, op)),
    ]
    if bias is not None and bias.data is not None:
        arrays.append(Array("bias", "int32_t", bias.data))
    made = plain(op, "svdf_s8", fields, (x,), y)
    return replace(made, arrays=tuple(arrays), states=(op.inputs[1],), macs=features.size + times.size)


def _any_lstm(graph: Graph, op: Op) -> LayerParams:
    wide = graph.tensors[op.inputs[0]].dtype is DType.INT16
    return _lstm16(graph, op) if wide else _lstm(graph, op)


def _lstm(graph: Graph, op: Op) -> LayerParams:
    x, y, numbers = graph.tensors[op.inputs[0]], graph.output_of(op), lstm_parameters(graph, op)
    gates, projects = numbers.gates, numbers.projection is not None
    pairs = {
        "in": [gate.in_scale for gate in gates],
        "rec": [gate.rec_scale for gate in gates],
        "cell": [gate.cell_scale for gate in gates],
    }
    arrays = [
        Array("in_weights", "int8_t", np.stack([gate.in_weights for gate in gates])),
        Array("rec_weights", "int8_t", np.stack([gate.rec_weights for gate in gates])),
        Array("in_bias", "int32_t", np.stack([gate.in_bias for gate in gates])),
        Array("rec_bias", "int32_t", np.stack([gate.rec_bias for gate in gates])),
    ]
    peepholes = [gate.peephole for gate in gates if gate.peephole is not None]
    if peepholes:
        arrays.append(Array("peephole", "int16_t", np.stack(peepholes)))
    if numbers.projection is not None:
        arrays.append(Array("projection", "int8_t", numbers.projection))
        arrays.append(Array("projection_bias", "int32_t", numbers.projection_bias))
    fields: dict[str, Value] = {
        "shape": {
            "steps": numbers.steps,
            "inputs": numbers.inputs,
            "cells": numbers.cells,
            "outputs": numbers.outputs,
            "projects": int(projects),
        },
        "coupled": int(len(gates) == 3),
        **dict.fromkeys(("in_weights", "rec_weights", "in_bias", "rec_bias"), ""),
        **dict.fromkeys(("peephole", "projection", "projection_bias"), ABSENT),
        **{f"{name}_mult": tuple(mult for mult, _ in found) for name, found in pairs.items()},
        **{f"{name}_shift": tuple(shift for _, shift in found) for name, found in pairs.items()},
        "cell_bits": numbers.cell_bits,
        "cell_clip": numbers.cell_clip,
        "hidden_mult": numbers.hidden_scale[0],
        "hidden_shift": numbers.hidden_scale[1],
        "hidden_zp": -numbers.hidden_zp if projects else numbers.hidden_zp,
        "projection_mult": numbers.projection_scale[0],
        "projection_shift": numbers.projection_scale[1],
        "projection_clip": numbers.projection_clip,
        "out_zp": numbers.out_zp,
    }
    weights = sum(gate.in_weights.size + gate.rec_weights.size for gate in gates)
    weights += numbers.projection.size if numbers.projection is not None else 0
    hidden_bytes = numbers.cells if projects else 0
    norms = [gate.norm for gate in gates if gate.norm is not None]
    if norms:
        fields, arrays = _normalized(fields, arrays, norms)
        made = plain(op, "lstm_norm_s8", fields, (x,), y, 6 * numbers.cells + hidden_bytes)
    else:
        made = plain(op, "lstm_s8", fields, (x,), y, hidden_bytes)
    return replace(made, arrays=tuple(arrays), states=op.inputs[1:3], macs=numbers.steps * weights)


def _normalized(lstm: dict[str, Value], arrays: list[Array], norms: list[Norm]) -> tuple[dict[str, Value], list[Array]]:
    """Members and arrays of an LSTM as those of one with layer normalization."""
    fields: dict[str, Value] = {
        "shape": lstm["shape"],
        "lstm": lstm,
        "norm_weights": "",
        "norm_bias": "",
        "norm_mult": tuple(norm.scale[0] for norm in norms),
        "norm_shift": tuple(norm.scale[1] + 12 for norm in norms),
        "norm_guard": tuple(norm.guard for norm in norms),
    }
    own = [
        Array("norm_weights", "int16_t", np.stack([norm.weights for norm in norms])),
        Array("norm_bias", "int32_t", np.stack([norm.bias for norm in norms])),
    ]
    return fields, [*(replace(array, member=f"lstm.{array.member}") for array in arrays), *own]


def _lstm16(graph: Graph, op: Op) -> LayerParams:
    x, y, numbers = graph.tensors[op.inputs[0]], graph.output_of(op), lstm16_parameters(graph, op)
    gates = numbers.gates
    fields: dict[str, Value] = {
        "steps": numbers.steps,
        "inputs": numbers.inputs,
        "cells": numbers.cells,
        **dict.fromkeys(("in_weights", "rec_weights", "bias"), ""),
        "in_mult": tuple(gate.in_scale[0] for gate in gates),
        "in_shift": tuple(gate.in_scale[1] for gate in gates),
        "rec_mult": tuple(gate.rec_scale[0] for gate in gates),
        "rec_shift": tuple(gate.rec_scale[1] for gate in gates),
        "cell_bits": numbers.cell_bits,
        "cell_clip": numbers.cell_clip,
        "enter_mult": numbers.enter_scale[0],
        "enter_shift": numbers.enter_scale[1],
        "hidden_mult": numbers.hidden_scale[0],
        "hidden_shift": numbers.hidden_scale[1],
    }
    arrays = (
        Array("in_weights", "int8_t", np.stack([gate.in_weights for gate in gates])),
        Array("rec_weights", "int8_t", np.stack([gate.rec_weights for gate in gates])),
        Array("bias", "int64_t", np.stack([gate.bias for gate in gates])),
    )
    weights = sum(gate.in_weights.size + gate.rec_weights.size for gate in gates)
    made = plain(op, "lstm_s16s8", fields, (x,), y)
    return replace(made, arrays=arrays, states=op.inputs[1:3], macs=numbers.steps * weights)


LOWER: Mapping[str, Lower] = {
    "SVDF": _svdf,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _any_lstm,
}
