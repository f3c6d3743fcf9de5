"""Two layers run by turns, a few rows at a time, so that what lies between them never exists as a whole.

For each strip of the second layer's output, the first layer makes the rows that are still missing, and the second one
reads them; rows that the next strip reads again move to the start of the buffer. Nothing is computed twice. Kernels
need no change: a call on some rows is the same kernel with another shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np

from mcuprune.encodings import ENCODINGS
from mcuprune.ir.graph import Graph
from mcuprune.kernels.choose import Choice
from mcuprune.kernels.cost import predict
from mcuprune.kernels.kernel import Packed
from mcuprune.kernels.params import LayerParams, Value
from mcuprune.plan.blocks import ALIGNMENT

STREAMABLE = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D"})
"""Operators with a window over rows, and kernels that take any mp_conv_shape."""

HEIGHTS = (1, 2, 3, 4, 6, 8, 12, 16, 24)
"""Output rows of a strip that are tried."""

EFFORT_PER_MOVED_BYTE = 1.0
"""Of memmove(), a load and a store a word at best."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A call of a step's kernel on part of its rows: output rows first..end of it, from where the input starts."""

    step: int
    first: int
    end: int
    in_offset: int  # bytes from the start of the input's buffer to the first row that is read
    out_offset: int
    streamed_bytes: int  # made for the next layer alone


@dataclass(frozen=True, slots=True)
class Move:
    """Bytes of the streamed buffer that go to its start."""

    offset: int
    bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Strips:
    """Steps `step` and `step + 1` by turns. buffer_bytes: rows of the tensor between them that exist at a time.

    height: output rows of a strip, the last one may be shorter. schedule: what is done, in order. packed: what each
    call reads; calls of one shape share it.
    """

    step: int
    tensor: int
    height: int
    buffer_bytes: int
    schedule: tuple[Rows | Move, ...]
    packed: Mapping[Rows, Packed] = field(default_factory=dict)

    @property
    def moved_bytes(self) -> int:
        return sum(part.bytes for part in self.schedule if isinstance(part, Move))


def possible_strips(graph: Graph, choices: tuple[Choice, ...], step: int) -> Iterator[Strips]:
    """Every height of strips for two layers that can run by turns; none where they cannot."""
    if step + 1 >= len(graph.ops):
        return
    maker, reader = graph.ops[step], graph.ops[step + 1]
    tensor = maker.outputs[0]
    alone = sum(op.inputs.count(tensor) for op in graph.ops) == 1 and tensor not in graph.outputs
    if not {maker.kind, reader.kind} <= STREAMABLE or reader.inputs[0] != tensor or not alone:
        return
    shapes = _shape(choices[step]), _shape(choices[step + 1])
    itemsize = graph.tensors[tensor].dtype.itemsize  # these operators keep the type
    for height in (h for h in HEIGHTS if h < shapes[1]["out_h"]):
        strips = _strips(step, tensor, height, *shapes, itemsize)
        if strips is not None and strips.buffer_bytes < graph.tensors[tensor].nbytes:
            yield strips


def row_params(params: LayerParams, first: int, end: int) -> LayerParams:
    """A layer that makes only some rows of its output."""
    shape = cast("dict[str, int]", params.fields["shape"])
    part, _ = _part(shape, first, end)
    positions = params.geometry.positions * (end - first) // shape["out_h"]
    return replace(
        params,
        fields={**params.fields, "shape": cast("Mapping[str, Value]", part)},
        geometry=replace(params.geometry, positions=positions),
        macs=params.macs * (end - first) // shape["out_h"],
    )


def with_packed(choices: tuple[Choice, ...], strips: Strips) -> Strips | None:
    """Strips with what their calls read; None where a kernel packs some rows otherwise than all."""
    found: dict[Rows, Packed] = {}
    by_shape: dict[tuple[object, ...], Packed | None] = {}
    for call in (part for part in strips.schedule if isinstance(part, Rows)):
        choice = choices[call.step]
        shape, _ = _part(_shape(choice), call.first, call.end)
        key = (call.step, *shape.values())
        if key not in by_shape:
            by_shape[key] = _row_packed(choice, call.first, call.end)
        packed = by_shape[key]
        if packed is None:
            return None
        found[call] = packed
    return replace(strips, packed=found)


