"""Images in another size, by interpolation between neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import ResizeAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.operators.checks import image, moved_input, one_type, shape_is
from mcuprune.ir.operators.operator import Array, Operator, same_channels

Int64 = npt.NDArray[np.int64]
ONE = 1 << 10
"""Distance between two neighbours."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Output i of a dimension lies at input i * step + start, in units of 1 / 1024."""

    step: int
    start: int


def steps_along(in_size: int, out_size: int, attrs: ResizeAttrs) -> Steps:
    """Where the outputs of one dimension lie.

    Source: ResizeBilinearInteger in TensorFlow Lite, kernels/internal/reference/resize_bilinear.h.
    """
    step = (ONE * in_size + out_size // 2) // out_size
    if attrs.align_corners and out_size > 1:
        step = (ONE * (in_size - 1) + (out_size - 1) // 2) // (out_size - 1)
    return Steps(step, step // 2 - ONE // 2 if attrs.half_pixel_centers else 0)


def neighbours(in_size: int, out_size: int, attrs: ResizeAttrs) -> tuple[Int64, Int64, Int64]:
    """Lower and upper neighbour of each output, and the distance to the lower one, which may be below 0."""
    along = steps_along(in_size, out_size, attrs)
    place = np.arange(out_size, dtype=np.int64) * along.step + along.start
    lower = np.maximum(np.trunc(place / ONE).astype(np.int64), 0)
    upper = np.minimum(np.trunc((place + ONE - 1) / ONE).astype(np.int64), in_size - 1)
    return lower, upper, place - ONE * lower


def _check_bilinear(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, ResizeAttrs)
    data, output = moved_input(graph, op), graph.output_of(op)
    one_type(data, output)
    image(data)
    image(output)
    shape_is(output, (1, *output.shape[1:3], data.shape[3]))
    for n, m in zip(data.shape[1:3], output.shape[1:3], strict=True):
        if int(neighbours(n, m, op.attrs)[0].max()) >= n:
            raise ModelError(
                f"from {n} to {m} pixels the reference reads behind the image",
                hint="resize in steps, or by less",
            )


def resize_bilinear(graph: Graph, op: Op, data: Array) -> Array:
    """RESIZE_BILINEAR: weights of 10 bits in each dimension, one rounding, halves away from zero.

    Source: ResizeBilinearInteger in TensorFlow Lite, kernels/internal/reference/resize_bilinear.h.
    """
    assert isinstance(op.attrs, ResizeAttrs)
    _, height, width, _ = graph.output_of(op).shape
    y0, y1, dy = neighbours(data.shape[1], height, op.attrs)
    x0, x1, dx = neighbours(data.shape[2], width, op.attrs)
    pixels = data[0].astype(np.int64)
    above = pixels[y0][:, x0] * (ONE - dx)[:, None] + pixels[y0][:, x1] * dx[:, None]
    below = pixels[y1][:, x0] * (ONE - dx)[:, None] + pixels[y1][:, x1] * dx[:, None]
    total = above * (ONE - dy)[:, None, None] + below * dy[:, None, None]
    rounded = np.sign(total) * ((np.abs(total) + ONE * ONE // 2) // (ONE * ONE))
    resized: Array = rounded.astype(data.dtype)[None]
    return resized


OPERATORS: Mapping[str, Operator] = {
    "RESIZE_BILINEAR": Operator(_check_bilinear, resize_bilinear, carried=same_channels),
}
