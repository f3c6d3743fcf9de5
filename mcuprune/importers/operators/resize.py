"""Options of operators that give an image another size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError
from mcuprune.importers.operators.reading import (
    MAX_WINDOW,
    OpContext,
    OpParser,
    constant_integers,
    gives,
    optional_options,
    source_of,
)
from mcuprune.ir.attributes import Attrs, GatherAttrs, ResizeAttrs


def _size(context: OpContext) -> tuple[int, ...]:
    """Height and width of the output; the reference takes images with channels last."""
    shape, size = source_of(context).shape, constant_integers(context, 1, "the size")
    if len(shape) != 4 or len(size) != 2 or not 0 < min(size) <= max(size) < MAX_WINDOW:
        raise ModelError(f"size {size} of an input {shape}", where=context.where)
    gives(context, (shape[0], *size, shape[3]))
    return size


def _bilinear(context: OpContext) -> Attrs:
    options = optional_options(context, generated.ResizeBilinearOptionsT)
    _size(context)
    if options.alignCorners and options.halfPixelCenters:
        raise ModelError("corners are aligned and pixels have half centers, only one can be", where=context.where)
    return ResizeAttrs(bool(options.alignCorners), bool(options.halfPixelCenters))


def _nearest(context: OpContext) -> Attrs:
    options = optional_options(context, generated.ResizeNearestNeighborOptionsT)
    shape = source_of(context).shape
    indices = [_nearest_indices(n, m, options) for n, m in zip(shape[1:3], _size(context), strict=True)]
    return GatherAttrs(shape, (None, *indices, None))


def _nearest_indices(in_size: int, out_size: int, options: Any) -> tuple[int, ...]:
    """The nearest input of each output, in float32; halves away from zero where corners are aligned.

    Source: GetNearestNeighbor in TensorFlow Lite, kernels/internal/reference/resize_nearest_neighbor.h.
    """
    scale = np.float32(in_size) / np.float32(out_size)
    if options.alignCorners and out_size > 1:
        scale = np.float32(in_size - 1) / np.float32(out_size - 1)
    offset = np.float32(0.5 if options.halfPixelCenters else 0.0)
    place = (np.arange(out_size, dtype=np.float32) + offset) * scale
    whole = np.floor(place)
    if options.alignCorners:
        whole += place - whole >= np.float32(0.5)
    return tuple(int(n) for n in np.minimum(whole, in_size - 1))


PARSERS: Mapping[str, OpParser] = {
    "RESIZE_BILINEAR": OpParser((2, 2), _bilinear),
    "RESIZE_NEAREST_NEIGHBOR": OpParser((2, 2), _nearest, "GATHER", floats=True),
}
