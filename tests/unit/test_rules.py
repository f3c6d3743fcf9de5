"""Rules: which layer gets which pattern and sparsity."""

from __future__ import annotations

import pytest

from mcuprune.errors import UsageError
from mcuprune.masks import NM, Block, Candidate, Goal, Rule, Unstructured, assign_goals, parse_pattern, parse_rule

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
