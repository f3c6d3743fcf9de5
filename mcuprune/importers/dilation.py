"""SPACE_TO_BATCH_ND, a convolution, BATCH_TO_SPACE_ND: how converters write a dilated convolution. It is read as one.

Each of the block's phases is a batch of its own, so a convolution of stride 1 over the batches equals one over the
image whose taps lie a block apart. What SPACE_TO_BATCH_ND pads and BATCH_TO_SPACE_ND does not crop is the padding.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from mcuprune.importers.folding import Step
from mcuprune.importers.operators.reading import constant_integers
from mcuprune.ir.attributes import Padding
from mcuprune.ir.graph import Tensor
from mcuprune.ir.shapes import explicit_pads
from mcuprune.tflite.schema import numbers

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_PADDINGS = {Padding.SAME: 0, Padding.VALID: 1}
"""Numbers of the schema."""


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Block of each spatial dimension, and what is padded or cropped (before, after)."""

    block: tuple[int, int]
    margins: tuple[tuple[int, int], tuple[int, int]]


def join_dilated(steps: Sequence[Step], tensors: dict[int, Tensor], outputs: Collection[int], free: int) -> list[Step]:
    """The operators with every such chain as one dilated convolution, in the place of its own.

    Around a convolution over one dimension, converters put it between an EXPAND_DIMS and a RESHAPE, which stay.

    Args:
        tensors: gets those on both sides of such a convolution, from number `free` on.
    """
    chains = _Chains(steps, outputs)
    changed, gone = dict[int, Step](), set[int]()
    for place, step in enumerate(steps):
        chain = chains.of(place, 5) if step.file_kind == "SPACE_TO_BATCH_ND" else ()
        image, line = _dilated(chain[:3], steps, tensors), _dilated_line(chain, steps, tensors, free)
        if image is not None:
            changed[chain[2]] = image
            gone |= {*chain[:2]}
        elif line is not None:
            expand, conv, flat, made = line
            changed |= dict(zip(chain[1:4], (expand, conv, flat), strict=True))
            gone |= {chain[0], chain[4]}
            tensors |= {tensor.index: tensor for tensor in made}
            free += len(made)
    return [changed.get(place, step) for place, step in enumerate(steps) if place not in gone]


class _Chains:
    """Operators each of which is all that reads the one before."""

    def __init__(self, steps: Sequence[Step], outputs: Collection[int]) -> None:
        self.steps, self.outputs = steps, outputs
        self.readers: dict[int, list[int]] = {}
        for place, step in enumerate(steps):
            for tensor in step.inputs:
                self.readers.setdefault(tensor, []).append(place)

    def of(self, place: int, most: int) -> tuple[int, ...]:
        """Places of a chain from one operator on."""
        chain = [place]
        while len(chain) < most:
            output = self.steps[chain[-1]].output
            found = self.readers.get(output, [])
            if len(found) != 1 or output in self.outputs:
                break
            chain.append(found[0])
        return tuple(chain)


def _dilated(chain: Sequence[int], steps: Sequence[Step], tensors: Mapping[int, Tensor]) -> Step | None:
    """One convolution for three operators, None where they are not what converters write."""
    if len(chain) < 3:
        return None
    before, conv, after = (steps[place] for place in chain)
    if conv.file_kind not in _CONVOLUTIONS or after.file_kind != "BATCH_TO_SPACE_ND" or not _follows(conv, before):
        return None
    options = _dilated_options(before, conv, after, tensors, 4)
    if options is None:
        return None
    return replace(conv, inputs=(before.inputs[0], *conv.inputs[1:]), output=after.output, options=options)


