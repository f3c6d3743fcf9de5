"""Columns cut into groups of at most 16: the cut is a partition, loses nothing, and finds blocks that have moved."""

from __future__ import annotations

import numpy as np
import pytest

from mcuprune.kernels import mve
from mcuprune.kernels.column_groups import WIDTH, group_starts, grouped, most_groups
from tests.c.kernel_cases import conv_case, conv_shape
from tests.kernels.layers import conv_layer


def block_mask(rng: np.random.Generator, rows: int, groups: int, density: float) -> np.ndarray:
    """Whole blocks of 16 columns."""
    return np.repeat(rng.random((rows, groups)) < density, WIDTH, axis=1)


def pairs(rows: np.ndarray, starts: np.ndarray) -> int:
    """(row, group) pairs with a nonzero."""
    return int(grouped(rows, starts).any(axis=2).sum())


@pytest.mark.parametrize("cols", [1, 2, 11, 12, 13, 15, 16, 17, 24, 25, 33, 276])
@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
def test_a_cut_is_a_partition(cols: int, density: float) -> None:
    """Groups follow one another, none is wider than 16, there are not too many, and all weights are in them."""
    rng = np.random.default_rng(cols)
    rows = (rng.integers(1, 128, (9, cols)) * (rng.random((9, cols)) < density)).astype(np.int8)
    starts = group_starts(rows)
    widths = np.diff([*starts.tolist(), cols])
    assert starts[0] == 0 and widths.min() >= 1 and widths.max() <= WIDTH
    assert len(starts) <= most_groups(cols)
    lanes = grouped(rows, starts)
    back = np.concatenate([lanes[:, g, :width] for g, width in enumerate(widths)], axis=1)
    assert np.array_equal(back, rows) and np.count_nonzero(lanes) == np.count_nonzero(rows)


@pytest.mark.parametrize("dropped", [0, 1, 5, 29])
def test_blocks_are_found_when_channels_are_gone(dropped: int) -> None:
    """Blocks of 16 that lost columns are no more blocks than before."""
    rng = np.random.default_rng(dropped)
    mask = block_mask(rng, 40, 17, 0.2)
    rows = (mask * rng.integers(1, 100, mask.shape)).astype(np.int8)
    blocks = int(mask[:, ::WIDTH].sum())
    rows = np.delete(rows, rng.choice(rows.shape[1], dropped, replace=False), axis=1)
    assert pairs(rows, group_starts(rows)) <= blocks


def test_equal_cuts_take_the_fewest_groups() -> None:
    """A full matrix is cut into whole vectors, the ragged one included."""
    starts = group_starts(np.ones((3, 276), np.int8))
    assert len(starts) == 18


@pytest.mark.parametrize("in_ch", [1024, 1025])
def test_very_long_rows_are_not_cut(in_ch: int) -> None:
    """The cut takes time and memory with the square of the columns."""
    case = conv_case("long", np.random.default_rng(1), conv_shape((2, 4, in_ch), 1, (2, 4)), 0.0)
    kernel = next(k for k in mve.KERNELS if k.encoding == "block1x16")
    assert (kernel.obstacle(conv_layer(case).params) is None) == (in_ch * 8 <= mve.MAX_CUT_COLUMNS)
