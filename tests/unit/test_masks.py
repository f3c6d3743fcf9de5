"""Masks: exact counts, every pattern holds, equal input gives equal masks."""

from __future__ import annotations

import tracemalloc
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcuprune.errors import TrainingError, UsageError
from mcuprune.masks import (
    NM,
    Block,
    Channels,
    Unstructured,
    mask,
    parse_pattern,
    ramp_mask,
    select,
    sparsity_of,
    unit_count,
    zero_count,
)

SPARSITIES = st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.5, 0.8, 0.9, 0.999]) | st.floats(0, 1, exclude_max=True)


def importances(rows: int, cols: int, levels: int, seed: int) -> np.ndarray:
    """Seeded importance of few levels, so that ties abound."""
    return np.random.default_rng(seed).integers(0, levels, (rows, cols)).astype(np.float64)


@given(st.integers(1, 9), st.integers(1, 40), st.sampled_from([1, 3, 1000]), st.integers(0, 99), SPARSITIES)
def test_unstructured_is_a_stable_sort(rows: int, cols: int, levels: int, seed: int, sparsity: float) -> None:
    """Exactly round(n * s) weights go: the first of a stable sort by importance."""
    importance = importances(rows, cols, levels, seed)
    keep = mask(importance, Unstructured(), sparsity)
    gone = np.argsort(importance.ravel(), kind="stable")[: round(rows * cols * sparsity)]
    assert sorted(gone) == np.flatnonzero(~keep.ravel()).tolist()


@given(
    rows=st.integers(1, 9),
    groups=st.integers(1, 9),
    n=st.integers(1, 8),
    more=st.integers(0, 8),
    shared=st.integers(1, 5),
    levels=st.sampled_from([1, 3, 1000]),
    seed=st.integers(0, 99),
)
def test_nm_keeps_the_largest(rows: int, groups: int, n: int, more: int, shared: int, levels: int, seed: int) -> None:
    """Each group keeps N of M, none of which is less important than one that goes; R rows share the choice."""
    m = n + more
    importance = importances(rows, groups * m, levels, seed)
    keep = mask(importance, NM(n, m, shared))
    assert keep.shape == importance.shape
    for top in range(0, rows, shared):
        assert (keep[top : top + shared] == keep[top]).all()
        pooled = importance[top : top + shared].sum(axis=0)
        for left in range(0, groups * m, m):
            gone = np.argsort(pooled[left : left + m], kind="stable")[: m - n]
            assert sorted(gone) == np.flatnonzero(~keep[top, left : left + m]).tolist()


@given(
    st.integers(1, 9), st.integers(1, 5), st.integers(1, 3), st.integers(0, 3), st.integers(1, 3), st.integers(0, 99)
)
def test_nm_fills_up(rows: int, groups: int, n: int, more: int, shared: int, seed: int) -> None:
    """On its way to N:M a mask empties ever more of the places that the goal empties, in the end all."""
    pattern = NM(n, n + more, shared)
    importance = importances(rows, groups * (n + more), 5, seed)
    goal, implied = mask(importance, pattern), 1 - n / (n + more)
    before = np.ones(importance.shape, np.bool_)
    for share in (0.0, 0.3, 0.5, 0.9, 1.0):
        keep = ramp_mask(importance, pattern, share * implied)
        firsts = keep[::shared]
        assert (goal <= keep).all() and (keep <= before).all()
        assert np.count_nonzero(~firsts) == min(
            round(firsts.size * (share * implied)), np.count_nonzero(~goal[::shared])
        )
        assert (keep == np.repeat(firsts, shared, axis=0)[:rows]).all()
        before = keep
    assert (before == goal).all()
    with pytest.raises(UsageError, match="at most"):
        ramp_mask(importance, pattern, implied + 0.01)


def test_other_patterns_ramp_as_they_are() -> None:
    """Unstructured and block masks are the same on the way."""
    importance = importances(6, 8, 1000, 1)
    for pattern in (Unstructured(), Block(2, 2)):
        assert (ramp_mask(importance, pattern, 0.3) == mask(importance, pattern, 0.3)).all()


