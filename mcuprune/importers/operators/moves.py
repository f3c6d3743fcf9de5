"""Options of operators that move values: padding, other orders, repetitions."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError
from mcuprune.importers.operators.reading import (
    MAX_RANK,
    MAX_WINDOW,
    OpContext,
    OpParser,
    check_type,
    constant_integers,
    gives,
    one_dimension,
    optional_options,
    options_of,
    source_of,
)
from mcuprune.ir.attributes import Attrs, GatherAttrs, NoAttrs, PadAttrs, SliceAttrs, TransposeAttrs
from mcuprune.ir.graph import Tensor
from mcuprune.ir.shapes import reshape_shape
from mcuprune.tflite import schema

MAX_INDICES = 2**20
"""Along one dimension of the output of an operator that becomes a GATHER."""


def _few_indices(context: OpContext) -> None:
    if max(context.output.shape, default=1) > MAX_INDICES:
        raise ModelError(
            f"more than {MAX_INDICES} indices along a dimension of {context.output.shape}", where=context.where
        )


def _paddings(context: OpContext) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What lies before and after each dimension."""
    values, tensor, source = constant_integers(context, 1, "the paddings"), context.inputs[1], source_of(context)
    assert tensor is not None
    if tensor.shape != (len(source.shape), 2):
        raise ModelError(f"paddings {tensor.shape} of an input {source.shape}", where=context.where)
    if min(values) < 0 or max(values) >= MAX_WINDOW:
        raise ModelError(f"paddings {values} are not in 0..{MAX_WINDOW - 1}", where=context.where)
    return values[::2], values[1::2]


def _pad(context: OpContext) -> Attrs:
    before, after = _paddings(context)
    if len(context.inputs) < 3 or context.inputs[2] is None:
        return PadAttrs(before, after)
    return PadAttrs(before, after, _pad_value(context, context.inputs[2]))


def _pad_value(context: OpContext, tensor: Tensor) -> float:
    """What PADV2 adds: a constant of the output's type, scale and zero point."""
    if tensor.data is None or tensor.size != 1 or tensor.dtype is not context.output.dtype:
        raise ModelError("what is padded with must be one constant of the input's type", where=context.where)
    ours, theirs = context.output.quant, tensor.quant
    if ours and (theirs is None or (ours.scales, ours.zero_points) != (theirs.scales, theirs.zero_points)):
        raise ModelError("what is padded with must have the output's scale and zero point", where=context.where)
    return tensor.data.reshape(-1)[0].item()  # type: ignore[no-any-return]


def _mirror_pad(context: OpContext) -> Attrs:
    """Indices mirrored at each end, the border itself repeated in SYMMETRIC mode."""
    options, shape = options_of(context, generated.MirrorPadOptionsT), source_of(context).shape
    if options.mode not in (0, 1):
        raise ModelError(f"mode {options.mode} is neither REFLECT nor SYMMETRIC", where=context.where)
    skip = 1 - options.mode
    _few_indices(context)
    indices = []
    for n, before, after in zip(shape, *_paddings(context), strict=True):
        if max(before, after) > n - skip:
            raise ModelError(
                f"{max(before, after)} elements beside {n} are more than a mirror holds", where=context.where
            )
        left = [skip + before - 1 - i for i in range(before)]
        right = [n - 1 - skip - i for i in range(after)]
        indices.append((*left, *range(n), *right) if before or after else None)
    gives(context, tuple(n if i is None else len(i) for n, i in zip(shape, indices, strict=True)))
    return GatherAttrs(shape, tuple(indices))


