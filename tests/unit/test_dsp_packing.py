"""Packing for SMLAD kernels: requantization is exact, and neighbours are joined for the fewest steps."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcuprune.encodings.nm import pair_choices
from mcuprune.kernels.dsp_pairs import alone_or_with_next, column_runs, pair_words, row_order, steps_of
from mcuprune.kernels.dsp_requant import requant_rows
from mcuprune.kernels.dsp_smlad import obstacle, pairs_even_odd
from mcuprune.numerics import requantize
from tests.c.kernel_cases import kept_case
from tests.kernels.layers import conv_layer

Int64 = npt.NDArray[np.int64]


def _rounded_high(a: Int64, mult: int) -> Int64:
    """SMMULR."""
    return (a * mult + 2**31) >> 32


@given(
    mult=st.one_of(st.integers(2**30, 2**31 - 1), st.just(2**30), st.just(0)),
    right=st.integers(1, 22),
    out_zp=st.integers(-128, 127),
    relu=st.booleans(),
    seed=st.integers(0, 99),
)
def test_requantization_is_exact(mult: int, right: int, out_zp: int, relu: bool, seed: int) -> None:
    """Both forms of requant_dsp.h give the two roundings of the reference, halves among them, at every sum."""
    weights = np.full((1, 8), 127, np.int8)
    low = max(out_zp, -128) if relu else -128
    made = requant_rows(weights, np.zeros(1, int), np.array([mult]), np.array([-right]), out_zp, low, 127)
    assert not isinstance(made, str)
    rng = np.random.default_rng(seed)
    halves = (2 * rng.integers(-300, 300, 64) + 1) << max(right - 1, 0)  # of mult 2**30: sums on a tie
    acc = np.concatenate(
        [np.arange(-999, 999), rng.integers(-(2**22) + 1, 2**22, 999), np.clip(halves, -(2**22), 2**22 - 1)]
    )
    acc = acc[np.abs(acc) <= 127 * 128 * 8] if made.constant[0] else acc
    expected = np.clip(requantize(acc, mult, -right) + out_zp, low, 127)
    m, half, e = int(made.mult[0]), int(made.half[0]), int(made.right[0])
    if made.signed:
        got = (_rounded_high(2 * acc, m) + half - (acc < 0)) >> e
    else:
        got = (_rounded_high(2 * acc, m) + half) >> e
        wide = (((512 * acc * m) >> 32) + 256 * half + 128) >> (e + 8)
        np.testing.assert_array_equal(np.clip(wide, low, 127), expected)
    np.testing.assert_array_equal(np.clip(got, low, 127), expected)


def test_rows_without_a_choice_are_constant() -> None:
    """Shifts that a kernel cannot do are no obstacle where a row's bytes are all the same."""
    rows = np.array([[0, 0], [1, 1]], np.int8)
    mult, bias = np.array([2**30, 2**31 - 1]), np.array([2**29, 5])
    made = requant_rows(rows, bias, mult, np.array([0, -31]), 3, -128, 127)
    assert not isinstance(made, str)
    assert made.constant.all()
    assert ((made.half - 1) // 2).tolist() == [127, 3]
    assert "shifts by 0" in str(requant_rows(rows, np.array([0, 0]), mult, np.array([-9, 0]), 3, -128, 127))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 19)), min_size=1, max_size=9))
def test_the_cheapest_cut_is_found(costs: list[tuple[int, int]]) -> None:
    """Groups of one and two cost as little as the best of all cuts."""
    alone, joined = [c[0] for c in costs], [c[1] for c in costs[:-1]]

    def cost(sizes: tuple[int, ...]) -> int:
        at, total = 0, 0
        for size in sizes:
            total += alone[at] if size == 1 else joined[at]
            at += size
        return total

    cuts = (c for n in range(len(costs) + 1) for c in product((1, 2), repeat=n) if sum(c) == len(costs))
    assert cost(tuple(alone_or_with_next(alone, joined))) == min(cost(c) for c in cuts)


def test_shifted_blocks_stay_whole() -> None:
    """A row and a column that left the model do not split the blocks behind them."""
    kept = np.kron(np.random.default_rng(3).random((20, 20)) < 0.3, np.ones((2, 2), bool))
    order = row_order(np.delete(kept, 7, 0), lambda rows: rows.sum(axis=1))
    assert order.reshape(-1, 2).tolist()[2:5] == [[4, 5], [6, -1], [7, 8]]
    assert column_runs(np.delete(kept[::2], 12, 1)) == [13, 26]
    assert column_runs(kept[::2]) == [40]
    assert row_order(np.ones((3, 4), bool), lambda rows: rows.sum(axis=1)).tolist()[:2] in ([-1, 2], [0, -1])


def test_long_distances_are_bridged() -> None:
    """Steps reach 127 pairs far; the first pair 4095."""
    lanes = np.arange(9000, dtype=np.uint32)
    assert steps_of([5, 200, 327], lanes) == (5, [(127, 0), (68, 200), (127, 327)])
    assert steps_of([], lanes) == (0, [])
    first, steps = steps_of([5000], lanes)
    assert (first, sum(d for d, _ in steps), steps[-1][1]) == (0, 5000, 5000)


@pytest.mark.parametrize("count", [0, 1, 4, 15, 16, 17, 33])
def test_turns_are_whole_but_the_first(count: int) -> None:
    """The first turn lacks what the count is short of whole turns; bytes of 128 and more end a turn but the last."""
    made = pair_words(2, np.uint32(7), np.zeros(2, np.uint32), [(1, 9)] * count)
    lacks = int(made[0]) >> 22
    assert int(made[0]) & 0xFFFF == 32
    assert (count + lacks) % 16 == 0 and (lacks < 16 or count == 0)
    groups = made[4:].reshape(-1, 5)
    distances = groups[:, 4].astype("<u4").view(np.uint8).reshape(-1, 4)[:, ::-1].reshape(-1)
    assert (distances & 127).sum() == count
    assert (distances > 127).sum() == max(0, -(-count // 16) - 1)


def test_pairs_cover_each_column_once() -> None:
    """Even and odd columns of four, neighbours behind them, at least two pairs."""
    for lengths in (*([n] for n in range(1, 12)), [9, 9, 9], [7, 7], [6, 6, 6]):
        pairs, cols = pairs_even_odd(lengths), sum(lengths)
        assert len(pairs) == max(2, sum(-(-n // 2) for n in lengths))
        assert sorted(c for pair in pairs for c in pair if c < cols) == list(range(cols))


def test_one_pair_of_six() -> None:
    """Each four columns have one pair that holds their nonzeros; none where they are all zero."""
    kept = np.array([[1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0]], bool)
    assert np.flatnonzero(pair_choices(kept)[0]).tolist() == [2, 13]


def test_obstacles_name_the_row() -> None:
    """What words of two rows cannot hold is said."""
    case = kept_case("obstacle", np.ones((2, 600), bool))
    case.w[:] = 127
    assert "an accumulator can reach" in str(obstacle(conv_layer(case).params))
    case.w[:] = 0
    case.w[0, 3], case.w[1, 3] = -128, -100
    assert "-128" in str(obstacle(conv_layer(case).params))
