"""MLPerf Tiny's anomaly autoencoder by its shapes: ten fully-connected layers, int8, with seeded weights.

The real file is not distributed with the others; what a layer costs hangs on its shape and its zeros alone.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

SIZES = (640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640)
SEED = 1
_SPREAD = 30  # standard deviation of the weights, in steps of their scale


def autoencoder() -> bytes:
    """A `.tflite` file; every call gives the same bytes."""
    rng = np.random.default_rng(SEED)
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.description, model.subgraphs, model.buffers = 3, b"autoencoder", [graph], [schema.BufferT()]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 4
    model.operatorCodes = [code]
    graph.name, graph.tensors, graph.operators = b"main", [], []
    scale, point = 1 / 32, 0
    x = _tensor(model, graph, "input", (1, SIZES[0]), schema.TensorType.INT8, scale, point)
    graph.inputs = [x]
    for index, (cols, rows) in enumerate(pairwise(SIZES)):
        last = index == len(SIZES) - 2
        weights = np.clip(np.round(rng.standard_normal((rows, cols)) * _SPREAD), -127, 127).astype(np.int8)
        bias = rng.integers(-2000, 2000, rows).astype(np.int32)
        weight_scale = 2 / (_SPREAD * math.sqrt(cols))  # sums spread as the inputs do, half of which ReLU drops
        w = _tensor(model, graph, f"w{index}", (rows, cols), schema.TensorType.INT8, weight_scale, 0, weights)
        b = _tensor(model, graph, f"b{index}", (rows,), schema.TensorType.INT32, weight_scale * scale, 0, bias)
        scale, point = (1 / 32, 0) if last else (1 / 64, -128)
        y = _tensor(model, graph, f"y{index}", (1, rows), schema.TensorType.INT8, scale, point)
        graph.operators.append(_layer([x, w, b], y, not last))
        x = y
    graph.outputs = [x]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _layer(inputs: list[int], output: int, relu: bool) -> Any:
    op, options = schema.OperatorT(), schema.FullyConnectedOptionsT()
    kinds = schema.ActivationFunctionType
    options.fusedActivationFunction = kinds.RELU if relu else kinds.NONE
    op.opcodeIndex, op.inputs, op.outputs = 0, inputs, [output]
    op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.FullyConnectedOptions, options
    return op


def _tensor(
    model: Any,
    graph: Any,
    name: str,
    shape: tuple[int, ...],
    kind: int,
    scale: float,
    zero_point: int,
    data: NDArray[Any] | None = None,
) -> int:
    """Add a tensor, and its constant data where there are any; returns its index."""
    tensor, quant = schema.TensorT(), schema.QuantizationParametersT()
    quant.scale, quant.zeroPoint = [float(np.float32(scale))], [zero_point]
    tensor.name, tensor.shape, tensor.type, tensor.quantization, tensor.buffer = name.encode(), shape, kind, quant, 0
    tensor.hasRank = True
    if data is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(data.astype(data.dtype.newbyteorder("<")).tobytes(), np.uint8)
        tensor.buffer = len(model.buffers)
        model.buffers.append(buffer)
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1
