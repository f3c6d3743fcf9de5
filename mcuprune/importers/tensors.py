"""Tensors of a `.tflite` file -> ir.Tensor: shape, element type, data, quantization. Nothing in the file is trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.importers.operators.reading import MAX_RANK
from mcuprune.importers.packed import INT4, constant_values
from mcuprune.ir.graph import DType, Quant, Tensor
from mcuprune.tflite import schema

MAX_ELEMENTS = 2**26  # of one tensor: 64 MB of int8, more than any microcontroller holds
MAX_CONSTANT_ELEMENTS = 2**27  # of all constants; tensors that share a buffer count each

_DTYPES = {dtype.name: dtype for dtype in DType}
_ITEM_BYTES = {dtype.name: dtype.itemsize for dtype in DType} | {
    "FLOAT16": 2, "BFLOAT16": 2, "UINT16": 2, "UINT32": 4, "UINT64": 8, "FLOAT64": 8, "COMPLEX64": 8, "COMPLEX128": 16
}  # fmt: skip
_STATIC_HINT = "export the model with fixed shapes and batch size 1"
_SCALE_HINT = "calibrate and convert the model again"


def tensor_place(index: int, name: str) -> str:
    """A tensor as errors name it; converters make names of hundreds of letters, which are cut."""
    return f"tensor {index} '{name if len(name) <= 80 else name[:77] + '...'}'"


class TensorReader:
    """Reads the tensors of one subgraph.

    Args:
        content: the whole file.
        raw: the subgraph's tensors, of the schema's object API.
        buffers: the model's buffers.
    Attributes:
        axes: by tensor index the dimension along which its operator wants a scale for each index.
    """

    def __init__(self, content: bytes, raw: Sequence[Any], buffers: Sequence[Any]) -> None:
        self.content = content
        self.raw = raw
        self.buffers = buffers
        self.axes: Mapping[int, int] = {}
        self._odd: dict[str, list[str]] = {}
        self._constant_elements = 0

    @property
    def notes(self) -> list[str]:
        """What was read differently from what the file says: the first tensor of each sort, and how many follow."""
        return [
            first + (f", and so in {len(others)} more tensor{'s' if len(others) > 1 else ''}" if others else "")
            for first, *others in self._odd.values()
        ]

    def _note(self, sort: str, text: str) -> None:
        self._odd.setdefault(sort, []).append(text)

    def place(self, index: int) -> str:
        return tensor_place(index, schema.text(self.raw[index].name))

    def read(self, index: int) -> Tensor:
        """One tensor, checked.

        Raises:
            ModelError: it is broken or of a form that is not supported; `where` names it.
        """
        raw, where = self.raw[index], self.place(index)
        type_name = schema.type_name(raw)
        dtype = DType.INT8 if type_name == INT4 else _DTYPES.get(type_name)
        if dtype is None:
            raise ModelError(
                f"element type {type_name} is not supported",
                where=where,
                hint="int8 models are: mcuprune quantize MODEL.keras --data D -o OUT.tflite",
            )
        if raw.variantTensors is not None and len(raw.variantTensors):
            raise ModelError("a tensor of variants is not supported", where=where)
        shape = self._shape(raw, where)
        data = self._data(raw, shape, dtype, where)
        if data is None and raw.sparsity is not None:
            raise ModelError("it is sparse, but has no data: only constants are", where=where, hint=schema.BROKEN_HINT)
        if data is None and type_name == INT4:
            raise ModelError("int4 is supported in constants only", where=where)
        quant = self.quant(index, shape, dtype)
        return Tensor(index, schema.text(raw.name), shape, dtype, quant, data)

    def constant(self, index: int) -> npt.NDArray[Any] | None:
        """Data of a tensor, None where it is no constant of a type that is known."""
        raw, where = self.raw[index], self.place(index)
        dtype = _DTYPES.get(schema.type_name(raw))
        return None if dtype is None else self._data(raw, self._shape(raw, where), dtype, where)

    def check_unused(self, index: int) -> None:
        """A tensor that no operator refers to: element type and buffer exist, the data are as many as the shape wants.

        Runtimes refuse a file where that is not so.
        """
        raw, where = self.raw[index], self.place(index)
        type_name = schema.type_name(raw)
        if type_name not in schema.TENSOR_TYPE_NAMES.values():
            raise ModelError(f"element type {type_name} is not supported", where=where, hint=schema.BROKEN_HINT)
        if any(int(n) < 0 for n in schema.numbers(raw.shape)):
            raise ModelError(f"shape {tuple(schema.numbers(raw.shape))} is not positive", where=where)
        self._check_scales(raw, where)
        content = self._buffer(raw, where)
        if content is not None and raw.sparsity is not None and type_name in _DTYPES:
            constant_values(raw, content, self._shape(raw, where), _DTYPES[type_name].numpy, where)
        elif content is not None and raw.sparsity is None and type_name in _ITEM_BYTES:
            self._check_length(content, self._shape(raw, where), type_name.lower(), _ITEM_BYTES[type_name], where)

    def _check_scales(self, raw: Any, where: str) -> None:
        """As many zero points as scales, along a dimension that there is.

        Source: InterpreterBuilder::ParseQuantization in TensorFlow Lite, core/interpreter_builder.cc.
        """
        scales, zero_points = (schema.numbers(getattr(raw.quantization, name, None)) for name in ("scale", "zeroPoint"))
        if not scales:
            return
        shape, axis = tuple(schema.numbers(raw.shape)), int(raw.quantization.quantizedDimension)
        inside = 0 <= axis < len(shape) or (axis >= 0 and not shape)
        if len(zero_points) != len(scales) or (inside and shape and len(scales) not in (1, shape[axis])):
            what = f"{len(scales)} scales, {len(zero_points)} zero points along dimension {axis} of shape {shape}"
            raise ModelError(what, where=where, hint=_SCALE_HINT)
        if not inside:
            self._note("unread", f"{where}: scales along dimension {axis} of shape {shape}, which nothing reads")

    def check_static(self, index: int) -> None:
        """Refuse an input of the model whose shape is left open, but for a batch of 1.

        Shapes of inner tensors follow from the inputs', whatever their signature says.
        """
        raw, where = self.raw[index], self.place(index)
        shape = tuple(schema.numbers(raw.shape))
        signature = tuple(schema.numbers(raw.shapeSignature)) if raw.shapeSignature is not None else ()
        if not signature:
            return
        if len(signature) != len(shape) or any(s not in (n, -1) for s, n in zip(signature, shape, strict=True)):
            raise ModelError(
                f"shape {shape} and shape signature {signature} contradict each other", where=where, hint=_STATIC_HINT
            )
        open_dimensions = [i for i, n in enumerate(signature) if n == -1]
        if open_dimensions and (open_dimensions != [0] or shape[0] != 1):
            raise ModelError(f"the shape {signature} is dynamic", where=where, hint=_STATIC_HINT)

    def _shape(self, raw: Any, where: str) -> tuple[int, ...]:
        rank = 0 if raw.shape is None else len(raw.shape)
        if rank > MAX_RANK:
            raise ModelError(f"the shape has {rank} dimensions, at most {MAX_RANK} are supported", where=where)
        shape = tuple(int(n) for n in schema.numbers(raw.shape))
        if any(n == -1 for n in shape):
            raise ModelError(f"the shape {shape} is dynamic", where=where, hint=_STATIC_HINT)
        if any(n <= 0 for n in shape):
            raise ModelError(f"shape {shape} is not positive", where=where, hint=_STATIC_HINT)
        if math.prod(shape) > MAX_ELEMENTS:
            raise ModelError(f"shape {shape} is too large: more than {MAX_ELEMENTS} elements", where=where)
        return shape

    # data

    def _data(self, raw: Any, shape: tuple[int, ...], dtype: DType, where: str) -> npt.NDArray[Any] | None:
        content = self._buffer(raw, where)
        if content is None:
            return None
        self._constant_elements += math.prod(shape)
        if self._constant_elements > MAX_CONSTANT_ELEMENTS:
            raise ModelError(f"the constants hold more than {MAX_CONSTANT_ELEMENTS} elements", where=where)
        try:
            data = constant_values(raw, content, shape, dtype.numpy, where)
        except ModelError as error:
            error.hint = error.hint or schema.BROKEN_HINT
            raise
        data.flags.writeable = False
        return data

    @staticmethod
    def _check_length(content: bytes, shape: tuple[int, ...], type_name: str, item_bytes: int, where: str) -> None:
        wanted = math.prod(shape) * item_bytes
        if len(content) != wanted:
            raise ModelError(
                f"{len(content)} bytes of data, {type_name} {shape} needs {wanted}",
                where=where,
                hint=schema.BROKEN_HINT,
            )

    def _buffer(self, raw: Any, where: str) -> bytes | None:
        """Bytes of a constant; None of a tensor without data."""
        number = int(raw.buffer)
        if not 0 <= number < len(self.buffers):
            raise ModelError(
                f"buffer {number} is not in the file's {len(self.buffers)}", where=where, hint=schema.BROKEN_HINT
            )
        if number == 0:  # stands for no data, whatever it holds
            return None
        if getattr(raw, "externalBuffer", 0):  # of readers since LiteRT 2
            raise ModelError("data in another file are not supported", where=where, hint="keep the weights in the file")
        buffer = self.buffers[number]
        inside = buffer.data is not None and len(buffer.data) > 0
        offset, size = int(buffer.offset), int(buffer.size)
        if not offset and not size:
            if buffer.data is not None and not inside:
                self._note("empty", f"{where}: an empty buffer is read as no data")
            return bytes(buffer.data) if inside else None
        # Data behind the flatbuffer: offset and size in the file. Source: schema.fbs of TensorFlow Lite, table Buffer.
        both = buffer.data is not None
        if both or offset <= 1 or size == 0 or offset + size > len(self.content):
            what = f"data at {offset}, {size} bytes long, of a file of {len(self.content)} bytes"
            raise ModelError(what + (", and in the buffer, too" if both else ""), where=where, hint=schema.BROKEN_HINT)
        return self.content[offset : offset + size]

    # quantization

    def quant(self, index: int, shape: tuple[int, ...], dtype: DType) -> Quant | None:
        """Quantization of a tensor as one of a shape and type; None where the file says none."""
        raw, where = self.raw[index].quantization, self.place(index)
        count = 0 if raw is None or raw.scale is None else len(raw.scale)
        if not count or dtype in (DType.FLOAT32, DType.BOOL):
            return None
        if raw.details is not None or raw.detailsType:
            raise ModelError("custom quantization is not supported", where=where)
        if count > max(1, *shape) if shape else count > 1:
            raise ModelError(f"{count} scales of a tensor of shape {shape}", where=where, hint=_SCALE_HINT)
        scales = tuple(float(s) for s in schema.numbers(raw.scale))
        zero_points = tuple(int(z) for z in schema.numbers(raw.zeroPoint))
        if len(zero_points) != count:
            raise ModelError(f"{count} scales but {len(zero_points)} zero points", where=where, hint=_SCALE_HINT)
        for scale in scales:
            if not 0.0 < scale < math.inf:
                raise ModelError(f"scale {scale!r} is not a positive number", where=where, hint=_SCALE_HINT)
        low, high = dtype.limits
        for zero_point in zero_points:
            if not low <= zero_point <= high:
                raise ModelError(f"zero point {zero_point} is not in {low}..{high}", where=where, hint=_SCALE_HINT)
        axis = self._axis(index, int(raw.quantizedDimension), count, shape, where)
        return Quant(scales, zero_points, axis)

    def _axis(self, index: int, axis: int, count: int, shape: tuple[int, ...], where: str) -> int | None:
        """Dimension of the scales; one outside of the shape is replaced where only one dimension can be meant."""
        said = f"along dimension {axis} of shape {shape}"
        if 0 <= axis < len(shape) or (count == 1 and not shape and axis == 0):
            if count > 1 and shape[axis] != count:
                raise ModelError(f"{count} scales {said}", where=where, hint=_SCALE_HINT)
            return axis if count > 1 else None
        if count == 1:
            self._note("one scale", f"{where}: one scale {said} is read as one for all of it")
            return None
        meant = [i for i, n in enumerate(shape) if n == count]
        if self.axes.get(index) in meant:
            meant = [self.axes[index]]
        if len(meant) != 1:
            raise ModelError(f"{count} scales {said}", where=where, hint=_SCALE_HINT)
        self._note("scales", f"{where}: {count} scales {said} are read as along dimension {meant[0]}")
        return meant[0]
