"""What one layer is to the kernels: its geometry, its numbers, and its weights as rows, independent of any encoding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mcuprune.encodings import Array, Rows
from mcuprune.ir.graph import Op

Value = int | float | str | tuple[int, ...] | Mapping[str, "Value"]
"""A member of a C struct: a number, a tuple (array member), C text, or a nested struct."""


CONSTANT_INPUT = "constant"
"""`member` of an Array that is handed to the kernel in place of an activation."""


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
    inputs: activations that the kernel reads, as tensor indices.
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