def _reshape(context: OpContext) -> Attrs:
    source = source_of(context)
    told = optional_options(context, generated.ReshapeOptionsT).newShape
    if told is not None and len(told) > MAX_RANK:  # unused where an input says the shape, but runtimes read it
        raise ModelError(
            f"the options' new shape has {len(told)} dimensions, at most {MAX_RANK} are supported", where=context.where
        )
    shape = context.inputs[1] if len(context.inputs) > 1 else None
    if shape is None and len(context.inputs) > 1:  # runtimes crash on it
        raise ModelError("the input that says the shape is named, but absent (-1)", where=context.where)
    if shape is not None and len(shape.shape) == 1:
        wanted = constant_integers(context, 1, "the shape")
    elif shape is not None:
        raise ModelError(f"the new shape must be a vector, it is {shape.shape}", where=context.where)
    else:
        options = options_of(context, generated.ReshapeOptionsT)
        wanted = tuple(int(n) for n in schema.numbers(options.newShape))
    if reshape_shape(source.shape, wanted) != context.output.shape:
        raise ModelError(f"{source.shape} to {wanted} does not give {context.output.shape}", where=context.where)
    return NoAttrs()


def _squeeze(context: OpContext) -> Attrs:
    options, shape = optional_options(context, generated.SqueezeOptionsT), source_of(context).shape
    listed = [one_dimension(d, len(shape), "dimension", context.where) for d in schema.numbers(options.squeezeDims)]
    gone = listed or [d for d, n in enumerate(shape) if n == 1]
    if any(shape[d] != 1 for d in gone):
        raise ModelError(f"dimensions {listed} of {shape} are not all of size 1", where=context.where)
    gives(context, tuple(n for d, n in enumerate(shape) if d not in gone))
    return NoAttrs()


def _expand_dims(context: OpContext) -> Attrs:
    axes, shape = constant_integers(context, 1, "the new dimension"), source_of(context).shape
    if len(axes) != 1:
        raise ModelError(f"{len(axes)} new dimensions, expected 1", where=context.where)
    axis = one_dimension(axes[0], len(shape) + 1, "dimension", context.where)
    gives(context, (*shape[:axis], 1, *shape[axis:]))
    return NoAttrs()


def _transpose(context: OpContext) -> Attrs:
    shape = source_of(context).shape
    order = tuple(
        one_dimension(d, len(shape), "dimension", context.where) for d in constant_integers(context, 1, "the order")
    )
    if sorted(order) != list(range(len(shape))):
        raise ModelError(f"order {order} of an input {shape}", where=context.where)
    gives(context, tuple(shape[d] for d in order))
    return TransposeAttrs(shape, order)


def _reverse(context: OpContext) -> Attrs:
    shape = source_of(context).shape
    axes = {one_dimension(d, len(shape), "dimension", context.where) for d in constant_integers(context, 1, "the axes")}
    gives(context, shape)
    return SliceAttrs(tuple((n - 1, -1, n) if d in axes else None for d, n in enumerate(shape)))


def _block(context: OpContext, wanted: type) -> tuple[int, int, int, int, int]:
    """(block, batch, height, width, channels) of SPACE_TO_DEPTH and DEPTH_TO_SPACE."""
    block, shape = int(options_of(context, wanted).blockSize), source_of(context).shape
    if block < 1 or len(shape) != 4:
        raise ModelError(f"blocks of {block} of an input {shape}", where=context.where)
    return (block, *shape)


