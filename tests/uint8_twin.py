"""The same model in uint8: what LiteRT's reference kernels compute right where they take int8 for uint8 (SUM)."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s

from mcuprune.tflite import schema

SHIFT = 128


def uint8_twin(content: bytes) -> bytes:
    """A file whose int8 tensors are uint8: zero points and constants 128 higher, so that real values stay."""
    model = s.ModelT.InitFromPackedBuf(content, 0)
    shared: set[int] = set()
    for tensor in (tensor for graph in model.subgraphs for tensor in graph.tensors):
        if tensor.type != s.TensorType.INT8:
            continue
        tensor.type = s.TensorType.UINT8
        if tensor.quantization is not None:
            tensor.quantization.zeroPoint = [z + SHIFT for z in schema.numbers(tensor.quantization.zeroPoint)]
        buffer = model.buffers[tensor.buffer]
        if buffer.data is not None and len(buffer.data) and tensor.buffer not in shared:
            shared.add(tensor.buffer)
            buffer.data = np.frombuffer(bytes(buffer.data), np.uint8) ^ SHIFT
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def to_twin(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """int8 values as the twin's; others as they are."""
    return values.view(np.uint8) ^ np.uint8(SHIFT) if values.dtype == np.int8 else values


def from_twin(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The twin's uint8 values as int8."""
    return (values ^ np.uint8(SHIFT)).view(np.int8) if values.dtype == np.uint8 else values
