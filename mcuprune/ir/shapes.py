"""Shape rules of the operators: what shape an output has, and where padding lies. Shapes are NHWC."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from mcuprune.ir.attributes import Padding

Shape: TypeAlias = tuple[int, ...]


def effective_filter(size: int, dilation: int) -> int:
    """Positions that a dilated filter spans along one dimension."""
    return (size - 1) * dilation + 1


def window_output(size: int, filter_size: int, stride: int, dilation: int, padding: Padding) -> int:
    """Outputs of a sliding window along one dimension; below 1 where the window does not fit.

    Source: ComputeOutSize in TensorFlow Lite, kernels/padding.h.
    """
    if padding is Padding.SAME:
        return -(-size // stride)
    return (size + stride - effective_filter(filter_size, dilation)) // stride


def explicit_pads(
    in_hw: tuple[int, int],
    filter_hw: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: Padding,
) -> tuple[int, int, int, int]:
    """Rows and columns of padding (top, left, bottom, right) that SAME or VALID stand for; the odd one lies after.

    Source: ComputePaddingHeightWidth in TensorFlow Lite, kernels/padding.h.
    """
    before, after = [], []
    for size, taps, step, gap in zip(in_hw, filter_hw, stride, dilation, strict=True):
        out = window_output(size, taps, step, gap, padding)
        total = max(0, (out - 1) * step + effective_filter(taps, gap) - size)
        before.append(total // 2)
        after.append(total - total // 2)
    return before[0], before[1], after[0], after[1]


def window_shape(
    in_shape: Shape,
    filter_hw: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: Padding,
    channels: int,
) -> Shape:
    """Output (1, out_h, out_w, channels) of a convolution or pooling over (1, in_h, in_w, in_ch)."""
    height = window_output(in_shape[1], filter_hw[0], stride[0], dilation[0], padding)
    width = window_output(in_shape[2], filter_hw[1], stride[1], dilation[1], padding)
    return in_shape[0], height, width, channels


def fully_connected_shape(in_shape: Shape, weights: Shape, keep_num_dims: bool) -> Shape | None:
    """Output of a fully-connected layer with weights (rows, cols); None where the input does not divide into rows."""
    rows, cols = weights
    if keep_num_dims:
        return (*in_shape[:-1], rows) if in_shape and in_shape[-1] == cols else None
    size = math.prod(in_shape)
    return (size // cols, rows) if size % cols == 0 else None


def reduced_shape(in_shape: Shape, axes: tuple[int, ...], keep_dims: bool) -> Shape:
    """Output of a reduction over `axes` (non-negative)."""
    if keep_dims:
        return tuple(1 if i in axes else n for i, n in enumerate(in_shape))
    return tuple(n for i, n in enumerate(in_shape) if i not in axes)


def reduction_walk(in_shape: Shape, axes: tuple[int, ...]) -> tuple[tuple[Shape, Shape], tuple[Shape, Shape]]:
    """(sizes, strides in elements) of the dimensions that stay and of those that `axes` reduce.

    Neighbours of one sort are one dimension, those of size 1 none.
    """
    found: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    last: bool | None = None
    for i in reversed(range(len(in_shape))):
        if in_shape[i] == 1:
            continue
        goes = i in axes
        if goes is last:
            size, stride = found[goes][0]
            found[goes][0] = size * in_shape[i], stride
        else:
            found[goes].insert(0, (in_shape[i], math.prod(in_shape[i + 1 :])))
        last = goes
    kept, reduced = (tuple(zip(*dims, strict=True)) or ((), ()) for dims in found)
    return (kept[0], kept[1]), (reduced[0], reduced[1])


def broadcast_shape(first: Shape, second: Shape) -> Shape | None:
    """Shape of an elementwise operator on two shapes, as in numpy; None where they do not fit."""
    rank = max(len(first), len(second))
    pairs = zip((1,) * (rank - len(first)) + first, (1,) * (rank - len(second)) + second, strict=True)
    out = []
    for a, b in pairs:
        if a != b and 1 not in (a, b):
            return None
        out.append(max(a, b))
    return tuple(out)


def matmul_shape(first: Shape, second: Shape, transpose_first: bool, transpose_second: bool) -> Shape | None:
    """Output of a product of matrices, the last two dimensions; the others repeat. None where they do not fit."""
    rows, depth = first[:-3:-1] if transpose_first else first[-2:]
    depth2, cols = second[:-3:-1] if transpose_second else second[-2:]
    batch = broadcast_shape(first[:-2], second[:-2])
    return (*batch, rows, cols) if batch is not None and depth == depth2 else None


def broadcast_walk(shapes: Sequence[Shape], out: Shape, rank: int = 4) -> tuple[Shape, tuple[Shape, ...]] | None:
    """Loops over an output, and how far they move in inputs that are broadcast to it.

    Outputs of up to `rank` dimensions keep them. Of higher ones, neighbours join where every input goes through them as
    through one; None where more than `rank` are left.

    Returns:
        Extents of `rank` loops, the innermost last, and for each input its strides in elements; 0 where it repeats.
    """
    wide = (1,) * (rank - len(out)) + out
    strides = [_repeating_strides((1,) * (len(wide) - len(shape)) + shape, wide) for shape in shapes]
    loops = [(n, tuple(s[i] for s in strides)) for i, n in enumerate(wide)]
    if len(wide) > rank:
        loops = _joined([loop for loop in loops if loop[0] > 1])
        if len(loops) > rank:
            return None
        loops = [(1, (0,) * len(shapes))] * (rank - len(loops)) + loops
    return tuple(n for n, _ in loops), tuple(tuple(s[k] for _, s in loops) for k in range(len(shapes)))


def _repeating_strides(shape: Shape, out: Shape) -> Shape:
    """Strides in elements of a shape that is broadcast to another of as many dimensions."""
    strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    return tuple(0 if n == 1 and m != 1 else s for n, m, s in zip(shape, out, strides, strict=True))


def _joined(loops: Sequence[tuple[int, Shape]]) -> list[tuple[int, Shape]]:
    """Loops with those in one that every input goes through in equal steps."""
    found: list[tuple[int, Shape]] = []
    for extent, steps in loops:
        if found and found[-1][1] == tuple(extent * step for step in steps):
            found[-1] = (found[-1][0] * extent, steps)
        else:
            found.append((extent, steps))
    return found


def reshape_shape(in_shape: Shape, wanted: Shape) -> Shape | None:
    """Output of a reshape, one -1 in `wanted` resolved; None where the sizes differ."""
    size = math.prod(in_shape)
    if wanted.count(-1) > 1 or any(n < -1 or n == 0 for n in wanted):
        return None
    known = math.prod(n for n in wanted if n != -1)
    if -1 in wanted:
        if size % known:
            return None
        return tuple(size // known if n == -1 else n for n in wanted)
    return wanted if known == size else None


def pad_shape(in_shape: Shape, before: tuple[int, ...], after: tuple[int, ...]) -> Shape:
    """Output of a padding."""
    return tuple(b + n + a for b, n, a in zip(before, in_shape, after, strict=True))
