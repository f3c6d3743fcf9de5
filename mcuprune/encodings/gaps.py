"""Distances between entries of a row, one byte each: shared by gap and block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_GAP = 255


@dataclass(frozen=True, slots=True, eq=False)
class GapStream:
    """gaps: uint8, all rows one after the other; entry: whether a nonzero stands there; counts: gaps of each row."""

    gaps: NDArray[np.uint8]
    entry: NDArray[np.bool_]
    counts: NDArray[np.int64]


def gap_stream(kept: NDArray[np.bool_], starts: NDArray[np.int64] | None = None) -> GapStream:
    """Gaps that lead along the True places of each row.

    The first gap of a row is a position, the others are distances; a distance over 255 is bridged by gaps of 255 where
    nothing stands.

    Args:
        kept: bool (rows, positions).
        starts: where each row's first gap counts from; 0 unless given.
    """
    row, position = np.nonzero(kept)
    before = np.zeros_like(position) if starts is None else starts[row]
    same_row = row[1:] == row[:-1]
    before[1:][same_row] = position[:-1][same_row]
    distance = position - before
    bridges = np.maximum((distance - 1) // MAX_GAP, 0)
    last = np.cumsum(bridges + 1) - 1  # where each entry's own gap lies
    gaps = np.full(int((bridges + 1).sum()), MAX_GAP, np.uint8)
    gaps[last] = distance - MAX_GAP * bridges
    entry = np.zeros(len(gaps), bool)
    entry[last] = True
    counts = np.bincount(row, bridges + 1, len(kept)).astype(np.int64)
    return GapStream(gaps, entry, counts)


def positions_of(gaps: NDArray[np.integer]) -> NDArray[np.int64]:
    """Positions that the gaps of a row lead to, bridging ones included."""
    return np.cumsum(gaps.astype(np.int64))
