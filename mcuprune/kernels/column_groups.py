"""Columns of sparse rows cut into groups of at most 16, where it leaves the fewest groups with a nonzero.

Blocks of 16 columns start at multiples of 16 when a mask is made. Dead channels that leave the model shift them: what
was one block is then some 12 to 16 columns anywhere. The best cut finds them again.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcuprune.encodings import Rows

WIDTH = 16
NARROW = 12
"""Groups are at least this wide on average, so that a tile's size follows from the number of columns."""


def most_groups(cols: int) -> int:
    """How many groups there may be."""
    return -(-cols // NARROW) + 1


def group_starts(rows: Rows) -> npt.NDArray[np.int64]:
    """First column of each group: the fewest (row, group) pairs with a nonzero, then the fewest groups."""
    kept = rows != 0
    cols, most = kept.shape[1], most_groups(kept.shape[1])
    never = np.int64(2**40)
    best = np.full((cols + 1, most + 1), never)  # pairs with a nonzero in the first i columns, cut into g groups
    best[0, 0] = 0
    width_of = np.zeros((cols + 1, most + 1), np.int64)
    touched = _touched(kept)
    for end in range(1, cols + 1):
        for width in range(1, min(WIDTH, end) + 1):
            total = best[end - width, :-1] + touched[width - 1, end - width]
            better = total <= best[end, 1:]  # of equals, the wider last group
            best[end, 1:][better] = total[better]
            width_of[end, 1:][better] = width
    groups, starts = int(best[cols].argmin()), []
    while cols > 0:
        cols -= int(width_of[cols, groups])
        groups -= 1
        starts.append(cols)
    return np.array(starts[::-1], np.int64)


def _touched(kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """[width - 1, start]: rows with a nonzero among `width` columns from `start` on."""
    cols = kept.shape[1]
    result = np.zeros((WIDTH, cols), np.int64)
    seen = np.zeros_like(kept)
    for width in range(1, min(WIDTH, cols) + 1):
        seen = seen[:, : cols - width + 1] | kept[:, width - 1 :]
        result[width - 1, : cols - width + 1] = seen.sum(axis=0)
    return result


def grouped(rows: Rows, starts: npt.NDArray[np.int64]) -> Rows:
    """int8 (rows, groups, 16): each group's columns from its first lane on, zeros behind them."""
    lanes = np.zeros((rows.shape[0], len(starts), WIDTH), np.int8)
    ends = [*starts[1:].tolist(), rows.shape[1]]
    for group, (start, end) in enumerate(zip(starts.tolist(), ends, strict=True)):
        lanes[:, group, : end - start] = rows[:, start:end]
    return lanes