def _row_packed(choice: Choice, first: int, end: int) -> Packed | None:
    """What the kernel of a choice reads for some rows; None where its arrays would be others than for all rows."""
    assert choice.kernel is not None and choice.params is not None and choice.packed is not None
    params = row_params(choice.params, first, end)
    if choice.kernel.obstacle(params) is not None:
        return None
    packed = choice.kernel.pack(params, ENCODINGS.get(choice.encoding))
    same = len(packed.arrays) == len(choice.packed.arrays) and all(
        a.member == b.member and np.array_equal(a.data, b.data)
        for a, b in zip(packed.arrays, choice.packed.arrays, strict=True)
    )
    return packed if same else None


def extra_effort(choices: tuple[Choice, ...], strips: Strips, core: str) -> float:
    """What strips cost more than the two layers as a whole, in the unit of Cost.effort: cut tiles, calls, moves."""
    total = strips.moved_bytes * EFFORT_PER_MOVED_BYTE - sum(choices[strips.step + i].cost.effort for i in (0, 1))
    for call in (part for part in strips.schedule if isinstance(part, Rows)):
        choice = choices[call.step]
        assert choice.kernel is not None and choice.params is not None and choice.packed is not None
        geometry = row_params(choice.params, call.first, call.end).geometry
        total += predict(choice.kernel, core, choice.encoding, geometry, choice.packed).effort
    return total


def row_workspace(choice: Choice, strips: Strips, step: int) -> int:
    """Workspace of a step that runs in strips: the largest of its calls."""
    assert choice.kernel is not None and choice.params is not None
    calls = [part for part in strips.schedule if isinstance(part, Rows) and part.step == step]
    return max(choice.kernel.workspace(row_params(choice.params, c.first, c.end).geometry) for c in calls)


def _shape(choice: Choice) -> dict[str, int]:
    assert choice.params is not None
    return cast("dict[str, int]", choice.params.fields["shape"])


def _part(shape: Mapping[str, int], first: int, end: int) -> tuple[dict[str, int], int]:
    """mp_conv_shape of output rows first..end, and the first row of the input that it reads."""
    span = (shape["kernel_h"] - 1) * shape["dilation_h"] + 1
    top = first * shape["stride_h"] - shape["pad_top"]
    low = max(0, top)
    high = min(shape["in_h"], (end - 1) * shape["stride_h"] - shape["pad_top"] + span)
    return {**shape, "in_h": high - low, "out_h": end - first, "pad_top": low - top}, low


def _strips(
    step: int, tensor: int, height: int, maker: Mapping[str, int], reader: Mapping[str, int], itemsize: int = 1
) -> Strips | None:
    """The schedule of strips of a height; None where a row would never be read, or a call would start off a word."""
    in_row = maker["in_w"] * maker["in_ch"] * itemsize
    row = reader["in_w"] * reader["in_ch"] * itemsize
    out_row = reader["out_w"] * reader["out_ch"] * itemsize
    schedule: list[Rows | Move] = []
    start = made = most = 0  # rows start..made of the tensor lie in the buffer
    for first in range(0, reader["out_h"], height):
        end = min(first + height, reader["out_h"])
        part, low = _part(reader, first, end)
        high = low + part["in_h"]
        if low > made:
            return None
        if low > start:
            if made > low:
                schedule.append(Move((low - start) * row, (made - low) * row))
            start = low
        if high > made:
            from_row = _part(maker, made, high)[1]
            schedule.append(Rows(step, made, high, from_row * in_row, (made - start) * row, (high - made) * row))
            made = high
        schedule.append(Rows(step + 1, first, end, 0, first * out_row, 0))
        most = max(most, made - start)
    offsets = [n for part in schedule if isinstance(part, Rows) for n in (part.in_offset, part.out_offset)]
    if made < maker["out_h"] or any(offset % ALIGNMENT for offset in offsets):
        return None
    return Strips(step, tensor, height, most * row, tuple(schedule))
