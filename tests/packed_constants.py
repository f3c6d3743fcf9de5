"""Constants as files pack them: int4 and TFLite's own sparse tensors, for models built in tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as s

from tests.tflite_builder import Builder

DENSE, CSR = s.DimensionType.DENSE, s.DimensionType.SPARSE_CSR
_VECTORS = {np.int32: s.Int32VectorT, np.uint16: s.Uint16VectorT, np.uint8: s.Uint8VectorT}
_VECTOR_TYPES = {
    np.int32: s.SparseIndexVector.Int32Vector,
    np.uint16: s.SparseIndexVector.Uint16Vector,
    np.uint8: s.SparseIndexVector.Uint8Vector,
}


def make_int4(model: Builder, tensor: int) -> None:
    """Store a constant int8 tensor of a model as int4; its values are in -8..7."""
    t = model.graph.tensors[tensor]
    values = model.model.buffers[t.buffer].data.view(np.int8)
    assert values.min() >= -8 and values.max() <= 7
    padded = np.append(values, np.zeros(len(values) % 2, np.int8)).astype(np.uint8) & 15
    model.model.buffers[t.buffer].data = padded[::2] | padded[1::2] << 4
    t.type = s.TensorType.INT4


def make_sparse(
    model: Builder,
    tensor: int,
    order: Sequence[int],
    blocks: Mapping[int, int],
    formats: Sequence[int],
    index_type: Any = np.int32,
) -> None:
    """Store a constant as a sparse tensor.

    Args:
        order: the dimensions, then those of the blocks, as they are walked.
        blocks: size of the block along each blocked dimension.
        formats: DENSE or CSR of each dimension in `order`; blocks are dense.
    """
    t = model.graph.tensors[tensor]
    buffer = model.model.buffers[t.buffer]
    dtype = {s.TensorType.INT8: np.int8, s.TensorType.FLOAT32: np.float32}[t.type]
    values = np.frombuffer(buffer.data.tobytes(), dtype).reshape(t.shape)
    split = [part for axis, n in enumerate(t.shape) for part in (n // blocks.get(axis, 1), blocks.get(axis, 1))]
    outer = [2 * axis for axis in range(values.ndim)]
    inner = [2 * axis + 1 for axis in sorted(blocks)]
    unused = [2 * axis + 1 for axis in range(values.ndim) if axis not in blocks]
    walked = values.reshape(split).transpose([[*outer, *inner][i] for i in order] + unused)
    walked = walked.reshape(walked.shape[: len(order)])
    sparsity = s.SparsityParametersT()
    sparsity.traversalOrder, sparsity.blockMap = list(order), sorted(blocks)
    sparsity.dimMetadata = []
    places: list[tuple[int, ...]] = [()]
    for extent, form in zip(walked.shape, [*formats, *[DENSE] * len(blocks)], strict=True):
        level = s.DimensionMetadataT()
        level.format = form
        if form == DENSE:
            level.denseSize = extent
            places = [(*p, i) for p in places for i in range(extent)]
        else:
            found = [[(*p, i) for i in range(extent) if walked[(*p, i)].any()] for p in places]
            _set_indices(level, np.cumsum([0, *map(len, found)]), [p[-1] for ps in found for p in ps], index_type)
            places = [p for ps in found for p in ps]
        sparsity.dimMetadata.append(level)
    t.sparsity = sparsity
    buffer.data = np.frombuffer(np.array([walked[p] for p in places], dtype).tobytes(), np.uint8)


def _set_indices(level: Any, segments: Sequence[int], indices: Sequence[int], index_type: Any) -> None:
    level.arraySegmentsType = level.arrayIndicesType = _VECTOR_TYPES[index_type]
    level.arraySegments, level.arrayIndices = _VECTORS[index_type](), _VECTORS[index_type]()
    level.arraySegments.values = [int(n) for n in segments]
    level.arrayIndices.values = [int(n) for n in indices]


def through_densify(model: Builder, operator: int, place: int) -> None:
    """Put DENSIFY between a constant and the operator that reads it."""
    reader = model.graph.operators[operator]
    source = model.graph.tensors[reader.inputs[place]]
    q = source.quantization
    dense = model.tensor(source.shape, np.int8, q.scale, q.zeroPoint, q.quantizedDimension)
    model.op("DENSIFY", [reader.inputs[place]], [dense], s.DensifyOptionsT())
    reader.inputs[place] = dense
    model.graph.operators.insert(operator, model.graph.operators.pop())
