"""Recurrent operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mcuprune.encodings import Array
from mcuprune.ir.attributes import SvdfAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.operators.recurrent import svdf_feature_bias
from mcuprune.ir.recurrent import lstm_parameters, svdf_scales
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
    made = plain(op, "lstm_s8", fields, (x,), y, numbers.cells if projects else 0)
    return replace(made, arrays=tuple(arrays), states=op.inputs[1:3], macs=numbers.steps * weights)


LOWER: Mapping[str, Lower] = {
    "SVDF": _svdf,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
}