@given(
    rows=st.integers(1, 17),
    cols=st.integers(1, 17),
    block=st.tuples(st.integers(1, 6), st.integers(1, 20)),
    levels=st.sampled_from([1, 3, 1000]),
    seed=st.integers(0, 99),
    sparsity=SPARSITIES,
)
def test_blocks_go_whole(rows: int, cols: int, block: tuple[int, int], levels: int, seed: int, sparsity: float) -> None:
    """Exactly round(blocks * s) blocks go, those with the smallest sums; blocks at the edge are smaller."""
    importance = importances(rows, cols, levels, seed)
    keep = mask(importance, Block(*block), sparsity)
    places = [(r, c) for r in range(0, rows, block[0]) for c in range(0, cols, block[1])]
    parts = [(slice(r, r + block[0]), slice(c, c + block[1])) for r, c in places]
    order = np.argsort([importance[part].sum() for part in parts], kind="stable")
    expected = np.ones((rows, cols), bool)
    for i in order[: round(len(parts) * sparsity)]:
        expected[parts[i]] = False
    np.testing.assert_array_equal(keep, expected)


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.tuples(st.integers(1, 3), st.integers(1, 4)),
    st.sampled_from([2, 1000]),
    st.integers(0, 99),
    SPARSITIES,
)
def test_other_poolings(rows: int, cols: int, size: tuple[int, int], levels: int, seed: int, sparsity: float) -> None:
    """Blocks by their largest weight or their L2 norm, smaller at the edges."""
    importance = importances(rows, cols, levels, seed)
    places = [(r, c) for r in range(0, rows, size[0]) for c in range(0, cols, size[1])]
    parts = [(slice(r, r + size[0]), slice(c, c + size[1])) for r, c in places]
    poolings = ("max", np.max), ("l2", lambda part: np.square(part).sum())
    for name, rule in poolings:
        order = np.argsort([rule(importance[part]) for part in parts], kind="stable")
        expected = np.ones((rows, cols), bool)
        for i in order[: round(len(parts) * sparsity)]:
            expected[parts[i]] = False
        pattern = parse_pattern(f"block:{size[0]}x{size[1]}:{name}")
        np.testing.assert_array_equal(mask(importance, pattern, sparsity), expected)


def test_poolings_differ() -> None:
    """Each pooling drops another block of the three; at the edge a block counts as filled up by zeros."""
    matrix = np.array([[0.0, 9.0, 5.0, 5.0, 6.5, 1.5, 7.0]])
    assert [
        np.flatnonzero(~mask(matrix, parse_pattern(f"block:1x2{name}"), 0.25)[0]).tolist()
        for name in ("", ":max", ":l2")
    ] == [[6], [2, 3], [4, 5]]


@given(st.integers(1, 12), st.integers(1, 6), st.sampled_from([1, 2, 1000]), st.integers(0, 99), SPARSITIES)
def test_channels_go_whole(rows: int, cols: int, levels: int, seed: int, sparsity: float) -> None:
    """Exactly round(rows * s) rows go, those with the least L2 norm, of equal ones the first."""
    importance = importances(rows, cols, levels, seed)
    keep = mask(importance, Channels(), sparsity)
    gone = np.argsort(np.square(importance).sum(axis=1), kind="stable")[: round(rows * sparsity)]
    assert (keep == keep[:, :1]).all() and sorted(gone) == np.flatnonzero(~keep[:, 0]).tolist()


ANY = st.sampled_from(["unstructured", "block:2x2", "block:3x1:max", "block:1x4:l2", "channels", "2:4", "1:3x2", "3:4"])


