"""Areas in proportion to sizes: a squarified treemap (Bruls, Huizing, van Wijk, 2000)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    x: float
    y: float
    width: float
    height: float


def treemap(sizes: Sequence[float], frame: Box) -> list[Box]:
    """A box for each size, in the order given, none of them long and thin where that can be helped.

    Args:
        sizes: positive, the largest first for the best shapes.
    """
    total = sum(sizes)
    if not sizes or total <= 0:
        return []
    scale = frame.width * frame.height / total
    areas, boxes, at = [size * scale for size in sizes], [], 0
    while at < len(areas):
        short = min(frame.width, frame.height)
        count = 1
        while at + count < len(areas) and _worst(areas[at : at + count + 1], short) <= _worst(
            areas[at : at + count], short
        ):
            count += 1
        row, frame = _lay(areas[at : at + count], frame)
        boxes += row
        at += count
    return boxes


def _worst(areas: Sequence[float], side: float) -> float:
    """The largest ratio of a box's sides when these areas share a strip along a side."""
    total = sum(areas)
    return max(max(side**2 * a / total**2, total**2 / (side**2 * a)) for a in areas)


def _lay(areas: Sequence[float], frame: Box) -> tuple[list[Box], Box]:
    """A strip of boxes along the shorter side, and the frame that is left."""
    total, boxes = sum(areas), []
    if frame.width >= frame.height:
        width, y = total / frame.height, frame.y
        for area in areas:
            boxes.append(Box(frame.x, y, width, area / width))
            y += area / width
        return boxes, Box(frame.x + width, frame.y, frame.width - width, frame.height)
    height, x = total / frame.width, frame.x
    for area in areas:
        boxes.append(Box(x, frame.y, area / height, height))
        x += area / height
    return boxes, Box(frame.x, frame.y + height, frame.width, frame.height - height)
