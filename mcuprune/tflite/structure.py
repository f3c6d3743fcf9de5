"""Form of a `.tflite` file, checked before anything is unpacked: every offset stays inside of the file.

The generated reader follows whatever offsets a file holds, and unpacks a table as often as it is referred to: a small
file can make it fill the memory. Here the tree of tables is walked first, once for each reference, and counted.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError

MAX_TABLES = 50_000  # references to tables; an LSTM unrolled into 700 operators has 10 000
MAX_ITEMS = 2**22  # numbers in vectors (buffers apart) and bytes of texts
BUFFER_DATA = ("Buffer", "data")

_U16, _I32, _U32 = struct.Struct("<H"), struct.Struct("<i"), struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Field:
    """One slot of a table.

    kind: "scalar", "vector", "text", "table", "tables" or "union". width: of a number, in bytes. tables: the table by
    its number, in a union; else under 0.
    """

    slot: int
    name: str
    kind: str
    width: int = 0
    tables: Mapping[int, str] | None = None

    @property
    def vtable_offset(self) -> int:
        return 4 + 2 * self.slot


_UNIONS: dict[str, dict[int, str]] = {
    name: {number: table for table, number in vars(getattr(generated, name)).items() if isinstance(number, int)}
    for name in ("BuiltinOptions", "BuiltinOptions2", "QuantizationDetails", "SparseIndexVector")
}

# Slots in the schema's order: a number is a scalar of so many bytes, [n] a vector of them, {U} a union whose type is
# the slot before it, - a slot that is no more. Options of operators with numbers alone follow from the schema's module.
LAYOUTS = {
    "Model": "version:4 operatorCodes:[OperatorCode] subgraphs:[SubGraph] description:text buffers:[Buffer] "
    "metadataBuffer:[4] metadata:[Metadata] signatureDefs:[SignatureDef] externalBufferGroups:[ExternalBufferGroup] "
    "externalBuffers:[ExternalBuffer]",
    "OperatorCode": "deprecatedBuiltinCode:1 customCode:text version:4 builtinCode:4",
    "SubGraph": "tensors:[Tensor] inputs:[4] outputs:[4] operators:[Operator] name:text debugMetadataIndex:4",
    "Tensor": "shape:[4] type:1 buffer:4 name:text quantization:QuantizationParameters isVariable:1 "
    "sparsity:SparsityParameters shapeSignature:[4] hasRank:1 variantTensors:[VariantSubType] externalBuffer:4",
    "QuantizationParameters": "min:[4] max:[4] scale:[4] zeroPoint:[8] detailsType:1 details:{QuantizationDetails} "
    "quantizedDimension:4",
    "CustomQuantization": "custom:[1]",
    "BlockwiseQuantization": "scales:4 zeroPoints:4 blockSize:4 blockShape:[4]",
    "MultiAxisQuantization": "scales:4 zeroPoints:4 blockSize:4 quantizedDimensions:[4]",
    "SparsityParameters": "traversalOrder:[4] blockMap:[4] dimMetadata:[DimensionMetadata]",
    "DimensionMetadata": "format:1 denseSize:4 arraySegmentsType:1 arraySegments:{SparseIndexVector} "
    "arrayIndicesType:1 arrayIndices:{SparseIndexVector}",
    "Int32Vector": "values:[4]",
    "Uint16Vector": "values:[2]",
    "Uint8Vector": "values:[1]",
    "VariantSubType": "shape:[4] type:1 hasRank:1",
    "Operator": "opcodeIndex:4 inputs:[4] outputs:[4] builtinOptionsType:1 builtinOptions:{BuiltinOptions} "
    "customOptions:[1] customOptionsFormat:1 mutatingVariableInputs:[1] intermediates:[4] largeCustomOptionsOffset:8 "
    "largeCustomOptionsSize:8 builtinOptions2Type:1 builtinOptions2:{BuiltinOptions2} debugMetadataIndex:4",
    "VarHandleOptions": "container:text sharedName:text",
    "StablehloCustomCallOptions": "callTargetName:text hasSideEffect:1 backendConfig:text apiVersion:4 "
    "calledComputations:[4] customAttributes:[1]",
    "StableHLOCompositeOptions": "name:text decompositionSubgraphIndex:4 compositeAttributes:[1] "
    "compositeAttributesFormat:1 version:4",
    "Buffer": "data:[1] offset:8 size:8",
    "ExternalBufferGroup": "name:text",
    "ExternalBuffer": "id:4 group:4 offset:8 length:8 packing:text",
    "Metadata": "name:text buffer:4",
    "SignatureDef": "inputs:[TensorMap] outputs:[TensorMap] signatureKey:text - subgraphIndex:4",
    "TensorMap": "name:text tensorIndex:4",
}


def _field(slot: int, text: str) -> Field:
    name, _, kind = text.partition(":")
    inner = kind.strip("[]{}")
    if kind == "text":
        return Field(slot, name, "text")
    if inner.isdigit():
        return Field(slot, name, "vector" if kind[0] == "[" else "scalar", int(inner))
    if kind[0] == "{":
        return Field(slot, name, "union", tables=_UNIONS[inner])
    return Field(slot, name, "tables" if kind[0] == "[" else "table", tables={0: inner})


@cache
def fields_of(table: str) -> tuple[Field, ...]:
    """Fields of a table, by slot; of none that this schema does not know."""
    if table in LAYOUTS:
        return tuple(_field(slot, text) for slot, text in enumerate(LAYOUTS[table].split()) if text != "-")
    fields = []
    for name, add in vars(generated).items():
        if table and name.startswith(f"{table}Add"):
            slots = _Slots(table, name.removeprefix(f"{table}Add"))
            add(slots, 0)
            fields += slots.fields
    return tuple(sorted(fields, key=lambda field: field.slot))


class _Slots:
    """Stands for a builder of flatbuffers: a function of the schema's that adds a field tells it slot and width."""

    def __init__(self, table: str, name: str) -> None:
        self.table = table
        self.name = name
        self.fields: list[Field] = []

    def __getattr__(self, method: str) -> Callable[..., None]:
        number = re.fullmatch(r"Prepend(Bool|Int|Uint|Float)(\d*)Slot", method)
        if number is None:
            raise AttributeError(method)
        width = int(number[2] or 8) // 8
        return lambda slot, *_: self.fields.append(Field(slot, self.name, "scalar", width))

    def PrependUOffsetTRelativeSlot(self, slot: int, *_: int) -> None:
        width = getattr(generated, f"{self.table}Start{self.name}Vector")(self, 0)
        self.fields.append(Field(slot, self.name, "vector", width))

    def StartVector(self, width: int, *_: int) -> int:
        return width


