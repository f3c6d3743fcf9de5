"""How large a model is: bytes of its file, bytes when zipped, parameters, and how many of them are not zero."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mcuprune.errors import ModelError, ToolMissingError, UsageError
from mcuprune.tflite.schema import TENSOR_TYPE_NAMES, numbers, parse_model, read_file

Array = NDArray[Any]

_NUMBERS: dict[str, Any] = {
    "FLOAT32": np.float32,
    "FLOAT16": np.float16,
    "FLOAT64": np.float64,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
}
_SHAPES = ("INT32", "INT64")  # without a scale these are shapes and axes, no parameters
_LEVEL = 6  # of deflate: the default of zip


@dataclass(frozen=True, slots=True)
class ModelSize:
    """Sizes of a model file.

    zipped_bytes: by deflate, as `zip` would make it, of the file for a .tflite. A .keras or .npz is a zip already,
    packed or not: there it is of the weights' numbers alone, and `zipped` says so.
    parameters: all numbers that the model holds (weights, biases, statistics), each once; not the optimizer's state.
    """

    file: str
    bytes: int
    zipped_bytes: int
    zipped: Literal["file", "weights"]
    parameters: int
    nonzero: int

    @property
    def sparsity(self) -> float:
        """Share of zeros among the parameters."""
        return 1 - self.nonzero / self.parameters if self.parameters else 0.0


def model_size(path: Path) -> ModelSize:
    """Sizes of a .keras, .npz or .tflite file; TensorFlow and Keras are not needed.

    Raises:
        UsageError: the name has another ending.
        ModelError: the file is missing, broken or cut, or holds no parameters.
        ToolMissingError: h5py, which reads the weights of a .keras, is not installed.
    """
    kind = path.suffix.lower()
    if kind not in (".keras", ".npz", ".tflite"):
        raise UsageError(
            f"{path.name or path} is neither a .keras, a .npz nor a .tflite file",
            where=str(path),
            hint="name a model file",
        )
    content = read_file(path)
    count, zipped = _Count(), zlib.compressobj(_LEVEL, zlib.DEFLATED, -15)
    size = 0
    if kind == ".tflite":
        for values, total in _tflite_constants(content, path.name):
            count.add(values, total)
        size += len(zipped.compress(content))
    else:
        for values in _npz_arrays(content, path) if kind == ".npz" else _keras_arrays(content, path):
            count.add(values, values.size)
            size += len(zipped.compress(np.ascontiguousarray(values).tobytes()))
    size += len(zipped.flush())
    if not count.parameters:
        raise ModelError("the file holds no parameters", where=str(path), hint="is this a model?")
    return ModelSize(
        path.name, len(content), size, "file" if kind == ".tflite" else "weights", count.parameters, count.nonzero
    )


class _Count:
    """A running sum of parameters."""

    def __init__(self) -> None:
        self.parameters = self.nonzero = 0

    def add(self, values: Array, total: int) -> None:
        """Numbers of which `total` are meant: those that a sparse tensor leaves out are zeros."""
        self.parameters += total
        self.nonzero += int(np.count_nonzero(values))


@contextmanager
def _unpacking(path: Path) -> Iterator[None]:
    """What readers of archives raise for broken ones becomes a ModelError."""
    faults = (
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        ValueError,
        KeyError,
        EOFError,
        RuntimeError,
        NotImplementedError,
    )
    try:
        yield
    except faults as error:
        raise ModelError(
            f"the file is broken or no {path.suffix} file: {error}", where=str(path), hint="was it copied whole?"
        ) from None


def _npz_arrays(content: bytes, path: Path) -> Iterable[Array]:
    """The arrays of numbers of a .npz."""
    with _unpacking(path), zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if not name.endswith(".npy"):
                continue
            with archive.open(name) as stream:
                values = np.lib.format.read_array(stream, allow_pickle=False)
            if values.dtype.kind in "iuf":
                yield values


def _keras_arrays(content: bytes, path: Path) -> Iterable[Array]:
    """The variables of a .keras but for the optimizer's and the states of random generators."""
    try:
        import h5py
    except ImportError:
        raise ToolMissingError(
            "h5py is not installed; needed to read the weights of a .keras file",
            where=str(path),
            hint="pip install 'mcuprune[train]', or pip install h5py",
        ) from None
    with _unpacking(path), zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if name.endswith(".weights.h5")]
        if not names:
            raise ValueError("it has no weights")
        for name in names:
            with h5py.File(io.BytesIO(archive.read(name)), "r") as weights:
                found: list[Any] = []
                weights.visititems(lambda _, item, found=found: found.append(item))
                for item in found:
                    parts = item.name.strip("/").split("/")
                    if isinstance(item, h5py.Dataset) and parts[0] != "optimizer" and "seed_generator" not in parts:
                        yield np.asarray(item)


