"""What parsers of operators share: where they are, options, enumerations, constant parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import Activation, Attrs, NoAttrs, Padding
from mcuprune.ir.graph import DType, Quant, Tensor
from mcuprune.tflite import schema

_ACTIVATIONS = {0: Activation.NONE, 1: Activation.RELU, 2: Activation.RELU_N1_TO_1, 3: Activation.RELU6}
_PADDINGS = {0: Padding.SAME, 1: Padding.VALID}
MAX_RANK = 8
MAX_WINDOW = 2**15  # strides, dilations and filters: what the firmware's 16-bit fields hold


@dataclass(frozen=True, slots=True)
class OpContext:
    """What a parser sees: where it is, the file's options, the tensors.

    An operator of the file with several outputs is read once for each: `output` is number `place` of `outputs`.
    `intermediates`: quantization of what LSTM computes on its way.
    """

    where: str
    options: Any
    inputs: tuple[Tensor | None, ...]
    output: Tensor
    place: int = 0
    outputs: int = 1
    intermediates: tuple[Quant | None, ...] = ()


def options_of(context: OpContext, wanted: type) -> Any:
    """The operator's options.

    Raises:
        ModelError: they are missing or belong to another operator.
    """
    if not isinstance(context.options, wanted):
        raise ModelError(f"options {wanted.__name__.removesuffix('T')} are missing", where=context.where)
    return context.options


def optional_options(context: OpContext, wanted: type) -> Any:
    """The operator's options, or the schema's defaults where the file has none."""
    return wanted() if context.options is None else options_of(context, wanted)


def activation(number: int, where: str) -> Activation:
    if int(number) not in _ACTIVATIONS:
        raise ModelError(f"fused activation {number} is not supported", where=where)
    return _ACTIVATIONS[int(number)]


def padding(number: int, where: str) -> Padding:
    if int(number) not in _PADDINGS:
        raise ModelError(f"padding {number} is neither SAME nor VALID", where=where)
    return _PADDINGS[int(number)]


def check_type(number: int, what: str, where: str) -> None:
    """Element type that options name where the tensors' own counts: it must exist."""
    if int(number) not in schema.TENSOR_TYPE_NAMES:
        raise ModelError(f"{what} {number} does not exist", where=where, hint=schema.BROKEN_HINT)


def int32_sums(number: int, context: OpContext) -> bool:
    """Whether the type that a layer's options name for its bias makes sums of int16 activations 32 bits wide.

    FLOAT32 stands for none, which is 64 bits. Layers on int8 have a bias of int32 whatever is said, but the type must
    exist.
    """
    check_type(number, "bias type", context.where)
    name = schema.TENSOR_TYPE_NAMES[int(number)]
    data = context.inputs[0]
    if data is None or data.dtype is not DType.INT16:
        return False
    if name not in ("FLOAT32", "INT32", "INT64"):
        raise ModelError(f"bias type {name} of a layer on int16 is not supported", where=context.where)
    return name == "INT32"


def pair(height: int, width: int, what: str, where: str) -> tuple[int, int]:
    if not (0 < height < MAX_WINDOW and 0 < width < MAX_WINDOW):
        raise ModelError(f"{what} {(int(height), int(width))} is not in 1..{MAX_WINDOW - 1}", where=where)
    return int(height), int(width)


def constant_int32(context: OpContext, number: int, what: str) -> Tensor:
    """An int32 input that must be constant."""
    tensor = context.inputs[number]
    if tensor is None or tensor.data is None or tensor.dtype is not DType.INT32:
        raise ModelError(
            f"{what} must be a constant int32 tensor",
            where=context.where,
            hint="convert the model with fixed shapes, so that they do not depend on its inputs",
        )
    return tensor


def constant_integers(context: OpContext, number: int, what: str) -> tuple[int, ...]:
    """Values of an int32 or int64 input that must be constant, in one dimension or none."""
    tensor = context.inputs[number]
    if tensor is None or tensor.data is None or tensor.dtype not in (DType.INT32, DType.INT64):
        raise ModelError(
            f"{what} must be constant integers",
            where=context.where,
            hint="convert the model with fixed shapes, so that they do not depend on its inputs",
        )
    return tuple(int(n) for n in tensor.data.reshape(-1))


def source_of(context: OpContext) -> Tensor:
    """The first data input, which parsers may rely on."""
    source = context.inputs[0]
    assert source is not None
    return source


def one_dimension(number: int, rank: int, what: str, where: str) -> int:
    """A dimension as the file says it, negative ones counted from the end."""
    place = int(number) + rank if number < 0 else int(number)
    if not 0 <= place < rank:
        raise ModelError(f"{what} {number} of rank {rank}", where=where)
    return place


def gives(context: OpContext, shape: tuple[int, ...]) -> None:
    """Raise where the file's output has another shape than what the options say."""
    if context.output.shape != shape:
        raise ModelError(
            f"the output has shape {context.output.shape}, the operator gives {shape}", where=context.where
        )


def no_options(context: OpContext) -> Attrs:
    return NoAttrs()


@dataclass(frozen=True, slots=True)
class OpParser:
    """How the file's operators of one kind are read.

    Attributes:
        inputs: fewest and most; those beyond the fewest may be absent. most None: any number.
        parse: the attributes, from the options and the constant inputs.
        kind: name of the graph's operator, where it differs from the file's.
        splits: whether it may have several outputs; it becomes one operator for each.
        states: places of inputs that are variable tensors; in the graph they stand behind the first input, and their
            new values behind the output.
        intermediates: whether it has tensors that say how inner values are quantized.
        floats: whether it may read or write float32, at the model's edge or because it only moves values.
        order: places in the file of the graph's inputs, data first, where they differ; one behind the file's last is
            absent. The parser sees them so.
    """

    inputs: tuple[int, int | None]
    parse: Callable[[OpContext], Attrs]
    kind: str | None = None
    splits: bool = False
    states: tuple[int, ...] = ()
    intermediates: bool = False
    floats: bool = False
    order: tuple[int, ...] = ()

    def ordered(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        """The file's inputs in the graph's order."""
        if not self.order:
            return inputs
        return tuple(inputs[place] if place < len(inputs) else -1 for place in self.order)
