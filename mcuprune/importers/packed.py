"""Constants that the file packs: int4, two to a byte, and TFLite's own sparse tensors; both become dense arrays.

Index arrays of a sparse tensor are as little to be trusted as anything in the file: every one is checked.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError
from mcuprune.tflite import schema

Array = npt.NDArray[Any]
Places = npt.NDArray[np.int64]

INT4 = "INT4"
MAX_SPARSE_ELEMENTS = 2**24  # of a sparse tensor: a few bytes of file could stand for any number of zeros

_DENSE, _CSR = generated.DimensionType.DENSE, generated.DimensionType.SPARSE_CSR
_DENSIFY = generated.BuiltinOperator.DENSIFY
_HINT = "convert the model again, without Optimize.EXPERIMENTAL_SPARSITY if the converter wrote this"


def constant_values(raw: Any, content: bytes, shape: tuple[int, ...], dtype: npt.DTypeLike, where: str) -> Array:
    """Values of a constant tensor of the file, from its buffer's content; dtype is int8 for int4.

    Raises:
        ModelError: the content has another length, or the sparsity makes no sense.
    """
    packed = schema.TENSOR_TYPE_NAMES.get(int(raw.type)) == INT4
    if packed and raw.sparsity is not None:
        raise ModelError("sparse int4 is not supported", where=where)
    if packed:
        return unpack_int4(content, shape, where)
    if raw.sparsity is not None:
        return densify(content, raw.sparsity, shape, dtype, where)
    wanted = math.prod(shape) * np.dtype(dtype).itemsize
    if len(content) != wanted:
        raise ModelError(f"{len(content)} bytes of data, {np.dtype(dtype).name} {shape} needs {wanted}", where=where)
    return np.frombuffer(content, dtype).reshape(shape)


def unpack_int4(content: bytes, shape: tuple[int, ...], where: str) -> npt.NDArray[np.int8]:
    """int4 values as int8: two to a byte, the first in the low bits.

    Source: UnpackPackedIntToInt8 in TensorFlow Lite, kernels/internal/portable_tensor_utils.cc.
    """
    size = math.prod(shape)
    if len(content) != -(-size // 2):
        raise ModelError(f"{len(content)} bytes of data, int4 {shape} needs {-(-size // 2)}", where=where)
    both = np.frombuffer(content, np.int8)
    values = np.stack([np.left_shift(both, 4) >> 4, both >> 4], axis=-1)
    return values.reshape(-1)[:size].reshape(shape)


def densify(content: bytes, sparsity: Any, shape: tuple[int, ...], dtype: npt.DTypeLike, where: str) -> Array:
    """A sparse tensor's values in a dense array, zeros elsewhere.

    The tensor is seen in levels: its dimensions in `traversalOrder`, then the dimensions of its blocks. A level holds
    all its indices (DENSE) or lists them for each place of the level before (SPARSE_CSR).

    Raises:
        ModelError: the levels do not make up the tensor, an index or a segment is out of place, or values are missing.
    Source: FormatConverter::Populate in TensorFlow Lite, kernels/internal/utils/sparsity_format_converter.cc.
    """
    size = math.prod(shape)
    if size > MAX_SPARSE_ELEMENTS:
        raise ModelError(
            f"a sparse tensor of {size} elements, at most {MAX_SPARSE_ELEMENTS} are supported", where=where
        )
    places: Places = np.zeros(1, np.int64)
    parents: Places = np.zeros(1, np.int64)
    for number, (level, extent, step) in enumerate(_levels(sparsity, shape, where)):
        parents, indices = _indices(level, extent, len(places), f"{where}, level {number} of its sparsity")
        places = places[parents] + step * indices
    values = np.frombuffer(content[: len(content) // np.dtype(dtype).itemsize * np.dtype(dtype).itemsize], dtype)
    if len(values) != len(places) or len(content) != values.nbytes:
        raise ModelError(f"{len(content)} bytes of data for {len(places)} sparse values", where=where, hint=_HINT)
    dense = np.zeros(size, dtype)
    dense[places] = values
    return dense.reshape(shape)


def _levels(sparsity: Any, shape: tuple[int, ...], where: str) -> list[tuple[Any, int, int]]:
    """Metadata, number of indices, and step in elements of each level."""
    order, block_map = schema.numbers(sparsity.traversalOrder), schema.numbers(sparsity.blockMap)
    metadata = list(sparsity.dimMetadata or [])
    rank, blocks = len(shape), len(block_map)
    first, rest = order[:rank], order[rank:]
    fits = sorted(first) == list(range(rank)) and sorted(rest) == list(range(rank, rank + blocks))
    if not fits or len(metadata) != len(order) or not rank:
        raise ModelError(
            f"sparsity of order {order}, {len(metadata)} levels for shape {shape}", where=where, hint=_HINT
        )
    if sorted(set(block_map)) != block_map or not all(0 <= axis < rank for axis in block_map):
        raise ModelError(f"sparsity with blocks along {block_map} of shape {shape}", where=where, hint=_HINT)
    strides = [math.prod(shape[axis + 1 :]) for axis in range(rank)]
    block = dict.fromkeys(range(rank), 1)
    inner: list[tuple[Any, int, int]] = []
    for level, place in zip(metadata[rank:], rest, strict=True):
        axis, extent = block_map[place - rank], int(level.denseSize)
        if level.format != _DENSE or extent < 1 or shape[axis] % extent:
            raise ModelError(f"blocks of {extent} along dimension {axis} of {shape}", where=where, hint=_HINT)
        block[axis] = extent
        inner.append((level, extent, strides[axis]))
    outer = [
        (level, shape[axis] // block[axis], strides[axis] * block[axis])
        for level, axis in zip(metadata[:rank], first, strict=True)
    ]
    return outer + inner


def _indices(level: Any, extent: int, count: int, where: str) -> tuple[Places, Places]:
    """(place of the level before, index in this one) of each place of a level, from `count` places."""
    if level.format == _DENSE:
        if level.denseSize != extent:
            raise ModelError(f"{level.denseSize} indices, the tensor has {extent}", where=where, hint=_HINT)
        return np.repeat(np.arange(count), extent), np.tile(np.arange(extent), count)
    if level.format != _CSR:
        raise ModelError(f"format {level.format} is neither dense nor CSR", where=where)
    segments, indices = _vector(level.arraySegments), _vector(level.arrayIndices)
    lengths = np.diff(segments)
    if len(segments) != count + 1 or segments[0] != 0 or segments[-1] != len(indices) or (lengths < 0).any():
        raise ModelError(f"segments that do not divide {len(indices)} indices by {count}", where=where, hint=_HINT)
    parents = np.repeat(np.arange(count), lengths)
    steps, same = np.diff(indices), np.diff(parents) == 0
    if ((indices < 0) | (indices >= extent)).any() or (steps[same] <= 0).any():
        raise ModelError(f"indices that do not rise within 0..{extent - 1}", where=where, hint=_HINT)
    return parents, indices


def _vector(vector: Any) -> Places:
    """Segments or indices: int32, uint16 or uint8 in the file."""
    return np.array(schema.numbers(getattr(vector, "values", None)), np.int64)


def fold_densify(model: Any) -> list[list[int]]:
    """Take DENSIFY of sparse constants out of a file's tree: what it writes becomes the constant.

    One that is left, of a tensor that is not sparse, is not supported.

    Returns:
        Of each subgraph the numbers that its operators have in the file.
    """
    numbers = []
    codes = model.operatorCodes or []
    densify_codes = {i for i, code in enumerate(codes) if not code.customCode and schema.builtin_code(code) == _DENSIFY}
    for subgraph in model.subgraphs or []:
        tensors = subgraph.tensors or []
        left, read = {}, set[int]()
        for number, operator in enumerate(subgraph.operators or []):
            wires = schema.numbers(operator.inputs) + schema.numbers(operator.outputs)
            foldable = operator.opcodeIndex in densify_codes and len(wires) == 2 and len(set(wires)) == 2
            early = foldable and wires[1] in read  # it runs after its reader: the order is told as wrong
            if not foldable or early or not all(0 <= i < len(tensors) for i in wires):
                read |= set(wires)
                left[number] = operator
                continue
            source, target = tensors[wires[0]], tensors[wires[1]]
            same = schema.numbers(source.shape) == schema.numbers(target.shape) and source.type == target.type
            if source.sparsity is None or not source.buffer or not same:
                read |= set(wires)
                left[number] = operator
                continue
            if 0 <= target.buffer < len(model.buffers or []):  # another is told as broken when the tensor is read
                target.buffer = source.buffer
            target.sparsity = source.sparsity
        subgraph.operators = list(left.values())
        numbers.append(list(left))
    return numbers
