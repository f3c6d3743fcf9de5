"""Zeros looked for in a file itself: a model's weights among the int8 constants of a `.tflite`, whatever takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcuprune.errors import TrainingError
from mcuprune.quantization.zeros import LayerZeros, not_found, same_weights
from mcuprune.sparsity.weights import PrunableWeight
from mcuprune.tflite.schema import BUILTIN_NAMES, TENSOR_TYPE_NAMES, builtin_code, numbers, parse_model, text

Array = NDArray[Any]

_LOOKUP = "GATHER"


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """An int8 constant that an operator takes: codes less zero point, int16 (rows, cols), rows along its first axis
    (depthwise: along the channels), and scales (rows,). limits: the least and the largest code, less zero point, which
    is not 0 in tables of embeddings. index: the operator's.
    """

    index: int
    op: str
    name: str
    codes: NDArray[np.int16]
    scales: NDArray[np.float64]
    limits: tuple[int, int]


def file_zeros(weights: Sequence[PrunableWeight], content: bytes, source: str) -> tuple[LayerZeros, ...]:
    """Find each weight among the file's constants, and hold its zeros against the codes.

    A constant matches where it has the weight's matrix shape and values (see same_weights()). A zero of it is a code
    that equals the zero point. A weight of zeros alone is looked for last (see check_zeros()). What is not found is
    reported with index None and a note. Tables of embeddings take their range from the values that the samples looked
    up; a note says how many others are cut to it.

    Raises:
        ModelError: the file is broken.
        TrainingError: a weight that is zero in the model is not zero in the file.
    """
    free = list(constants(content, source))
    result: dict[int, LayerZeros] = {}
    for weight in sorted(weights, key=lambda weight: not weight.rows().any()):
        rows = weight.rows()
        zeros = int(rows.size - np.count_nonzero(rows))
        fitting = [constant for constant in free if _holds(constant, rows)]
        found = min(fitting, key=lambda constant: bool(constant.codes.any()) != bool(rows.any()), default=None)
        if found is None:
            result[weight.index] = not_found(weight, rows, "constant")
            continue
        free.remove(found)
        lost = int(np.count_nonzero(found.codes[rows == 0]))
        if lost:
            raise TrainingError(
                f"{lost} zeros were lost in the conversion",
                where=f"{source}, layer '{weight.name}', op {found.index} {found.op} '{found.name}'",
                hint="leave the layer dense, or convert it with float input and output",
            )
        kept = int(found.codes.size - np.count_nonzero(found.codes))
        size = int(rows.size)
        cut = _cut(found, rows) if found.op == _LOOKUP else 0
        note = f"{cut} values lie beyond those of the samples and are cut" if cut else ""
        result[weight.index] = LayerZeros(
            found.index, found.name, weight.name, found.op, zeros, kept, size, kept / size, note
        )
    return tuple(result[weight.index] for weight in weights)


def _holds(constant: Constant, rows: Array) -> bool:
    """Whether a constant has these weights."""
    if constant.codes.shape != rows.shape:
        return False
    if constant.op != _LOOKUP:
        return same_weights(rows, constant.codes, constant.scales)
    low, high = constant.limits
    over = constant.codes * constant.scales[:, None] - rows
    step = 1.1 * constant.scales[:, None]
    return bool((((over <= step) | (constant.codes == low)) & ((over >= -step) | (constant.codes == high))).all())


def _cut(constant: Constant, rows: Array) -> int:
    """How many values a table does not reach."""
    error = np.abs(constant.codes * constant.scales[:, None] - rows)
    return int((error > 1.1 * constant.scales[:, None]).sum())


def constants(content: bytes, source: str) -> Iterator[Constant]:
    """The quantized int8 constants of two and more dimensions that operators take, each once.

    Raises:
        ModelError: the file is broken.
    """
    model = parse_model(content, source)
    for graph in model.subgraphs:
        seen: set[int] = set()
        for index, op in enumerate(graph.operators):
            kind = BUILTIN_NAMES.get(builtin_code(model.operatorCodes[op.opcodeIndex]), "CUSTOM")
            for number in numbers(op.inputs):
                if number in seen or number < 0:
                    continue
                seen.add(number)
                tensor = graph.tensors[number]
                found = _constant(tensor, model.buffers[tensor.buffer].data, kind)
                if found is not None:
                    yield Constant(index, kind, text(tensor.name), *found)


def _constant(tensor: Any, data: Any, kind: str) -> tuple[Array, NDArray[np.float64], tuple[int, int]] | None:
    """Codes, scales and limits of a tensor by rows; None where it is no such constant."""
    shape = numbers(tensor.shape)
    scales = np.array(numbers(tensor.quantization.scale) if tensor.quantization else [], np.float64)
    if data is None or TENSOR_TYPE_NAMES[tensor.type] != "INT8" or len(shape) < 2 or not len(scales):
        return None
    codes = np.asarray(data, np.uint8).view(np.int8).astype(np.int16)
    zero_points = np.array(numbers(tensor.quantization.zeroPoint), np.int16)
    if codes.size != np.prod(shape) or len(zero_points) != len(scales):
        return None
    matrix = codes.reshape(-1, shape[-1]).T if kind == "DEPTHWISE_CONV_2D" else codes.reshape(shape[0], -1)
    if len(scales) not in (1, len(matrix)):
        return None
    limits = (-128 - int(zero_points[0]), 127 - int(zero_points[0]))
    return matrix - zero_points[:, None], np.broadcast_to(scales, (len(matrix),)), limits
