"""A file as LiteRT loads it: what the importer read although LiteRT refuses it is put right, in place.

See "What is read although LiteRT refuses it" in docs/model-files.md. Only fields of the file change: its size and the
numbers of tensors and operators stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ai_edge_litert import schema_py_generated as generated
from flatbuffers import packer

from mcuprune.tflite import schema

_TENSOR_BUFFER = 8  # vtable offsets, by schema.fbs of TensorFlow Lite
_QUANTIZED_DIMENSION = 16
_CODE_FIELDS = {4: packer.int8, 8: packer.int32, 10: packer.int32}  # deprecated builtin code, version, builtin code
_CODE_VALUES = {4: 0, 8: 1, 10: 0}  # ADD


def mend(content: bytes, source: str, axes: Mapping[int, int], subgraph: int = 0) -> bytes:
    """The file with dimensions of scales in range, no tensor of an empty buffer, no unused operator code.

    Args:
        content: the whole file, checked by the importer.
        source: the file's name, for errors.
        axes: by tensor index of the subgraph the dimension along which its scales were read, where there are several.
    """
    model = schema.parse_model(content, source)
    root = generated.Model.GetRootAs(content, 0)
    result = bytearray(content)
    for number, graph in enumerate(model.subgraphs):
        for index, tensor in enumerate(graph.tensors or []):
            table = root.Subgraphs(number).Tensors(index)
            if _is_empty(model.buffers[tensor.buffer]):
                _set(result, table._tab, _TENSOR_BUFFER, packer.uint32, 0)
            if _out_of_range(tensor):
                axis = axes.get(index, 0) if number == subgraph else 0
                _set(result, table.Quantization()._tab, _QUANTIZED_DIMENSION, packer.int32, axis)
    used = {int(operator.opcodeIndex) for graph in model.subgraphs for operator in graph.operators or []}
    for number in range(len(model.operatorCodes or [])):
        if number not in used:
            for field, form in _CODE_FIELDS.items():
                _set(result, root.OperatorCodes(number)._tab, field, form, _CODE_VALUES[field])
    return bytes(result)


def _is_empty(buffer: Any) -> bool:
    return buffer.data is not None and len(buffer.data) == 0 and not buffer.size


def _out_of_range(tensor: Any) -> bool:
    quantization = tensor.quantization
    if quantization is None or quantization.scale is None or len(quantization.scale) == 0:
        return False
    return not 0 <= quantization.quantizedDimension < max(1, len(schema.numbers(tensor.shape)))


def _set(content: bytearray, table: Any, field: int, form: Any, value: int) -> None:
    """Write a number of a table, where the file holds it; one that it does not hold has its default."""
    offset = table.Offset(field)
    if offset:
        form.pack_into(content, table.Pos + offset, value)
