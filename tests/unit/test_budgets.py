"""Budgets: exact totals, one threshold, shapes and sensitivities; bounds of layers; what rules take out."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcuprune.errors import TrainingError, UsageError
from mcuprune.masks import (
    NM,
    Block,
    Budget,
    Candidate,
    Channels,
    Goal,
    Pattern,
    Unstructured,
    assign_goals,
    erk,
    from_sensitivity,
    global_magnitude,
    mask,
    parse_budget,
    parse_pattern,
    parse_rule,
    unit_count,
    zero_count,
)
from mcuprune.masks.budgets import Kind, lower_hull

SHAPES = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=6)
FREE = st.sampled_from([Unstructured(), Block(2, 2), Block(3, 1, "max"), Block(1, 4, "l2")])
SPARSITIES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.8]) | st.floats(0, 0.99)


def layers_of(shapes: list[tuple[int, int]], levels: int, seed: int) -> list[np.ndarray]:
    """Seeded signed weights of few levels, so that ties abound; layers differ in scale."""
    rng = np.random.default_rng(seed)
    return [rng.integers(-levels, levels + 1, shape).astype(np.float32) * (i + 1) for i, shape in enumerate(shapes)]


def possible(units: list[int], sparsity: float) -> bool:
    """Whether every layer can keep one unit."""
    return round(sum(units) * sparsity) <= sum(n - 1 for n in units)


def counts_of(shares: tuple[float, ...], units: list[int]) -> list[int]:
    """The units that mask() drops."""
    return [zero_count(n, share) for n, share in zip(units, shares, strict=True)]


@given(SHAPES, FREE, st.sampled_from([1, 3, 1000]), st.integers(0, 99), SPARSITIES)
def test_global_is_one_sort(shapes: list[tuple[int, int]], pattern: Pattern, levels: int, seed: int, s: float) -> None:
    """The first round(n * s) units of a stable sort over all layers go, unless a layer would lose all of them."""
    layers = layers_of(shapes, levels, seed)
    units = [unit_count(pattern, *shape) for shape in shapes]
    if not possible(units, s):
        with pytest.raises(UsageError, match="the layers can have"):
            global_magnitude(layers, s, pattern=pattern)
        return
    shares = global_magnitude(layers, s, pattern=pattern)
    pooled = [pool(np.abs(layer).astype(np.float64), pattern) for layer in layers]
    flat = sorted((value, layer, i) for layer, values in enumerate(pooled) for i, value in enumerate(values))
    left, counts = round(sum(units) * s), [0] * len(units)
    for _, layer, _ in flat:
        if left and counts[layer] < units[layer] - 1:
            counts[layer] += 1
            left -= 1
    assert counts_of(shares, units) == counts
    if pattern == Unstructured():
        kept = [mask(w, pattern, share, magnitude=True) for w, share in zip(layers, shares, strict=True)]
        assert sum(np.count_nonzero(~keep) for keep in kept) == round(sum(units) * s)


def pool(values: np.ndarray, pattern: Pattern) -> list[float]:
    """Importance of units in row-major order, as the documentation states it."""
    if not isinstance(pattern, Block):
        return [float(value) for value in values.ravel()]
    rules = {"avg": np.sum, "max": np.max, "l2": lambda part: np.square(part).sum()}
    tops, lefts = (range(0, n, step) for n, step in zip(values.shape, (pattern.rows, pattern.cols), strict=True))
    return [
        float(rules[pattern.pooling](values[i : i + pattern.rows, j : j + pattern.cols]))
        for i, j in itertools.product(tops, lefts)
    ]


def test_global_compares_raw_magnitudes() -> None:
    """A layer of small weights loses most; other types of numbers and layouts make no difference."""
    rng = np.random.default_rng(3)
    small, large = rng.normal(0, 1, (30, 40)), rng.normal(0, 4, (40, 30))
    shares = global_magnitude([small, large], 0.5)
    assert shares[0] > 0.7 and shares[1] < 0.3 and round(sum(shares) * 1200) == 1200
    again = global_magnitude([np.asfortranarray(small), large[:, ::-1]], 0.5)
    assert again == shares
    mixed = global_magnitude([np.arange(8, dtype=np.int8).reshape(2, 4), np.full((2, 4), 3.5, np.float16)], 0.5)
    assert mixed == (0.5, 0.5)


def test_global_within_bounds() -> None:
    """Bounds hold for each layer, the total is exact all the same; what cannot be is refused."""
    layers = [np.full((10, 10), 1.0), np.full((10, 10), 9.0), np.full((10, 10), 5.0)]
    assert global_magnitude(layers, 0.5) == (0.99, 0.0, 0.51)
    assert global_magnitude(layers, 0.5, low=0.2, high=0.9) == (0.9, 0.2, 0.4)
    assert global_magnitude(layers, 0.9, high=0.9) == (0.9, 0.9, 0.9)
    with pytest.raises(UsageError, match=r"can have 0 to 150 zeros of 300, sparsity 0\.6 needs 180"):
        global_magnitude(layers, 0.6, high=0.5)
    with pytest.raises(UsageError, match="can have 60 to 297"):
        global_magnitude(layers, 0.1, low=0.2)


@given(
    st.lists(st.tuples(st.integers(2, 9), st.integers(1, 9)), min_size=1, max_size=5), st.integers(0, 99), SPARSITIES
)
def test_channels_come_close(shapes: list[tuple[int, int]], seed: int, sparsity: float) -> None:
    """Channels of several sizes: at most round(weights * s) weights go, and no further channel would fit."""
    total = sum(math.prod(shape) for shape in shapes)
    target = round(total * sparsity)
    if target > sum((rows - 1) * cols for rows, cols in shapes):
        return
    for shares in (
        global_magnitude(layers_of(shapes, 1000, seed), sparsity, pattern=Channels()),
        erk(shapes, sparsity, matrices=shapes, pattern=Channels()),
    ):
        gone = counts_of(shares, [rows for rows, _ in shapes])
        zeros = sum(n * cols for n, (_, cols) in zip(gone, shapes, strict=True))
        assert target - max(cols for _, cols in shapes) < zeros <= target
        assert all(n < rows for n, (rows, _) in zip(gone, shapes, strict=True))


def test_erk_as_published() -> None:
    """Densities in proportion to (O + I + H + W) / (O I H W); a layer beyond 1 is dense, the others share the rest."""
    shapes = [(3, 3, 64, 64), (3, 3, 64, 128), (1, 1, 128, 256)]
    shares = erk(shapes, 0.9)
    odds = [sum(shape) / math.prod(shape) for shape in shapes]
    factors = [(1 - share) / odd for share, odd in zip(shares, odds, strict=True)]
    np.testing.assert_allclose(factors, factors[0], rtol=1e-3)
    small = [(3, 3, 1, 8), (256, 256), (512, 256)]
    dense, *others = erk(small, 0.5)
    assert dense == 0.0
    odds = [sum(shape) / math.prod(shape) for shape in small[1:]]
    factors = [(1 - share) / odd for share, odd in zip(others, odds, strict=True)]
    assert math.isclose(factors[0], factors[1], rel_tol=1e-4)


@given(st.lists(st.tuples(*[st.integers(1, 9)] * 4), min_size=1, max_size=6), SPARSITIES)
def test_erk_is_exact(shapes: list[tuple[int, ...]], sparsity: float) -> None:
    """The total is round(n * s), smaller layers of one form are never sparser, bounds hold."""
    units = [math.prod(shape) for shape in shapes]
    if not possible(units, sparsity):
        with pytest.raises(UsageError):
            erk(shapes, sparsity)
        return
    assert sum(counts_of(erk(shapes, sparsity), units)) == round(sum(units) * sparsity)


@given(SHAPES, SPARSITIES)
def test_erk_of_blocks(shapes: list[tuple[int, int]], sparsity: float) -> None:
    """Blocks are counted whole."""
    units = [unit_count(Block(2, 4), *shape) for shape in shapes]
    if possible(units, sparsity):
        shares = erk(shapes, sparsity, matrices=shapes, pattern=Block(2, 4))
        assert sum(counts_of(shares, units)) == round(sum(units) * sparsity)


def test_sensitivity_takes_the_cheapest() -> None:
    """All ways to share among the measured points are no better than what is chosen."""
    curves = [{0.0: 1.0, 0.5: 1.1, 0.9: 2.0}, {0.0: 1.0, 0.5: 1.5, 0.9: 1.6}, {0.0: 1.0, 0.5: 1.0, 0.9: 1.0}]
    sizes = [100, 200, 50]

    def loss(shares: tuple[float, ...]) -> float:
        hulls = [lower_hull(curve) for curve in curves]
        return sum(np.interp(s, *zip(*hull, strict=True)) for s, hull in zip(shares, hulls, strict=True))

    for target in (0.0, 0.3, 0.5, 0.7, 0.9):
        chosen = from_sensitivity(curves, sizes, target)
        zeros = sum(s * n for s, n in zip(chosen, sizes, strict=True))
        assert math.isclose(zeros, round(350 * target))
        best = min(
            loss((a / 100, b / 200, c / 50))
            for a, c in itertools.product(range(91), range(46))
            if 0 <= (b := round(zeros) - a - c) <= 180
        )
        assert loss(chosen) <= best + 1e-9
    with pytest.raises(UsageError, match="can have"):
        from_sensitivity(curves, sizes, 0.95)


def test_sensitivity_of_noise() -> None:
    """A curve that falls, or lies above its hull, is read by its hull; one without its dense loss is refused."""
    assert lower_hull({0.5: 0.0, 0.0: 1.0, 0.25: 0.9}) == [(0.0, 1.0), (0.5, 0.0)]
    assert from_sensitivity([{0.0: 2.0, 0.8: 1.0}, {0.0: 0.0, 0.8: 0.1}], [10, 10], 0.5) == (0.8, 0.2)
    for curve in ({}, {0.5: 1.0}, {0.0: math.nan}, {0.0: 1.0, 1.0: 2.0}, {-0.1: 0.0, 0.0: 0.0}):
        with pytest.raises(UsageError, match="losses by sparsities"):
            lower_hull(curve)


@pytest.mark.parametrize("text", ["uniform", "global", "erk", "global:0.2..0.95", "erk:0.0..0.9"])
def test_budgets_round_trip(text: str) -> None:
    """str() gives back what was parsed."""
    assert str(parse_budget(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "Global", "uniform:0..1", "global:", "global:0.5", "global:a..b", "erk:0.9..0.1", "erk:0..2"),
        *("global:nan..1", "sensitivity", "layerwise"),
    ],
)
def test_no_budgets(text: str) -> None:
    """Other words and bounds that are none are one error with a hint."""
    with pytest.raises(UsageError) as caught:
        parse_budget(text)
    assert caught.value.hint


def test_what_a_budget_refuses() -> None:
    """A Budget refuses bounds out of order and curves that do not fit its kind."""
    with pytest.raises(UsageError, match=r"bounds 0\.9\.\.0\.1 of sparsities"):
        parse_budget("erk:0.9..0.1")
    with pytest.raises(UsageError, match="needs curves"):
        Budget("sensitivity")
    with pytest.raises(UsageError, match="needs curves"):
        Budget("erk", curves={"a": {0.0: 1.0}})
    with pytest.raises(UsageError, match="no budget"):
        Budget("magnitude")  # type: ignore[arg-type]


def test_nm_has_no_budget() -> None:
    """N:M says how sparse every layer is; NaN and an impossible sparsity are refused."""
    with pytest.raises(UsageError, match="nothing to share"):
        global_magnitude([np.ones((4, 4))], 0.5, pattern=NM(2, 4))
    with pytest.raises(UsageError, match="is not in"):
        erk([(4, 4)], 1.0)
    with pytest.raises(TrainingError, match="NaN"):
        global_magnitude([np.full((4, 4), np.nan)], 0.5)
    assert global_magnitude([], 0.5) == erk([], 0.5) == from_sensitivity([], [], 0.5) == ()


LAYERS = (
    Candidate(0, "conv", "", (3, 3, 2, 4), 4),
    Candidate(1, "dw", "depthwise", (3, 3, 4, 1), 4),
    Candidate(2, "pw", "", (1, 1, 4, 8), 8),
    Candidate(3, "mid", "", (8, 8), 8),
    Candidate(4, "fc", "classifier", (8, 5), 5),
)


def goals(*rules: str, kind: Kind = "global", pattern: str = "unstructured", sparsity: float = 0.5) -> tuple[Goal, ...]:
    """Goals of LAYERS, whose weights are 1, 2, 3, ... with the layer's place as their unit."""
    budget = Budget(kind, curves={"conv": {0.0: 0.0, 0.9: 1.0}} if kind == "sensitivity" else {})
    return assign_goals(
        LAYERS,
        sparsity,
        parse_pattern(pattern),
        [parse_rule(rule) for rule in rules],
        "m.keras",
        budget=budget,
        weights=lambda i: np.arange(1.0, 1 + LAYERS[i].size).reshape(LAYERS[i].matrix) * (i + 1),
    )


