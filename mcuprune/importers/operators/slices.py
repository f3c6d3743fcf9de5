"""Options of operators that take a part of a tensor, or split it into parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError
from mcuprune.importers.operators.reading import (
    OpContext,
    OpParser,
    constant_integers,
    gives,
    one_dimension,
    options_of,
    source_of,
)
from mcuprune.ir.attributes import Attrs, SliceAttrs

Range = tuple[int, int, int] | None


def _slice(context: OpContext) -> Attrs:
    shape = source_of(context).shape
    begin, size = constant_integers(context, 1, "the begin"), constant_integers(context, 2, "the size")
    if not len(begin) == len(size) == len(shape):
        raise ModelError(f"begin {begin} and size {size} of an input {shape}", where=context.where)
    ranges: list[Range] = []
    for n, first, wanted in zip(shape, begin, size, strict=True):
        count = n - first if wanted == -1 else wanted
        if first < 0 or count < 1 or first + count > n:
            raise ModelError(f"{wanted} elements from {first} of a dimension of {n}", where=context.where)
        ranges.append(None if count == n else (first, 1, count))
    gives(context, tuple(n if r is None else r[2] for n, r in zip(shape, ranges, strict=True)))
    return SliceAttrs(tuple(ranges))


def _strided_slice(context: OpContext) -> Attrs:
    """Source: BuildStridedSliceParams in TensorFlow Lite, kernels/strided_slice.cc."""
    options = options_of(context, generated.StridedSliceOptionsT)
    shape = source_of(context).shape
    begin, end, steps = (constant_integers(context, i, "begin, end and strides") for i in (1, 2, 3))
    if not len(begin) == len(end) == len(steps) or len(begin) > 31:
        raise ModelError(f"begin {begin}, end {end} and strides {steps} do not fit", where=context.where)
    if options.offset:
        _check_offset(context, options, (begin, end, steps), shape)
    ranges: list[Range] = []
    result: list[int] = []

    def one(i: int, n: int) -> tuple[int, int, int]:
        return _one_range(context, options, i, n, begin[i], end[i], steps[i])

    for spec in _spread(context, options, len(begin), len(shape)):
        if spec == "new":
            result.append(1)
            continue
        n = shape[len(ranges)]
        taken = (0, 1, n) if spec is None else one(spec, n)
        if spec is None or not options.shrinkAxisMask >> spec & 1:
            result.append(taken[2])
        ranges.append(None if taken == (0, 1, n) else taken)
    gives(context, tuple(result))
    return SliceAttrs(tuple(ranges))


def _check_offset(context: OpContext, options: Any, given: tuple[tuple[int, ...], ...], shape: tuple[int, ...]) -> None:
    """Ends that count from begins have a meaning in TensorFlow Lite where each is a count inside of its dimension.

    Elsewhere it adds them before or after other rules in turn, and reads behind the tensor or what was never written.
    """
    masks = options.beginMask | options.endMask | options.ellipsisMask | options.newAxisMask
    whole = not masks and len(given[0]) == len(shape)
    if not whole or not all(b >= 0 < e and b + e <= n and s > 0 for b, e, s, n in zip(*given, shape, strict=True)):
        raise ModelError(
            f"offset, which counts ends from begins, is supported inside of every dimension alone and without masks: "
            f"begin {given[0]}, end {given[1]}, strides {given[2]} of {shape}",
            where=context.where,
        )


def _spread(context: OpContext, options: Any, given: int, rank: int) -> list[Any]:
    """What happens to each dimension in turn: an index of begin, end and strides, None (all of it), or "new"."""
    new = [i for i in range(given) if options.newAxisMask >> i & 1 and not options.ellipsisMask >> i & 1]
    dots = [i for i in range(given) if options.ellipsisMask >> i & 1]
    taken = given - len(new) - len(dots)
    if len(dots) > 1 or taken > rank:
        raise ModelError(f"{given} indices with {len(dots)} ellipses of rank {rank}", where=context.where)
    specs: list[Any] = []
    for i in range(given):
        specs += [None] * (rank - taken) if i in dots else ["new" if i in new else i]
    return specs + ([] if dots else [None] * (rank - taken))


def _one_range(
    context: OpContext, options: Any, i: int, n: int, begin: int, end: int, step: int
) -> tuple[int, int, int]:
    """(first, step, count) of one dimension of n. Source: kernels/internal/strided_slice_logic.h."""
    low, high = (0, n) if step > 0 else (-1, n - 1)
    first = begin + n if begin < 0 else begin
    first = min(max(first, low), high)
    if options.beginMask >> i & 1:
        first = 0 if step > 0 else n - 1
    if options.shrinkAxisMask >> i & 1:
        last, step = first + 1, 1
    else:
        last = begin + end if options.offset else end
        last = min(max(last + n if last < 0 else last, low), high)
        if options.endMask >> i & 1:
            last = n if step > 0 else -1
    count = -(-(last - first) // step) if step else 0
    if count < 1 or not 0 <= first < n:
        raise ModelError(f"{begin}:{end}:{step} of a dimension of {n} takes nothing", where=context.where)
    return first, step if count > 1 else 1, count


def _part(shape: tuple[int, ...], axis: int, first: int, count: int) -> SliceAttrs:
    whole = count == shape[axis]
    return SliceAttrs(tuple((first, 1, count) if d == axis and not whole else None for d in range(len(shape))))


def _split_axis(context: OpContext, number: int) -> int:
    axes = constant_integers(context, number, "the dimension to split")
    if len(axes) != 1:
        raise ModelError(f"{len(axes)} dimensions to split, expected 1", where=context.where)
    return one_dimension(axes[0], len(source_of(context).shape), "dimension", context.where)


def _split(context: OpContext) -> Attrs:
    axis, shape = _split_axis(context, 1), source_of(context).shape
    parts = int(options_of(context, generated.SplitOptionsT).numSplits)
    if parts != context.outputs or shape[axis] % parts:
        raise ModelError(f"{shape} in {parts} parts for {context.outputs} outputs", where=context.where)
    count = shape[axis] // parts
    gives(context, (*shape[:axis], count, *shape[axis + 1 :]))
    return _part(shape, axis, context.place * count, count)


def _split_v(context: OpContext) -> Attrs:
    axis, shape = _split_axis(context, 2), source_of(context).shape
    sizes = list(constant_integers(context, 1, "the sizes of the parts"))
    parts = int(options_of(context, generated.SplitVOptionsT).numSplits)
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = shape[axis] - sum(sizes) - 1
    if not parts == len(sizes) == context.outputs or min(sizes) < 1 or sum(sizes) != shape[axis]:
        what = f"{shape[axis]} in {parts} parts of {sizes} for {context.outputs} outputs"
        raise ModelError(what, where=context.where)
    gives(context, (*shape[:axis], sizes[context.place], *shape[axis + 1 :]))
    return _part(shape, axis, sum(sizes[: context.place]), sizes[context.place])


def _unpack(context: OpContext) -> Attrs:
    options, shape = options_of(context, generated.UnpackOptionsT), source_of(context).shape
    axis = one_dimension(options.axis, len(shape), "dimension", context.where)
    if not int(options.num) == context.outputs == shape[axis]:
        raise ModelError(f"{shape} along dimension {axis} for {context.outputs} outputs", where=context.where)
    gives(context, (*shape[:axis], *shape[axis + 1 :]))
    if source_of(context).quant != context.output.quant:  # the other slices copy codes whatever their scales
        raise ModelError("input and output must have one scale and zero point", where=context.where)
    return _part(shape, axis, context.place, 1)


PARSERS: Mapping[str, OpParser] = {
    "SLICE": OpParser((3, 3), _slice, floats=True),
    "SPLIT": OpParser((2, 2), _split, "SLICE", splits=True, order=(1, 0), floats=True),
    "SPLIT_V": OpParser((3, 3), _split_v, "SLICE", splits=True, floats=True),
    "STRIDED_SLICE": OpParser((4, 4), _strided_slice, "SLICE", floats=True),
    "UNPACK": OpParser((1, 1), _unpack, "SLICE", splits=True, floats=True),
}