@given(
    text=ANY,
    shape=st.tuples(st.integers(1, 9), st.integers(1, 4)),
    levels=st.sampled_from([1, 3, 1000]),
    seed=st.integers(0, 99),
    pair=st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)),
    type_=st.sampled_from([np.float16, np.float32, np.float64, np.int8]),
)
def test_masks_nest_and_repeat(
    text: str, shape: tuple[int, int], levels: int, seed: int, pair: tuple[float, float], type_: type
) -> None:
    """Of signed weights: the same as of their magnitudes; again of masked weights; a subset at more sparsity."""
    pattern = parse_pattern(text)
    rng = np.random.default_rng(seed)
    weights = rng.integers(-levels, levels + 1, (shape[0], 12 * shape[1])).clip(-127, 127).astype(type_)
    implied = sparsity_of(pattern)
    low, high = (min(pair), max(pair)) if implied is None else (min(pair) * implied, implied)
    dense, sparse = (ramp_mask(weights, pattern, s, magnitude=True) for s in (low, high))
    assert (sparse <= dense).all()
    for keep, sparsity in ((dense, low), (sparse, high)):
        np.testing.assert_array_equal(keep, ramp_mask(np.abs(weights), pattern, sparsity))
        again = ramp_mask(np.where(keep, weights, type_(0)), pattern, sparsity, magnitude=True)
        np.testing.assert_array_equal(again, keep)
    if implied is None and not isinstance(pattern, Block):
        units = unit_count(pattern, *weights.shape)
        assert np.count_nonzero(~sparse) == round(units * high) * (weights.size // units)


@settings(max_examples=50)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 70), st.integers(0, 99), SPARSITIES)
def test_parts_do_not_matter(rows: int, groups: int, part: int, seed: int, sparsity: float) -> None:
    """However small the parts are that a matrix is looked at in, and however it lies: one mask."""
    weights = np.random.default_rng(seed).integers(-2, 3, (rows, groups * 4)).astype(np.float32)
    spaced = np.zeros((2 * rows, 3 * weights.shape[1]), np.float32)[::2, ::3]
    spaced[:] = weights
    for text in ("unstructured", "2:4", "1:4x2", "block:2x3", "channels"):
        pattern = parse_pattern(text)
        wanted = (sparsity_of(pattern) or 1.0) * sparsity
        expected = ramp_mask(weights, pattern, wanted, magnitude=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(select, "_PART", part)
            for view in (weights, np.asfortranarray(weights), spaced, weights[::-1, ::-1][::-1, ::-1]):
                np.testing.assert_array_equal(ramp_mask(view, pattern, wanted, magnitude=True), expected)


def test_a_transposed_kernel_gives_a_transposed_mask() -> None:
    """The mask has the layout of the matrix, so that it becomes a kernel's mask without a copy."""
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 8)).astype(np.float32)
    for text, sparsity in (("unstructured", 0.5), ("2:4", None), ("block:2x2", 0.5), ("channels", 0.5)):
        keep = mask(kernel.reshape(-1, 8).T, parse_pattern(text), sparsity, magnitude=True)
        assert keep.T.flags.c_contiguous


@pytest.mark.parametrize("values", [[-0.0, 0.0, 0.0, -0.0], [-3, -1, -2, -1], [2**62 + 1, 2**62, -(2**62), 5]])
def test_order_of_numbers(values: list[float]) -> None:
    """Importance may be negative, -0.0 is 0.0, and large integers are told apart."""
    matrix = np.array([values])
    gone = np.argsort(matrix[0], kind="stable")
    for count in range(4):
        keep = mask(matrix, Unstructured(), count / 4)
        assert np.flatnonzero(~keep[0]).tolist() == sorted(gone[:count])