@pytest.mark.parametrize("kind", ["global", "erk"])
def test_rules_are_out_of_the_pool(kind: Kind) -> None:
    """Named layers get what the rule says, left ones stay; the rest has --sparsity together."""
    free = goals(kind=kind)
    zeros = [zero_count(layer.size, goal.sparsity) for layer, goal in zip(LAYERS, free, strict=True)]
    assert zeros[1] == zeros[4] == 0 and sum(zeros) == round((72 + 32 + 64) * 0.5)
    named = goals("pw=0.75,block:2x2", "fc=0.25", kind=kind)
    assert named[2] == Goal(Block(2, 2), 0.75) and named[4] == Goal(Unstructured(), 0.25)
    zeros = [zero_count(LAYERS[i].size, named[i].sparsity) for i in (0, 3)]
    assert sum(zeros) == round((72 + 64) * 0.5) and named[0].sparsity != named[3].sparsity
    assert assign_goals(LAYERS, 0.5, Unstructured(), budget=Budget()) == assign_goals(LAYERS, 0.5, Unstructured())


def test_a_layer_that_a_budget_leaves() -> None:
    """A share of 0 is no pruning, and the note says why."""
    left = goals(kind="erk", sparsity=0.05)
    assert Goal(None, note="left dense by --budget erk") in left