class Place(NamedTuple):
    """Where something of the file lies: `start` in bytes, `items` of `width` bytes each; `what` is "table", "vtable",
    "offset", "length", "scalar" or "vector"; `path` such as `subgraphs[0].tensors[3].shape`."""

    what: str
    path: str
    start: int
    width: int
    items: int = 1


def check_structure(content: bytes) -> None:
    """Walk the file's tables; what passes is a flatbuffer to LiteRT, too.

    Raises:
        ModelError: an offset, a vector or a text leaves the file, or the file refers to more than a model can hold.
    """
    tables = items = 0
    for place in places(content):
        tables += place.what == "table"
        items += place.items if place.what == "vector" else 0
        if tables > MAX_TABLES or items > MAX_ITEMS:
            held = f"{MAX_TABLES} tables" if tables > MAX_TABLES else f"{MAX_ITEMS} numbers outside of its buffers"
            raise ModelError(f"the TFLite file of {len(content)} bytes refers to more than {held} ({place.path})")


def places(content: bytes) -> Iterator[Place]:
    """Everything that the walk meets, buffers' data as "data"; a table as often as something refers to it.

    Raises:
        ModelError: the next place is not inside of the file.
    """
    yield Place("offset", "root", 0, 4)
    yield from _table(content, _target(content, 0, "root"), "Model", "")


def _inside(content: bytes, start: int, size: int, path: str, align: int = 1) -> None:
    """Raise where bytes lie outside of the file, or not at a multiple of `align`, which readers in C++ rely on."""
    if start < 0 or start + size > len(content) or start % align:
        what = "the file ends before" if start % align == 0 else f"not at a multiple of {align}"
        raise ModelError(
            f"the TFLite file of {len(content)} bytes is broken or cut: {path or 'the model'} lies at {start}, "
            f"{size} bytes long, {what}"
        )


def _target(content: bytes, start: int, path: str) -> int:
    """What the offset at `start` points to."""
    _inside(content, start, 4, path, 4)
    offset = int(_U32.unpack_from(content, start)[0])
    if offset == 0:
        raise ModelError(f"the TFLite file of {len(content)} bytes is broken: the offset of {path} at {start} is 0")
    _inside(content, start + offset, 4, path, 4)
    return start + offset


def _table(content: bytes, start: int, table: str, path: str) -> Iterator[Place]:
    """A table, its vtable and its fields."""
    yield Place("table", path, start, 4)
    vtable = start - int(_I32.unpack_from(content, start)[0])
    _inside(content, vtable, 4, path, 2)
    size, body = (int(_U16.unpack_from(content, vtable + i)[0]) for i in (0, 2))
    if size % 2:
        raise ModelError(f"the TFLite file of {len(content)} bytes is broken: {path} has a vtable of {size} bytes")
    _inside(content, vtable, max(size, 4), path)
    _inside(content, start, max(body, 4), path)
    yield Place("vtable", path, vtable, 2, size // 2)
    union_type = 0
    for field in fields_of(table):
        in_vtable = field.vtable_offset + 2 <= size
        offset = int(_U16.unpack_from(content, vtable + field.vtable_offset)[0]) if in_vtable else 0
        inner = f"{path}.{field.name}" if path else field.name
        if offset:
            yield from _value(content, start + offset, table, field, union_type, inner)
        is_type = field.kind == "scalar" and field.width == 1 and offset
        union_type = content[start + offset] if is_type else 0


def _value(content: bytes, start: int, table: str, field: Field, union_type: int, path: str) -> Iterator[Place]:
    """What a field holds; its own bytes lie at `start`."""
    if field.kind == "scalar":
        _inside(content, start, field.width, path, field.width)
        yield Place("scalar", path, start, field.width)
        return
    target = _target(content, start, path)
    yield Place("offset", path, start, 4)
    if field.kind in ("table", "union"):
        assert field.tables is not None
        name = field.tables.get(union_type if field.kind == "union" else 0, "")
        yield from _table(content, target, name, path)
        return
    count = int(_U32.unpack_from(content, target)[0])
    width = {"text": 1, "tables": 4}.get(field.kind, field.width)
    _inside(content, target + 4, count * width + (field.kind == "text"), path)
    if field.kind == "text" and content[target + 4 + count]:
        raise ModelError(
            f"the TFLite file of {len(content)} bytes is broken: the text {path} at {target} is not ended by a zero"
        )
    yield Place("length", path, target, 4)
    if field.kind != "tables":
        what = "data" if (table, field.name) == BUFFER_DATA else "vector"
        yield Place(what, path, target + 4, width, count)
        return
    assert field.tables is not None
    for i in range(count):
        item = target + 4 + 4 * i
        inner = f"{path}[{i}]"
        yield from _table(content, _target(content, item, inner), field.tables[0], inner)