def test_extremes() -> None:
    """Infinite, denormal and other kinds of numbers; a matrix of one weight, and of none."""
    matrix = np.array([[np.inf, 1e-45, -np.inf, 0.0, 1e38, -1e-45]], np.float32)
    assert mask(matrix, Unstructured(), 0.5, magnitude=True)[0].tolist() == [True, False, True, False, True, False]
    for dtype in (np.longdouble, ">f4", bool, np.uint64):
        assert mask(np.array([[1, 0]]).astype(dtype), Unstructured(), 0.5, magnitude=True)[0].tolist() == [True, False]
    assert mask(np.array([[-128, 127]], np.int8), Block(1, 1, "l2"), 0.5, magnitude=True)[0].tolist() == [True, False]
    for text in ("unstructured", "block:2x2", "channels"):
        assert mask(np.ones((1, 1)), parse_pattern(text), 0.5).all()
        assert not mask(np.ones((1, 1)), parse_pattern(text), 0.9).any()
        for shape in ((0, 4), (4, 0)):
            assert mask(np.ones(shape), parse_pattern(text), 0.5).shape == shape
    assert mask(np.ones((0, 4)), NM(2, 4)).shape == (0, 4)


@pytest.mark.parametrize(
    ("text", "sparsity", "pooled", "layout"),
    [
        ("unstructured", 0.8, 0, "C"),
        ("unstructured", 0.8, 0, "F"),
        ("2:4", 0.5, 0, "F"),
        ("2:4", 0.3, 1, "F"),
        ("2:4x2", 0.3, 5.5, "F"),
        ("block:2x2", 0.8, 2.25, "F"),
        ("channels", 0.5, 0, "F"),
    ],
)
def test_memory(text: str, sparsity: float, pooled: float, layout: Literal["C", "F"]) -> None:
    """Masks of 8 million weights take the mask, parts of 16 MB, and some bytes a weight for what is pooled."""
    weights = np.empty((2000, 4000), np.float32, layout)
    weights[:] = np.random.default_rng(0).standard_normal(weights.shape, np.float32)
    tracemalloc.start()
    try:
        keep = ramp_mask(weights, parse_pattern(text), sparsity, magnitude=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.count_nonzero(~keep) == round(weights.size * sparsity)
    assert peak < keep.nbytes + pooled * weights.size + 16_000_000


@pytest.mark.parametrize("digit", [8, 16])
def test_values_on_both_sides_of_a_digit(digit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbouring floats whose upper bits differ or are the same are told apart, in each type."""
    monkeypatch.setattr(select, "_DIGITS", (digit, digit))
    for dtype, kind in ((np.float16, np.uint16), (np.float32, np.uint32), (np.float64, np.uint64)):
        edge = np.float64(1.0).astype(dtype).view(kind)
        matrix = (edge + np.arange(-3, 4).astype(kind)).view(dtype)[None, ::-1]
        for count in range(7):
            keep = mask(matrix, Unstructured(), count / 7, magnitude=True)
            assert keep[0].tolist() == [True] * (7 - count) + [False] * count


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8])
@pytest.mark.parametrize("text", ["unstructured", "2:4", "1:4x3", "block:2x4", "block:2x4:max", "channels"])
def test_memory_layout_does_not_matter(text: str, dtype: type, rng: np.random.Generator) -> None:
    """A transposed view gives the mask of its copy; importance is left as it was."""
    view = rng.integers(0, 9, (8, 7)).astype(dtype).T
    copy = np.ascontiguousarray(view)
    pattern = parse_pattern(text)
    sparsity = None if isinstance(pattern, NM) else 0.5
    np.testing.assert_array_equal(mask(view, pattern, sparsity), mask(copy, pattern, sparsity))
    np.testing.assert_array_equal(view, copy)


def test_many_groups() -> None:
    """More N:M groups than are sorted at once."""
    importance = np.arange(3 * 2**20, dtype=np.float32).reshape(1, -1)
    keep = mask(importance, NM(1, 2))
    assert keep[0, 1::2].all() and not keep[0, ::2].any()


def test_halves_round_to_even() -> None:
    """round() is Python's."""
    assert [zero_count(n, 0.5) for n in (1, 3, 5, 7)] == [0, 2, 2, 4]


@pytest.mark.parametrize(
    "text",
    ["unstructured", "2:4", "1:1", "4:8x2", "block:4x1", "block:1x65535", "block:2x2:max", "block:2x2:l2", "channels"],
)
def test_patterns_round_trip(text: str) -> None:
    """str() gives back what was parsed."""
    assert str(parse_pattern(text)) == text


def test_one_row_is_the_default() -> None:
    """2:4x1 is 2:4, and blocks are judged by their mean."""
    assert parse_pattern("block:2x4:avg") == Block(2, 4) and str(Block(2, 4)) == "block:2x4"
    assert parse_pattern("2:4x1") == NM(2, 4) and str(NM(2, 4, 1)) == "2:4"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "dense",
            "Unstructured",
            "2",
            "2:",
            ":4",
            "2:4x",
            "2:4 ",
            "-2:4",
            "2.0:4",
            "block",
            "block:4",
            "block:4x",
        ),
        *("block:4:1", "block:4x1x1", "0:4", "2:0", "2:4x0", "block:0x1", "block:1x0", "5:4", "4:2x2", "1:65536"),
        *("block:99999999999999999999x1", "٢:٤", "block:2x2:", "block:2x2:mean", "block:2x2:MAX", "channels:2"),
    ],
)
def test_nonsense_is_refused(text: str) -> None:
    """No pattern, sizes of 0, N larger than M: one error with a hint."""
    with pytest.raises(UsageError) as caught:
        parse_pattern(text)
    assert caught.value.hint is not None