def _dilated_line(
    chain: Sequence[int], steps: Sequence[Step], tensors: Mapping[int, Tensor], free: int
) -> tuple[Step, Step, Step, tuple[Tensor, Tensor]] | None:
    """The three in the middle of five operators, over a line (1, 1, length, channels), and the tensors between them."""
    if len(chain) < 5:
        return None
    before, expand, conv, flat, after = (steps[place] for place in chain)
    if conv.file_kind not in _CONVOLUTIONS or after.file_kind != "BATCH_TO_SPACE_ND":
        return None
    if not all(_follows(b, a) for a, b in ((before, expand), (expand, conv), (conv, flat))):
        return None
    options = _dilated_options(before, conv, after, tensors, 3)
    source, result = tensors[before.inputs[0]], tensors[after.output]
    if options is None or len(result.shape) != 3:
        return None
    if not _alike(source, tensors[before.output]) or not _alike(result, tensors[flat.output]):
        return None
    phases = options.dilationWFactor
    margins = _margins(before, tensors)
    length = (source.shape[1] + margins) // phases
    summed = length - tensors[conv.inputs[1]].shape[2] + 1
    lines = (phases, 1, length, source.shape[2]), (phases, summed, result.shape[2])
    if not _gives(expand, tensors, lines[0]) or not _gives(flat, tensors, lines[1]):
        return None
    on_line = replace(
        source, index=free, name=tensors[expand.output].name, shape=_as_image(source.shape), same_as=source.index
    )
    summed_line = replace(
        result, index=free + 1, name=tensors[conv.output].name, shape=_as_image(result.shape), same_as=result.index
    )
    return (
        _reshaped(expand, source.index, on_line),
        replace(conv, inputs=(on_line.index, *conv.inputs[1:]), output=summed_line.index, options=options),
        _reshaped(flat, summed_line.index, result),
        (on_line, summed_line),
    )


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether values of one are values of the other."""
    return (one.dtype, one.quant) == (other.dtype, other.quant)


def _follows(step: Step, before: Step) -> bool:
    """Whether an operator's data, not a parameter, is another one's output."""
    return step.inputs[0] == before.output


def _gives(step: Step, tensors: Mapping[int, Tensor], shape: tuple[int, ...]) -> bool:
    """Whether an operator puts dimension 1 in, or takes it out, and gives this shape."""
    context = step.context(f"op {step.index} {step.file_kind}", tensors)
    if step.file_kind == "EXPAND_DIMS":
        return len(shape) == 4 and constant_integers(context, 1, "the dimension") in ((1,), (-3,))
    if step.file_kind == "SQUEEZE":
        return len(shape) == 3 and numbers(getattr(step.options, "squeezeDims", None)) in ([1], [-3])
    if step.file_kind != "RESHAPE":
        return False
    told = getattr(step.options, "newShape", None)
    wanted = constant_integers(context, 1, "the shape") if len(step.inputs) > 1 else tuple(numbers(told))
    return wanted in (shape, (-1, *shape[1:]))


def _reshaped(step: Step, source: int, result: Tensor) -> Step:
    """A RESHAPE in the place of an operator."""
    options = schema.ReshapeOptionsT()
    options.newShape = list(result.shape)
    return replace(step, file_kind="RESHAPE", inputs=(source,), output=result.index, options=options)


def _margins(step: Step, tensors: Mapping[int, Tensor]) -> int:
    """What SPACE_TO_BATCH_ND adds to a line."""
    blocks = _blocks(step, tensors, 3)
    return sum(blocks.margins[1]) if blocks is not None else 0


def _as_image(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if len(shape) == 4 else (shape[0], 1, *shape[1:])


def _dilated_options(before: Step, conv: Step, after: Step, tensors: Mapping[int, Tensor], rank: int) -> Any | None:
    """Options of the one convolution; None where there is none. rank: of what the blocks are taken from."""
    source, weights, result = tensors[before.inputs[0]], tensors[conv.inputs[1]], tensors[after.output]
    if conv.options is None or not _plain(conv.options) or len(weights.shape) != 4:
        return None
    if not _alike(source, tensors[conv.inputs[0]]) or not _alike(result, tensors[conv.output]):
        return None
    split, merge = _blocks(before, tensors, rank), _blocks(after, tensors, rank)
    if split is None or merge is None or split.block != merge.block:
        return None
    pads = tuple((p[0] - c[0], p[1] - c[1]) for p, c in zip(split.margins, merge.margins, strict=True))
    padding = _padding(pads, _as_image(source.shape), weights, split.block)
    if padding is None:
        return None
    changed = copy.copy(conv.options)
    changed.dilationHFactor, changed.dilationWFactor = split.block
    changed.padding = _PADDINGS[padding]
    return changed


def _plain(options: object) -> bool:
    """Stride 1, no dilation, VALID."""
    names = ("strideH", "strideW", "dilationHFactor", "dilationWFactor", "padding")
    return all(getattr(options, name, None) == 1 for name in names)


def _blocks(step: Step, tensors: Mapping[int, Tensor], rank: int) -> _Blocks | None:
    """Parameters of one of the two, of images of 4 dimensions or lines of 3."""
    if len(tensors[step.inputs[0]].shape) != rank:
        return None
    context = step.context(f"op {step.index} {step.file_kind}", tensors)
    block, margins = (constant_integers(context, i, "block and margins") for i in (1, 2))
    if len(block) != rank - 2 or len(margins) != 2 * len(block) or min(block) < 1 or min(margins) < 0:
        return None
    block, margins = (1, *block)[-2:], (0, 0, *margins)[-4:]
    return _Blocks((block[0], block[1]), ((margins[0], margins[1]), (margins[2], margins[3])))


def _padding(
    pads: tuple[tuple[int, int], ...], source: tuple[int, ...], weights: Tensor, dilation: tuple[int, int]
) -> Padding | None:
    """The rule that gives just these pads. source: shape of the image."""
    size, taps = (source[1], source[2]), (weights.shape[1], weights.shape[2])
    for rule in (Padding.VALID, Padding.SAME):
        top, left, bottom, right = explicit_pads(size, taps, (1, 1), dilation, rule)
        if pads == ((top, bottom), (left, right)):
            return rule
    return None
