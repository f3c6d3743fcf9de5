"""Masks: exact counts, every pattern holds, equal input gives equal masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcuprune.errors import TrainingError, UsageError
from mcuprune.masks import (
    NM,
    Block,
    Candidate,
    Goal,
    Rule,
    Unstructured,
    assign_goals,
    mask,
    parse_pattern,
    parse_rule,
    ramp_mask,
    sparsity_of,
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


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8])
@pytest.mark.parametrize("text", ["unstructured", "2:4", "1:4x3", "block:2x4"])
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


@pytest.mark.parametrize("text", ["unstructured", "2:4", "1:1", "4:8x2", "block:4x1", "block:1x65535"])
def test_patterns_round_trip(text: str) -> None:
    """str() gives back what was parsed."""
    assert str(parse_pattern(text)) == text


def test_one_row_is_the_default() -> None:
    """2:4x1 is 2:4."""
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
        *("block:99999999999999999999x1", "٢:٤"),
    ],
)
def test_nonsense_is_refused(text: str) -> None:
    """No pattern, sizes of 0, N larger than M: one error with a hint."""
    with pytest.raises(UsageError) as caught:
        parse_pattern(text)
    assert caught.value.hint is not None


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
    with pytest.raises(UsageError, match="matrix"):
        mask(np.ones((2, 2, 2)), Unstructured(), 0.5)


LAYERS = (
    Candidate(0, "conv_1"),
    Candidate(1, "ds_1_dw", "depthwise"),
    Candidate(2, "ds_1_pw"),
    Candidate(4, "fc", "classifier"),
)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("fc=0.5", Rule("fc", 0.5, None)),
        ("ds_*_pw=0.9,block:4x1", Rule("ds_*_pw", 0.9, Block(4, 1))),
        ("4=2:4", Rule("4", None, NM(2, 4))),
        ("*=0", Rule("*", 0.0, None)),
    ],
)
def test_rules_are_read(text: str, rule: Rule) -> None:
    """GLOB=S, GLOB=S,PATTERN and GLOB=PATTERN."""
    assert parse_rule(text) == rule


@pytest.mark.parametrize(
    "text", ["", "fc", "fc=", "=0.5", "fc=0.5,", "fc=,2:4", "fc=1", "fc=-1", "fc=nan", "fc=x", "fc=x,2:4", "fc=0.5,5:4"]
)
def test_broken_rules(text: str) -> None:
    """What does not say what to do with which layer is refused."""
    with pytest.raises(UsageError):
        parse_rule(text)


def goals(*rules: str, sparsity: float | None = 0.8, pattern: str = "unstructured") -> list[tuple[str, float] | None]:
    """(pattern, sparsity) of each of LAYERS, None where it is left."""
    made = assign_goals(LAYERS, sparsity, parse_pattern(pattern), [parse_rule(rule) for rule in rules])
    return [None if goal.pattern is None else (str(goal.pattern), goal.sparsity) for goal in made]


def test_depthwise_and_classifier_are_left() -> None:
    """Without rules all but depthwise layers and the classifier get --sparsity, and the note says why."""
    free = ("unstructured", 0.8)
    assert goals() == [free, None, free, None]
    assert assign_goals(LAYERS, 0.8, Unstructured())[1] == Goal(None, note="depthwise: left unless --layer names it")


def test_the_last_match_wins() -> None:
    """Rules by glob, name and index; 0 leaves a layer dense; what a rule leaves open is as the options say."""
    free = ("unstructured", 0.8)
    assert goals("*=0.5", "conv_1=0", "1=0.25") == [None, *[("unstructured", s) for s in (0.25, 0.5, 0.5)]]
    assert goals("fc=2:4", "conv_1=0.5,2:4") == [("2:4", 0.5), None, free, ("2:4", 0.5)]
    assert goals("fc=block:4x1", "ds_1_pw=0", "ds_*_pw=0.9,block:2x2") == [
        free,
        None,
        ("block:2x2", 0.9),
        ("block:4x1", 0.8),
    ]


def test_rules_alone() -> None:
    """Without --sparsity only what rules name is pruned."""
    assert goals("fc=0.5", sparsity=None) == [None, None, None, ("unstructured", 0.5)]
    assert goals("fc=0.5,unstructured", sparsity=None, pattern="1:4")[2:] == [("1:4", 0.75), ("unstructured", 0.5)]


@pytest.mark.parametrize(
    ("rules", "sparsity", "pattern", "complaint"),
    [
        ([], None, "unstructured", "nothing says how sparse"),
        ([], 0.8, "2:4", "implies its sparsity"),
        ([], 0.5, "2:4", "implies its sparsity"),
        ([], 1.0, "unstructured", "is not in"),
        (["fc=0.8"], None, "2:4", "implies its sparsity"),
        (["fc=0.8,2:4"], 0.5, "unstructured", "implies its sparsity"),
        (["fc=block:4x1"], None, "2:4", "needs a sparsity"),
        (["softmax=0.5"], 0.8, "unstructured", "no layer with weights matches 'softmax'"),
        (["3=0"], 0.8, "unstructured", "no layer with weights matches '3'"),
    ],
)
def test_contradictions(rules: list[str], sparsity: float | None, pattern: str, complaint: str) -> None:
    """Options that contradict each other or name nothing are refused, with a hint."""
    with pytest.raises(UsageError, match=complaint) as caught:
        goals(*rules, sparsity=sparsity, pattern=pattern)
    assert caught.value.hint