def test_unknown_pooling() -> None:
    """Block refuses what it cannot pool by."""
    with pytest.raises(UsageError, match="'AVG' of a block is not known"):
        Block(2, 2, "AVG")  # type: ignore[arg-type]


def test_groups_of_larger_kernels() -> None:
    """Columns of a KxK kernel run along its input channels; groups cross pixels where M divides H*W*I alone."""
    kernel = np.random.default_rng(1).normal(size=(2, 2, 6, 3))  # HWIO
    rows = kernel.reshape(-1, 3).T
    within = mask(rows, NM(1, 3), magnitude=True).T.reshape(2, 2, 2, 3, 3)  # (H, W, groups of I, 3, O)
    assert (within.sum(axis=3) == 1).all()
    across = mask(rows, NM(2, 8), magnitude=True)
    assert (across.reshape(3, 3, 8).sum(axis=2) == 2).all()
    with pytest.raises(UsageError, match="divisible by 5, got 24"):
        mask(rows, NM(1, 5), magnitude=True)


def test_implied_sparsity() -> None:
    """N:M implies 1 - N/M, the others nothing."""
    assert [sparsity_of(parse_pattern(t)) for t in ("2:4", "1:4x2", "block:2x2", "unstructured")] == [
        0.5,
        0.75,
        None,
        None,
    ]


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 80.0, float("nan"), float("inf")])
def test_sparsity_out_of_range(sparsity: float) -> None:
    """A sparsity lies in [0, 1)."""
    with pytest.raises(UsageError, match="is not in"):
        mask(np.ones((2, 2)), Unstructured(), sparsity)


def test_what_a_mask_cannot_do() -> None:
    """A rest beside N:M groups, a missing or contradicting sparsity, NaN, another rank."""
    with pytest.raises(UsageError, match="needs columns divisible by 4, got 10"):
        mask(np.ones((2, 10)), NM(2, 4))
    with pytest.raises(UsageError, match="implies its sparsity"):
        mask(np.ones((2, 8)), NM(2, 4), 0.8)
    with pytest.raises(UsageError, match="needs a sparsity"):
        mask(np.ones((2, 8)), Block(2, 2))
    with pytest.raises(TrainingError, match="1 of 4"):
        mask(np.array([[1.0, 2.0], [np.nan, 0.0]]), Unstructured(), 0.5)
    for text in ("2:4", "block:2x2", "channels"):
        with pytest.raises(TrainingError, match="1 of 4"):
            ramp_mask(np.array([[1.0, 2.0, np.nan, 0.0]]), parse_pattern(text), 0.5)
    with pytest.raises(UsageError, match="matrix"):
        mask(np.ones((2, 2, 2)), Unstructured(), 0.5)
    with pytest.raises(UsageError, match="real numbers"):
        mask(np.ones((2, 2), complex), Unstructured(), 0.5)
