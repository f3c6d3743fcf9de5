"""SPACE_TO_BATCH_ND, a convolution, BATCH_TO_SPACE_ND: how converters write a dilated convolution. It is read as one.

Each of the block's phases is a batch of its own, so a convolution of stride 1 over the batches equals one over the
image whose taps lie a block apart. What SPACE_TO_BATCH_ND pads and BATCH_TO_SPACE_ND does not crop is the padding.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from mcuprune.importers.folding import Step
from mcuprune.importers.operators.reading import constant_integers
from mcuprune.ir.attributes import Padding
from mcuprune.ir.graph import Tensor
from mcuprune.ir.shapes import explicit_pads

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_PADDINGS = {Padding.SAME: 0, Padding.VALID: 1}
"""Numbers of the schema."""


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Block of each spatial dimension, and what is padded or cropped (before, after)."""

    block: tuple[int, int]
    margins: tuple[tuple[int, int], tuple[int, int]]


def join_dilated(steps: Sequence[Step], tensors: Mapping[int, Tensor], outputs: Collection[int]) -> list[Step]:
    """The operators with every such three as one dilated convolution, in the place of the last of them."""
    readers: dict[int, list[int]] = {}
    for place, step in enumerate(steps):
        for tensor in step.inputs:
            readers.setdefault(tensor, []).append(place)

    def next_of(step: Step) -> int | None:
        """The one operator that reads an output."""
        found = readers.get(step.output, [])
        return found[0] if len(found) == 1 and step.output not in outputs else None

    joined, gone = dict[int, Step](), set[int]()
    for place, step in enumerate(steps):
        if step.file_kind != "SPACE_TO_BATCH_ND":
            continue
        middle = next_of(step)
        last = next_of(steps[middle]) if middle is not None else None
        if middle is None or last is None:
            continue
        dilated = _dilated(step, steps[middle], steps[last], tensors)
        if dilated is not None:
            joined[last] = dilated
            gone |= {place, middle}
    return [joined.get(place, step) for place, step in enumerate(steps) if place not in gone]


def _dilated(before: Step, conv: Step, after: Step, tensors: Mapping[int, Tensor]) -> Step | None:
    """One convolution for three operators, None where they are not what converters write."""
    options = conv.options
    if conv.file_kind not in _CONVOLUTIONS or after.file_kind != "BATCH_TO_SPACE_ND" or options is None:
        return None
    if conv.inputs[0] != before.output or not _plain(options):
        return None
    source, weights = tensors[before.inputs[0]], tensors[conv.inputs[1]]
    if source.quant != tensors[before.output].quant or tensors[conv.output].quant != tensors[after.output].quant:
        return None
    split, merge = _blocks(before, tensors), _blocks(after, tensors)
    if split is None or merge is None or split.block != merge.block or len(weights.shape) != 4:
        return None
    pads = tuple((p[0] - c[0], p[1] - c[1]) for p, c in zip(split.margins, merge.margins, strict=True))
    padding = _padding(pads, source, weights, split.block)
    if padding is None:
        return None
    changed = copy.copy(options)
    changed.dilationHFactor, changed.dilationWFactor = split.block
    changed.padding = _PADDINGS[padding]
    return replace(conv, inputs=(before.inputs[0], *conv.inputs[1:]), output=after.output, options=changed)


def _plain(options: object) -> bool:
    """Stride 1, no dilation, VALID."""
    names = ("strideH", "strideW", "dilationHFactor", "dilationWFactor", "padding")
    return all(getattr(options, name, None) == 1 for name in names)


def _blocks(step: Step, tensors: Mapping[int, Tensor]) -> _Blocks | None:
    """Parameters of one of the two, of images of 4 dimensions."""
    if len(tensors[step.inputs[0]].shape) != 4:
        return None
    context = step.context(f"op {step.index} {step.file_kind}", tensors)
    block, margins = (constant_integers(context, i, "block and margins") for i in (1, 2))
    if len(block) != 2 or len(margins) != 4 or min(block) < 1 or min(margins) < 0:
        return None
    return _Blocks((block[0], block[1]), ((margins[0], margins[1]), (margins[2], margins[3])))


def _padding(
    pads: tuple[tuple[int, int], ...], source: Tensor, weights: Tensor, dilation: tuple[int, int]
) -> Padding | None:
    """The rule that gives just these pads."""
    size, taps = (source.shape[1], source.shape[2]), (weights.shape[1], weights.shape[2])
    for rule in (Padding.VALID, Padding.SAME):
        top, left, bottom, right = explicit_pads(size, taps, (1, 1), dilation, rule)
        if pads == ((top, bottom), (left, right)):
            return rule
    return None
