"""Encodings: what is decoded is what was encoded, and the size is the promised one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcuprune.encodings import ENCODINGS
from mcuprune.errors import EncodingError

NAMES = list(ENCODINGS)


def sparse_rows(rows: int, cols: int, density: float, seed: int) -> np.ndarray:
    """Seeded int8 rows; about `density` of the weights are not zero."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-128, 128, (rows, cols)).astype(np.int8)
    return np.where(rng.random((rows, cols)) < density, values, 0).astype(np.int8)


@pytest.mark.parametrize("name", NAMES)
@given(
    rows=st.integers(1, 9),
    cols=st.sampled_from([1, 2, 3, 7, 8, 9, 64, 255, 256, 257, 513, 1100]),
    density=st.sampled_from([0.0, 0.003, 0.2, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
def test_decode_is_the_inverse(name: str, rows: int, cols: int, density: float, seed: int) -> None:
    """decode(encode(w)) == w, for rows that are empty, full, and longer than one gap."""
    weights = sparse_rows(rows, cols, density, seed)
    if name in ("nm2x4", "nm2x4x2"):  # hold no other pattern
        weights = np.resize(weights, (rows, -(-cols // 4) * 4))
        weights[:, seed % 4 :: 4], weights[:, (seed + 1 + seed // 4 % 3) % 4 :: 4] = 0, 0
    encoded = ENCODINGS[name].encode(weights)
    np.testing.assert_array_equal(ENCODINGS[name].decode(encoded), weights)
    assert encoded.flash_bytes == sum(a.data.nbytes for a in encoded.arrays)


def test_sizes() -> None:
    """A row of 276 weights, 55 of them not zero, in each encoding."""
    weights = np.zeros((2, 276), np.int8)
    weights[:, :275:5] = 7
    sizes = {name: ENCODINGS[name].encode(weights).flash_bytes for name in NAMES}
    assert sizes["nm2x4x2"] == 276 // 4 * (1 + 4)
    assert sizes["nm2x4"] == 2 * 276 // 4 * (1 + 2)
    assert sizes["dense"] == 2 * 276
    assert sizes["bitmap"] == 2 * (35 + 55)
    assert sizes["gap"] == 2 * (2 + 2 * 55)
    assert sizes["rice"] == 2 * 2 + -(-2 * 55 * 4 // 8) + 2 * 55  # gaps of 4: k = 2, a 0, a 1, two bits
    assert sizes["block2x1"] == 2 + 55 * (1 + 2)
    assert sizes["block1x2"] == 2 * (2 + 55 * 3)


def test_long_gaps_are_bridged() -> None:
    """A distance over 255 becomes pairs of value 0; the positions stay."""
    weights = np.zeros((1, 1000), np.int8)
    weights[0, [0, 255, 511, 999]] = [1, 2, 3, -4]
    pairs = ENCODINGS["gap"].encode(weights).array("pairs").reshape(-1, 2).tolist()
    assert pairs == [[0, 1], [255, 2], [255, 0], [1, 3], [255, 0], [233, 252]]


@pytest.mark.parametrize("zeros", [0.5, 0.8, 0.9])
def test_rice_is_near_the_entropy(zeros: float) -> None:
    """Codes of gaps take at most 3% more than H(mask), and less than a bitmap does."""
    rows = sparse_rows(300, 300, 1 - zeros, 5)
    kept = np.count_nonzero(rows) / rows.size
    bound = -(kept * np.log2(kept) + (1 - kept) * np.log2(1 - kept)) * rows.size / 8
    size = ENCODINGS["rice"].encode(rows).array("bits").nbytes
    assert bound * 0.99 < size < bound * 1.03
    assert size < ENCODINGS["bitmap"].encode(rows).array("mask").nbytes


@pytest.mark.parametrize(
    "weights",
    [np.ones((1, 4), np.int8), np.ones((2, 6), np.int8), np.eye(2, 4, dtype=np.int8) + np.eye(2, 4, 2, dtype=np.int8)],
)
def test_other_patterns_are_refused(weights: np.ndarray) -> None:
    """2:4x2 holds two columns of four, the same ones in two rows."""
    with pytest.raises(EncodingError, match=r"2:4x2|fours"):
        ENCODINGS["nm2x4x2"].encode(weights)