@pytest.mark.parametrize(
    ("rules", "arguments", "complaint"),
    [
        ([], {"pattern": "2:4", "sparsity": None}, "implies the sparsity of every layer"),
        (["*=0.5"], {}, "no layer that gets --sparsity"),
        (["pw=0.5"], {"sparsity": None}, "there is no --sparsity"),
        ([], {"sparsity": 0.995}, "the layers can have"),
        ([], {"kind": "sensitivity"}, "no sensitivity was measured for pw, mid"),
    ],
)
def test_nothing_to_share(rules: list[str], arguments: dict[str, object], complaint: str) -> None:
    """One error that names the option and the file."""
    with pytest.raises(UsageError, match=complaint) as caught:
        goals(*rules, **arguments)  # type: ignore[arg-type]
    assert "--budget" in str(caught.value.where) and "m.keras" in str(caught.value.where) and caught.value.hint


def test_sensitivity_by_name() -> None:
    """Curves are found by the layers' names."""
    budget = Budget("sensitivity", curves={"conv": {0.0: 0.0, 0.9: 1.0}, "pw": {0.0: 0.0, 0.9: 0.1}, "x": {0.0: 1.0}})
    made = assign_goals(LAYERS[:3], 0.2, Unstructured(), budget=budget)
    assert [zero_count(LAYERS[i].size, made[i].sparsity) for i in range(3)] == [0, 0, 21]
