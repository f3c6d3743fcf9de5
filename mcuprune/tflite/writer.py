"""New values for constants of a `.tflite`: their bytes are replaced in place, every other byte of the file stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as generated
from numpy.typing import NDArray

from mcuprune.errors import ModelError
from mcuprune.tflite import schema

_DATA_FIELD = 4  # vtable offset of Buffer.data


def replace_constants(content: bytes, source: str, values: Mapping[int, NDArray[Any]]) -> bytes:
    """The file with new data for some constant tensors of its first subgraph.

    Args:
        content: the whole file, checked by the importer.
        source: the file's name, for errors.
        values: new data by tensor index, as many bytes as the old.
    Raises:
        ModelError: a tensor is not constant, its size differs, or its bytes serve something else too.
    """
    model = schema.parse_model(content, source)
    spans = _buffer_spans(content)
    result = bytearray(content)
    users = _buffer_users(model)
    for index, value in values.items():
        tensor = model.subgraphs[0].tensors[index]
        where = f"{source}, tensor {index} '{schema.text(tensor.name)}'"
        start, end = spans.get(int(tensor.buffer), (0, 0))
        data = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False).tobytes()
        if len(data) != end - start or not data:
            raise ModelError(f"{len(data)} new bytes for a constant of {end - start}", where=where)
        sharing = [user for user in users.get(int(tensor.buffer), []) if user != f"tensor {index}"]
        sharing += [f"buffer {n}" for n, (s, e) in spans.items() if n != tensor.buffer and s < end and start < e]
        if sharing:
            raise ModelError(f"its data are shared with {', '.join(sharing)} and cannot change alone", where=where)
        result[start:end] = data
    return bytes(result)


def _buffer_spans(content: bytes) -> dict[int, tuple[int, int]]:
    """Place [start, end) in the file of each buffer that holds data."""
    root = generated.Model.GetRootAs(content, 0)
    return {number: span for number, span in _spans(root) if span[0] < span[1]}


def _spans(root: Any) -> Iterator[tuple[int, tuple[int, int]]]:
    for number in range(root.BuffersLength()):
        table = root.Buffers(number)._tab
        field = table.Offset(_DATA_FIELD)
        if field:
            start = int(table.Vector(field))
            yield number, (start, start + int(table.VectorLen(field)))
        elif root.Buffers(number).Size():  # behind the flatbuffer
            start = int(root.Buffers(number).Offset())
            yield number, (start, start + int(root.Buffers(number).Size()))


def _buffer_users(model: Any) -> dict[int, list[str]]:
    """What refers to each buffer: tensors of every subgraph, and metadata."""
    users: dict[int, list[str]] = {}
    for number, subgraph in enumerate(model.subgraphs):
        for index, tensor in enumerate(subgraph.tensors or []):
            name = f"tensor {index}" + (f" of subgraph {number}" if number else "")
            users.setdefault(int(tensor.buffer), []).append(name)
    for entry in model.metadata or []:
        users.setdefault(int(entry.buffer), []).append(f"metadata '{schema.text(entry.name)}'")
    return users
