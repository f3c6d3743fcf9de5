"""The frozen graph that every stage reads: tensors, operators, and what each operator needs to know.

Activations are NHWC, weights OHWI, depthwise weights 1HWC; real = scale * (q - zero_point).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np

from mcuprune.ir.attributes import Attrs


class DType(enum.Enum):
    """Element type of a tensor."""

    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    BOOL = "bool"
    FLOAT32 = "float32"

    @property
    def numpy(self) -> np.dtype:
        return np.dtype(self.value)

    @property
    def itemsize(self) -> int:
        return self.numpy.itemsize

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest value of an integer type."""
        info = np.iinfo(self.numpy)
        return int(info.min), int(info.max)


@dataclass(frozen=True, slots=True)
class Quant:
    """Quantization of a tensor: one scale, or one per index of `axis`.

    scales are the float32 values of the file, held exactly as Python floats.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int | None = None  # None: per tensor

    @property
    def scale(self) -> float:
        """The scale of a per-tensor quantization."""
        return self.scales[0]

    @property
    def zero_point(self) -> int:
        """The zero point of a per-tensor quantization."""
        return self.zero_points[0]

    @property
    def per_axis(self) -> bool:
        return self.axis is not None


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A tensor of the model; `data` is set on constants. `index` is the position in Graph.tensors.

    `kept`: where a pass took channels (last dimension) away, those of the file's tensor that are left; None: all.
    `same_as`: of a tensor that the file lacks, the one of its bytes that it has, under another shape.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: DType
    quant: Quant | None = None
    data: np.ndarray | None = field(default=None, repr=False)
    kept: tuple[int, ...] | None = field(default=None, repr=False)
    same_as: int | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64)) if self.shape else 1

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Op:
    """One operator. `index` is its position in the model file; `name` is the short unique name used in every report.

    inputs and outputs are tensor indices; -1 stands for an optional input that is absent. There is one output, but for
    recurrent operators, whose further ones are new values of what the model keeps (State): what splits a tensor in the
    file is one operator for each part here, all of the same `index`. Constant inputs that only parameterise the
    operator (axes of MEAN, paddings of PAD, shape of RESHAPE) stay in `inputs`; `attrs` holds their values.
    """

    index: int
    kind: str
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attrs: Attrs

    @property
    def place(self) -> str:
        """The operator as errors name it."""
        return f"op {self.index} {self.kind} '{self.name}'"


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A value that the model keeps from one call to the next.

    Attributes:
        read: the tensor that holds it while a call runs; no operator writes it.
        written: the tensor whose value it is once the call is over.
        initial: its value before the first call, and after a reset.
    """

    name: str
    read: int
    written: int
    initial: np.ndarray = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A model: tensors, operators in execution order, and the indices of its inputs and outputs.

    `sha256` is the hex digest of the file it was read from, `source` that file's name without its folder; `signature`
    and `subgraph` say which of its functions it is. `states`: what it keeps between calls.
    `notes` are sentences for the user: what was read differently from what the file says.
    """

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    sha256: str
    source: str
    states: tuple[State, ...] = ()
    signature: str = ""
    subgraph: int = 0
    notes: tuple[str, ...] = ()

    def within(self, place: str) -> str:
        """A place as errors name it: the file, its function where that is not the first, and what is there."""
        return f"{self.source}, subgraph {self.subgraph}, {place}" if self.subgraph else f"{self.source}, {place}"

    def tensor(self, index: int) -> Tensor:
        return self.tensors[index]

    def input_of(self, op: Op, i: int = 0) -> Tensor | None:
        """Input i of an operator, None where it is absent."""
        if i >= len(op.inputs) or op.inputs[i] < 0:
            return None
        return self.tensors[op.inputs[i]]

    def output_of(self, op: Op, i: int = 0) -> Tensor:
        return self.tensors[op.outputs[i]]


def kept_channels(graph: Graph) -> dict[int, tuple[int, ...]]:
    """Of tensors that lost channels in passes, the file's channels that are left, by tensor index."""
    return {tensor.index: tensor.kept for tensor in graph.tensors if tensor.kept is not None}


def file_layers(graph: Graph) -> list[int]:
    """Of each operator the file's tensor that holds the bytes it writes."""
    written = [graph.output_of(op) for op in graph.ops]
    return [tensor.index if tensor.same_as is None else tensor.same_as for tensor in written]
