"""What one layer is to the kernels: its geometry, its numbers, and its weights as rows, independent of any encoding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mcuprune.encodings import Array, Rows
from mcuprune.ir.graph import DType, Op

Value = int | float | str | tuple[int, ...] | Mapping[str, "Value"]
"""A member of a C struct: a number, a tuple (array member), C text, or a nested struct."""

CTYPES = {
    DType.INT8: "int8_t",
    DType.INT16: "int16_t",
    DType.INT32: "int32_t",
    DType.INT64: "int64_t",
    DType.UINT8: "uint8_t",
    DType.BOOL: "uint8_t",
    DType.FLOAT32: "float",
}
"""C types of elements."""

CONSTANT_INPUT = "constant"
"""Start of the `member` of an Array that is handed to the kernel in place of an activation."""


def constant_input(place: int) -> str:
    """`member` of the array that is input number `place` of the kernel."""
    return f"{CONSTANT_INPUT}{place}"


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes that decide workspace and cost. Pointwise: a 1x1 window with stride 1 and no padding. out_w, stride_w,
    stride_h: of a depthwise convolution."""

    positions: int = 1  # output pixels, or batches of a fully-connected layer
    rows: int = 0
    cols: int = 0  # weights of one row
    in_ch: int = 0
    pointwise: bool = False
    depthwise_taps: int = 0
    out_w: int = 1
    stride_w: int = 1
    stride_h: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class LayerParams:
    """A layer, ready for any kernel of its family.

    fields: members of the C struct but for the encoded weights.
    arrays: constants in flash beside the weights (`member` is a dotted path into `fields`).
    rows: int8 (rows, cols) for families whose weights are encoded, else None.
    inputs: activations that the kernel reads, as tensor indices; states: kept values that it reads and writes over.
    """

    op: Op
    family: str
    fields: Mapping[str, Value]
    arrays: tuple[Array, ...]
    rows: Rows | None
    geometry: Geometry
    inputs: tuple[int, ...]
    output: int
    macs: int = 0
    row_bound: tuple[int, ...] = field(default=(), repr=False)  # largest |accumulator| of each row
    states: tuple[int, ...] = ()

    def with_arrays(self, *arrays: Array) -> LayerParams:
        """The same layer with more constants in flash."""
        return replace(self, arrays=(*self.arrays, *arrays))
