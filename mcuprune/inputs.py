"""From samples to the model's input bytes, and random inputs where there are no samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mcuprune.data import Array, Dataset, shape_text
from mcuprune.errors import DataError, ModelError, UsageError
from mcuprune.ir.attributes import LookupAttrs
from mcuprune.ir.graph import DType, Graph, Tensor
from mcuprune.ir.operators.conversions import quantize_float

Bytes = npt.NDArray[np.uint8]

_QUANTIZED = (DType.INT8, DType.UINT8, DType.INT16)
"""Types of inputs whose codes stand for real values."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedInputs:
    """rows: uint8 (n, input_bytes), what travels to the board: all inputs, one after the other; notes: what was done,
    for display."""

    rows: Bytes
    notes: tuple[str, ...] = ()


def model_input(graph: Graph) -> Tensor:
    """The one input tensor of a model.

    Raises:
        ModelError: it has several.
    """
    if len(graph.inputs) != 1:
        raise ModelError(f"the model has {len(graph.inputs)} inputs, one is supported", where=graph.source)
    return graph.tensor(graph.inputs[0])


def as_tensors(row: Bytes, graph: Graph) -> list[Array]:
    """A row of bytes as the arrays that the model takes, in the order of its inputs."""
    tensors = [graph.tensor(index) for index in graph.inputs]
    ends = np.cumsum([tensor.nbytes for tensor in tensors])
    parts = np.split(np.ascontiguousarray(row), ends[:-1])
    return [part.view(tensor.dtype.numpy).reshape(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]


def output_number(graph: Graph, text: str) -> int:
    """An output of the model by its number or its name.

    Raises:
        UsageError: there is none.
    """
    names = [graph.tensor(index).name for index in graph.outputs]
    if text in names:
        return names.index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    raise UsageError(
        f"{graph.source} has no output {text!r}",
        hint="one of: " + ", ".join(f"{number} ({name})" for number, name in enumerate(names)),
    )


def output_rows(rows: Bytes, graph: Graph, number: int) -> Bytes:
    """The bytes of one output out of rows of all, uint8 (n, nbytes)."""
    sizes = [graph.tensor(index).nbytes for index in graph.outputs]
    start = sum(sizes[:number])
    return rows[:, start : start + sizes[number]]


def class_count(graph: Graph, output: int = 0) -> int:
    """Classes that the model tells apart: the size of an output's last dimension."""
    shape = graph.tensor(graph.outputs[output]).shape
    return shape[-1] if shape else 1


def check_labels(y: Array, graph: Graph, source: str, output: int = 0) -> None:
    """Refuse labels that are no class of the model.

    Args:
        output: which of the model's outputs holds the scores.
    Raises:
        DataError: the first such label, its sample, and the model's range.
    """
    check_label_range(y, class_count(graph, output), graph.source, source)


def check_label_range(y: Array, classes: int, model: str, source: str) -> None:
    """check_labels() for a model of so many classes, whatever its kind; `model` is its name."""
    bad = np.flatnonzero((y < 0) | (y >= classes))
    if bad.size:
        first = int(bad[0])
        raise DataError(
            f"label {int(y[first])} of sample {first} is none of the classes 0..{classes - 1} of {model}",
            where=f"--data {source} (labels {int(y.min())}..{int(y.max())})",
            hint="use the data and the label order that the model was trained with",
        )


def encode_samples(data: Dataset, graph: Graph) -> EncodedInputs:
    """The bytes of all inputs of the model for every sample; see encode_inputs().

    Raises:
        DataError: there are not as many arrays as inputs, or one does not fit.
    """
    tensors, arrays = [graph.tensor(index) for index in graph.inputs], (data.x, *data.others)
    if len(arrays) != len(tensors):
        raise DataError(
            f"the model takes {len(tensors)} inputs ({', '.join(tensor.name for tensor in tensors)}), "
            f"the data hold {len(arrays)} for each sample",
            where=f"--data {data.source}",
            hint=f"name a key for each, in this order: FILE.npz:x={'+'.join(f'KEY{i}' for i in range(len(tensors)))}",
        )
    encoded = [encode_inputs(x, tensor, data.source) for x, tensor in zip(arrays, tensors, strict=True)]
    rows = np.concatenate([part.rows for part in encoded], axis=1)
    return EncodedInputs(rows, tuple(note for part in encoded for note in part.notes))


def encode_inputs(x: Array, tensor: Tensor, source: str) -> EncodedInputs:
    """The bytes of the model's input for every sample.

    x: (n, ...) float (real values), integers of the input's type (stored codes), or uint8 (codes + 128 of an int8
    input, or values of a float one).
    Returns rows uint8 (n, tensor.nbytes); floats are little-endian float32.

    Raises:
        DataError: sample size, dtype, NaN or infinity; both sides are named.
    """
    where = f"--data {source}, x {x.dtype} {shape_text(x.shape)}"
    notes: tuple[str, ...] = ()
    sample = tensor.shape[1:] if tensor.shape[:1] == (1,) else tensor.shape
    if x.shape[1:] not in (sample, tensor.shape):
        got = int(np.prod(x.shape[1:], dtype=np.int64))
        takes = f"{_describe(tensor)} takes {tensor.size} {shape_text(sample)}"
        if got != tensor.size:
            raise DataError(
                f"a sample has {got} values {shape_text(x.shape[1:])}, {takes}",
                where=where,
                hint="name another key by x=NAME, or compute the features that the model was trained on",
            )
        notes = (f"samples {shape_text(x.shape[1:])} reshaped row-major to the model input's {shape_text(sample)}",)
    flat = x.reshape(len(x), -1)
    values = _encode_float(flat, tensor, where) if x.dtype.kind == "f" else _encode_codes(flat, tensor, where)
    rows = np.ascontiguousarray(values).view(np.uint8).reshape(len(x), tensor.nbytes)
    return EncodedInputs(rows, notes)


def _encode_float(flat: Array, tensor: Tensor, where: str) -> Array:
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite and is refused below
        real = flat.astype("<f4")
    bad = np.argwhere(~np.isfinite(real))
    if len(bad):
        sample, element = (int(i) for i in bad[0])
        raise DataError(
            f"value {element} of sample {sample} is {flat[sample, element]}, {_describe(tensor)} takes finite values",
            where=where,
            hint=f"{len(bad)} such values in {len(np.unique(bad[:, 0]))} samples: mend or drop them",
        )
    if tensor.dtype is DType.FLOAT32:
        return real
    if tensor.dtype in _QUANTIZED and tensor.quant is not None:
        return quantize_float(real, tensor.quant.scale, tensor.quant.zero_point, tensor.dtype)
    raise _wrong_dtype(flat, tensor, where)


def _encode_codes(flat: Array, tensor: Tensor, where: str) -> Array:
    if flat.dtype == tensor.dtype.numpy:
        return flat
    if tensor.dtype in _WIDE and flat.dtype.kind in "iu":
        return _whole(flat, tensor, where)
    if tensor.dtype is DType.INT8 and flat.dtype == np.uint8:
        return (flat ^ np.uint8(0x80)).view(np.int8)  # x - 128
    if tensor.dtype is DType.FLOAT32 and flat.dtype == np.uint8:
        return flat.astype("<f4")
    raise _wrong_dtype(flat, tensor, where)


_WIDE = (DType.INT32, DType.INT64)
"""Types of inputs that hold numbers as they are, such as tokens."""


def _whole(flat: Array, tensor: Tensor, where: str) -> Array:
    """Integers of another type, where they fit."""
    low, high = tensor.dtype.limits
    beyond = np.argwhere((flat > high) | (flat < low))
    if len(beyond):
        sample, element = (int(i) for i in beyond[0])
        raise DataError(
            f"value {element} of sample {sample} is {flat[sample, element]}, {_describe(tensor)} takes {low}..{high}",
            where=where,
        )
    return flat.astype(tensor.dtype.numpy)


def _wrong_dtype(flat: Array, tensor: Tensor, where: str) -> DataError:
    reals = "float or " if tensor.dtype in _QUANTIZED and tensor.quant is not None else ""
    takes = {DType.FLOAT32: "float or uint8", DType.INT8: "float, int8 or uint8"}.get(
        tensor.dtype, reals + tensor.dtype.value
    )
    hint = "codes of another model's input mean nothing here: give real values" if flat.dtype == np.int8 else None
    return DataError(
        f"data of type {flat.dtype} do not fit {_describe(tensor)}, which takes {takes}",
        where=where,
        hint=hint or f"name another key by x=NAME, or convert the data to {takes}",
    )


def random_inputs(graph: Graph, samples: int, seed: int) -> Bytes:
    """Seeded inputs, uint8 (samples, input_bytes), all inputs one after the other: integers uniform over all values
    (beyond 16 bits over -1000..1000); positions of a table's rows uniform over those; floats normal over the range of
    the model's QUANTIZE with some beyond it, one in 16 halfway between two codes, where rounding shows."""
    rng = np.random.default_rng(seed)
    return np.concatenate([_random_input(graph, graph.tensor(i), samples, rng) for i in graph.inputs], axis=1)


def _random_input(graph: Graph, tensor: Tensor, samples: int, rng: np.random.Generator) -> Bytes:
    rows = position_count(graph, tensor.index)
    if rows is not None:
        positions = rng.integers(0, rows, (samples, tensor.size)).astype(tensor.dtype.numpy)
        return positions.view(np.uint8).reshape(samples, tensor.nbytes)
    if tensor.dtype is DType.BOOL:
        return rng.integers(0, 2, (samples, tensor.size), dtype=np.uint8)
    if tensor.dtype in (DType.INT32, DType.INT64):
        wide = rng.integers(-1000, 1001, (samples, tensor.size)).astype(tensor.dtype.numpy)
        return wide.view(np.uint8).reshape(samples, tensor.nbytes)
    if tensor.dtype is not DType.FLOAT32:
        return rng.integers(0, 256, (samples, tensor.nbytes), dtype=np.uint8)
    codes = _first_quantize(graph, tensor)
    quant = tensor.quant if codes is None else codes.quant
    real = rng.standard_normal((samples, tensor.size), dtype=np.float32)
    if quant is not None:
        low, high = (DType.INT8 if codes is None else codes.dtype).limits
        middle = np.float32(((low + high) / 2 - quant.zero_point) * quant.scale)
        real = middle + real * np.float32((high - low + 1) / 4 * quant.scale)  # two standard deviations to each side
        halves = (rng.integers(low, high, real.shape) - quant.zero_point + 0.5).astype(np.float32)
        real = np.where(rng.random(real.shape) < 1 / 16, halves * np.float32(quant.scale), real)
    return np.ascontiguousarray(real.astype("<f4")).view(np.uint8).reshape(samples, tensor.nbytes)


_KEEP_POSITIONS = ("CAST", "CONCATENATION", "GATHER", "RESHAPE", "SLICE", "TRANSPOSE")


def position_count(graph: Graph, tensor: int) -> int | None:
    """How many rows a table has whose positions a tensor holds, moved or cast; None where it holds none."""
    found = []
    for op in graph.ops:
        if op.kind == "LOOKUP" and op.inputs[1] == tensor and isinstance(op.attrs, LookupAttrs):
            found.append(min(op.attrs.sizes))
        elif op.kind in _KEEP_POSITIONS and tensor in op.inputs:
            rows = position_count(graph, op.outputs[0])
            found += [] if rows is None else [rows]
    return min(found, default=None)


def _first_quantize(graph: Graph, tensor: Tensor) -> Tensor | None:
    """What a float input is quantized to."""
    for op in graph.ops:
        if op.kind == "QUANTIZE" and op.inputs[0] == tensor.index:
            return graph.output_of(op)
    return None


def _describe(tensor: Tensor) -> str:
    quant = f", scale {tensor.quant.scale:.9g}, zero point {tensor.quant.zero_point}" if tensor.quant else ""
    return f"the model input '{tensor.name}' ({tensor.dtype.value}{quant})"
