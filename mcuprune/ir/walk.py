"""Where the elements of an output lie in the input, as nested loops with fixed strides."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mcuprune.ir.attributes import GatherAttrs, SliceAttrs, TransposeAttrs
from mcuprune.ir.graph import Op

MAX_DIMS = 6
"""Loops of mp_copy."""

Loop = tuple[int, int]
"""(count, stride)."""


@dataclass(frozen=True, slots=True)
class Walk:
    """Element (i, j, ...) of the output is input[start + i * loops[0][1] + j * loops[1][1] + ...], in elements."""

    start: int
    loops: tuple[Loop, ...]

    def collapsed(self) -> Walk:
        """The same walk with as few loops as possible: none of one turn, none that only continues the one inside."""
        merged: list[Loop] = []
        for count, stride in reversed(self.loops):
            if count == 1:
                continue
            if merged and stride == merged[-1][0] * merged[-1][1]:
                merged[-1] = (count * merged[-1][0], merged[-1][1])
            else:
                merged.append((count, stride))
        return Walk(self.start, tuple(reversed(merged)))


def dense_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Elements between neighbours along each dimension of a row-major array."""
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def walk_of(op: Op, in_shape: tuple[int, ...]) -> Walk | None:
    """The walk of an operator that moves values.

    None where it takes indices without a pattern, or needs more loops than the kernel has.
    """
    attrs = op.attrs
    if isinstance(attrs, SliceAttrs):
        walk = _slice(attrs, in_shape)
    elif isinstance(attrs, TransposeAttrs):
        strides = dense_strides(attrs.view)
        walk = Walk(0, tuple((attrs.view[d], strides[d]) for d in attrs.order))
    elif isinstance(attrs, GatherAttrs):
        gathered = _gather(attrs)
        if gathered is None:
            return None
        walk = gathered
    else:
        return None
    walk = walk.collapsed()
    return walk if len(walk.loops) <= MAX_DIMS else None


def _slice(attrs: SliceAttrs, in_shape: tuple[int, ...]) -> Walk:
    strides = dense_strides(in_shape)
    ranges = [r or (0, 1, n) for r, n in zip(attrs.ranges, in_shape, strict=True)]
    start = sum(first * stride for (first, _, _), stride in zip(ranges, strides, strict=True))
    return Walk(start, tuple((count, step * s) for (_, step, count), s in zip(ranges, strides, strict=True)))


def _gather(attrs: GatherAttrs) -> Walk | None:
    start, loops = 0, list[Loop]()
    for indices, size, stride in zip(attrs.indices, attrs.view, dense_strides(attrs.view), strict=True):
        pattern = index_pattern(tuple(range(size)) if indices is None else indices)
        if pattern is None:
            return None
        start += pattern.start * stride
        loops += [(count, step * stride) for count, step in pattern.loops]
    return Walk(start, tuple(loops))


def index_pattern(indices: tuple[int, ...]) -> Walk | None:
    """Indices as one loop (equal steps) or two (one repeated as a whole, or each of them repeated); None: neither."""
    start, count = indices[0], len(indices)
    step = indices[1] - start if count > 1 else 0
    if all(index == start + i * step for i, index in enumerate(indices)):
        return Walk(start, ((count, step),))
    for inner in (n for n in range(2, count // 2 + 1) if count % n == 0):
        outer, (across, along) = count // inner, (indices[inner] - start, step)
        if all(index == start + i // inner * across + i % inner * along for i, index in enumerate(indices)):
            return Walk(start, ((outer, across), (inner, along)))
    return None