def _space_to_depth(context: OpContext) -> Attrs:
    block, batch, height, width, channels = _block(context, generated.SpaceToDepthOptionsT)
    if height % block or width % block:
        raise ModelError(f"{height}x{width} do not divide into blocks of {block}", where=context.where)
    gives(context, (batch, height // block, width // block, block * block * channels))
    return TransposeAttrs((batch, height // block, block, width // block, block, channels), (0, 1, 3, 2, 4, 5))


def _depth_to_space(context: OpContext) -> Attrs:
    block, batch, height, width, channels = _block(context, generated.DepthToSpaceOptionsT)
    if channels % (block * block):
        raise ModelError(f"{channels} channels do not divide into blocks of {block}x{block}", where=context.where)
    inner = channels // (block * block)
    gives(context, (batch, height * block, width * block, inner))
    return TransposeAttrs((batch, height, width, block, block, inner), (0, 1, 3, 2, 4, 5))


def _gather(context: OpContext) -> Attrs:
    """Positions are constant: the reference refuses those that are out of range when it runs."""
    options, shape = options_of(context, generated.GatherOptionsT), source_of(context).shape
    axis = one_dimension(options.axis, len(shape), "dimension", context.where)
    positions, tensor = constant_integers(context, 1, "the positions"), context.inputs[1]
    assert tensor is not None
    if not all(0 <= p < shape[axis] for p in positions):
        raise ModelError(f"positions up to {max(positions)} of a dimension of {shape[axis]}", where=context.where)
    gives(context, (*shape[:axis], *tensor.shape, *shape[axis + 1 :]))
    return GatherAttrs(shape, tuple(positions if d == axis else None for d in range(len(shape))))


def _tile(context: OpContext) -> Attrs:
    shape, times = source_of(context).shape, constant_integers(context, 1, "the repetitions")
    if len(times) != len(shape) or min(times, default=1) < 1 or max(times, default=1) >= MAX_WINDOW:
        raise ModelError(f"repetitions {times} of an input {shape}", where=context.where)
    gives(context, tuple(n * t for n, t in zip(shape, times, strict=True)))
    _few_indices(context)
    return GatherAttrs(shape, tuple(None if t == 1 else (*range(n),) * t for n, t in zip(shape, times, strict=True)))


def _broadcast(context: OpContext) -> Attrs:
    """BROADCAST_TO and FILL, whose input is one value."""
    source, wanted = source_of(context).shape, constant_integers(context, 1, "the shape")
    view = (1,) * (len(wanted) - len(source)) + source
    if len(view) != len(wanted) or any(n not in (1, m) for n, m in zip(view, wanted, strict=True)):
        raise ModelError(f"{source} does not repeat to {wanted}", where=context.where)
    if math.prod(wanted) < 1:
        raise ModelError(f"the shape {wanted} holds nothing", where=context.where)
    gives(context, wanted)
    _few_indices(context)
    return GatherAttrs(view, tuple(None if n == m else (0,) * m for n, m in zip(view, wanted, strict=True)))


def _batches(context: OpContext) -> Attrs:
    raise ModelError(
        "batches of pixels are only supported around a convolution of stride 1 with VALID padding, over images "
        "(1, height, width, channels) or lines (1, steps, channels)",
        where=context.where,
        hint="write a 1-D convolution as Conv2D over (1, steps), whose dilation the converter keeps",
    )


def _shape(context: OpContext) -> Attrs:
    check_type(optional_options(context, generated.ShapeOptionsT).outType, "type", context.where)
    return NoAttrs()


PARSERS: Mapping[str, OpParser] = {
    "BATCH_TO_SPACE_ND": OpParser((3, 3), _batches, "TRANSPOSE", floats=True),
    "BROADCAST_TO": OpParser((2, 2), _broadcast, "GATHER", floats=True),
    "DEPTH_TO_SPACE": OpParser((1, 1), _depth_to_space, "TRANSPOSE", floats=True),
    "EXPAND_DIMS": OpParser((2, 2), _expand_dims, "RESHAPE", floats=True),
    "FILL": OpParser((2, 2), _broadcast, "GATHER", order=(1, 0), floats=True),
    "GATHER": OpParser((2, 2), _gather, floats=True),
    "MIRROR_PAD": OpParser((2, 2), _mirror_pad, "GATHER", floats=True),
    "PAD": OpParser((2, 2), _pad, floats=True),
    "PADV2": OpParser((3, 3), _pad, "PAD", floats=True),
    "RESHAPE": OpParser((1, 2), _reshape, floats=True),
    "REVERSE_V2": OpParser((2, 2), _reverse, "SLICE", floats=True),
    "SHAPE": OpParser((1, 1), _shape, floats=True),
    "SPACE_TO_BATCH_ND": OpParser((3, 3), _batches, "TRANSPOSE", floats=True),
    "SPACE_TO_DEPTH": OpParser((1, 1), _space_to_depth, "TRANSPOSE", floats=True),
    "SQUEEZE": OpParser((1, 1), _squeeze, "RESHAPE", floats=True),
    "TILE": OpParser((2, 2), _tile, "GATHER", floats=True),
    "TRANSPOSE": OpParser((2, 2), _transpose, floats=True),
}