def tflite_weights(path: Path) -> Iterator[tuple[str, tuple[int, ...], Array]]:
    """(name, shape, numbers of that shape, zero where the real number is) of each constant of two or more axes.

    Raises:
        ModelError: the file is missing or broken, or its tensors are sparse ones of TensorFlow Lite's own.
    """
    content = read_file(path)
    model = parse_model(content, path.name)
    seen: set[int] = set()
    for tensor in (tensor for graph in model.subgraphs or [] for tensor in graph.tensors or []):
        kind = TENSOR_TYPE_NAMES.get(tensor.type, str(tensor.type))
        shape = tuple(int(n) for n in numbers(tensor.shape))
        if kind not in (*_NUMBERS, "INT4") or kind in _SHAPES or len(shape) < 2 or tensor.buffer in seen:
            continue
        raw = _buffer(model, tensor.buffer, content, path.name)
        if not raw.size:
            continue
        seen.add(tensor.buffer)
        values, total = _constant(raw, kind, tensor, path.name)
        if values.size != total:
            raise ModelError("sparse tensors are not looked into", where=f"{path.name}, tensor {tensor.name!r}")
        name = tensor.name.decode("utf-8", "replace") if isinstance(tensor.name, bytes) else str(tensor.name)
        yield name, shape, values.reshape(shape)


def _tflite_constants(content: bytes, where: str) -> Iterable[tuple[Array, int]]:
    """The constants that are parameters, each buffer once: numbers minus their zero point, and how many are meant."""
    model = parse_model(content, where)
    seen: set[int] = set()
    for graph in model.subgraphs or []:
        for tensor in graph.tensors or []:
            kind = TENSOR_TYPE_NAMES.get(tensor.type, str(tensor.type))
            if kind not in (*_NUMBERS, "INT4") or tensor.buffer in seen:
                continue
            scales = [] if tensor.quantization is None else numbers(tensor.quantization.scale)
            if kind in _SHAPES and not scales:
                continue
            raw = _buffer(model, tensor.buffer, content, where)
            if not raw.size:
                continue
            seen.add(tensor.buffer)
            yield _constant(raw, kind, tensor, where)


def _buffer(model: Any, index: int, content: bytes, where: str) -> NDArray[np.uint8]:
    """The bytes of a buffer, which in files over 2 GB lie behind the model."""
    if not 0 <= index < len(model.buffers or []):
        raise ModelError(f"the TFLite file is broken: there is no buffer {index}", where=where)
    buffer = model.buffers[index]
    if buffer.offset > 1:
        return np.frombuffer(content[buffer.offset : buffer.offset + buffer.size], np.uint8)
    return np.asarray([] if buffer.data is None else buffer.data, np.uint8)


def _constant(raw: NDArray[np.uint8], kind: str, tensor: Any, where: str) -> tuple[Array, int]:
    """A buffer as numbers that are zero where the real number is, and how many the tensor has."""
    total = int(np.prod(numbers(tensor.shape), dtype=np.int64))
    values: Array
    if kind == "INT4":
        values = np.stack([raw & 15, raw >> 4], axis=1).ravel()[:total]
    elif raw.size % np.dtype(_NUMBERS[kind]).itemsize:
        values = raw[:0]
    else:
        values = raw.view(_NUMBERS[kind])
    if tensor.sparsity is None and values.size != total:
        raise ModelError(
            f"the TFLite file is broken: {raw.size} bytes for {total} numbers of {kind}",
            where=f"{where}, tensor {tensor.name!r}",
        )
    zero_points = [] if tensor.quantization is None else numbers(tensor.quantization.zeroPoint)
    if len(zero_points) == 1 and zero_points[0]:
        values = values.astype(np.int64) - zero_points[0]
    return values, total
