"""Which layer gets which pattern and sparsity: --sparsity, --pattern, --budget, and `--layer 'GLOB=S[,PATTERN]'`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from numpy.typing import NDArray

from mcuprune.errors import UsageError
from mcuprune.masks.budgets import Budget, erk, from_sensitivity, global_magnitude
from mcuprune.masks.mask import zero_count
from mcuprune.masks.patterns import Pattern, parse_pattern, sparsity_of

_HINT = (
    "a rule (--layer) is 'GLOB=S[,PATTERN]', such as 'ds_*_pw=0.9', 'conv_1=0.5,block:4x1', 'fc=2:4' or 'conv_1=0' "
    "(left dense)"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One --layer: a name, index or glob, and what it asks for. None: as --sparsity or --pattern say."""

    layer: str
    sparsity: float | None
    pattern: Pattern | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A layer with weights. `left` says why it stays dense unless a rule names it (`depthwise`), else is empty.

    shape: of its kernel, in any order of dimensions, and rows of its matrix; budgets other than `uniform` need them.
    """

    index: int
    name: str
    left: str = ""
    shape: tuple[int, ...] = ()
    rows: int = 0

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def matrix(self) -> tuple[int, int]:
        """(rows, cols)."""
        return self.rows, self.size // max(self.rows, 1)


@dataclass(frozen=True, slots=True)
class Goal:
    """What to do with one layer: a pattern at a sparsity, or nothing (pattern None) for the reason in `note`.

    shared: whether the sparsity comes from a global budget, by the weights as they are; training shares it out again.
    """

    pattern: Pattern | None
    sparsity: float = 0.0
    note: str = ""
    shared: bool = False


def parse_rule(text: str) -> Rule:
    """Rule of a text `GLOB=S`, `GLOB=S,PATTERN` or `GLOB=PATTERN`.

    Raises:
        UsageError: another form, no such pattern, or a sparsity that is not in [0, 1).
    """
    layer, _, value = text.partition("=")
    first, comma, second = value.partition(",")
    if not layer or not first or (comma and not second):
        raise UsageError(f"--layer {text!r} does not say what to do with which layer", hint=_HINT)
    try:
        sparsity = float(first)
    except ValueError:
        if comma:
            raise UsageError(f"--layer {text!r}: {first!r} is no sparsity", hint=_HINT) from None
        return Rule(layer, None, _pattern_of(first, text))
    _check_range(sparsity, f"--layer {text}")
    return Rule(layer, sparsity, _pattern_of(second, text) if comma else None)


def assign_goals(
    layers: Sequence[Candidate],
    sparsity: float | None,
    pattern: Pattern,
    rules: Sequence[Rule] = (),
    source: str | None = None,
    *,
    budget: Budget | None = None,
    weights: Callable[[int], NDArray[Any]] | None = None,
) -> tuple[Goal, ...]:
    """The goal of each layer: what the last rule that matches says, else --sparsity and --pattern.

    A budget shares --sparsity among the layers that get it by default: those that no rule names and that are not left
    dense. It is the share of zeros of these layers together; what rules say comes on top and is not made up for.

    Args:
        sparsity: share of zeros in [0, 1); None with an N:M pattern, which implies it, or where rules say it all.
        source: the model's file, for errors.
        budget: None is uniform: every layer gets --sparsity.
        weights: for a global budget: the matrix of a layer (its place in `layers`) whose magnitudes are compared.
    Raises:
        UsageError: nothing says how sparse, a sparsity beside N:M, a rule that matches no layer, or a budget that has
            nothing to share or cannot be met.
        TrainingError: weights are NaN.
    """
    goals = [_default_goal(layer, sparsity, pattern, bool(rules)) for layer in layers]
    named: set[int] = set()
    for rule in rules:
        goal = _rule_goal(rule, sparsity, pattern)
        matching = [i for i, layer in enumerate(layers) if matches_layer(layer.index, layer.name, rule.layer)]
        if not matching:
            names = ", ".join(f"{layer.index}={layer.name}" for layer in layers) or "(the model has none)"
            raise UsageError(f"no layer with weights matches '{rule.layer}'", where=source, hint=f"one of {names}")
        for i in matching:
            goals[i] = goal
        named.update(matching)
    if budget is not None and budget.kind != "uniform":
        shared = [i for i in range(len(layers)) if i not in named and not layers[i].left]
        for i, share in zip(shared, _shares(layers, shared, sparsity, pattern, budget, weights, source), strict=True):
            note = f"by --budget {budget.kind}"
            goals[i] = Goal(pattern, share, note) if share else Goal(None, note=f"left dense {note}")
            goals[i] = replace(goals[i], shared=budget.kind == "global")
    return tuple(goals)


def _shares(
    layers: Sequence[Candidate],
    shared: Sequence[int],
    sparsity: float | None,
    pattern: Pattern,
    budget: Budget,
    weights: Callable[[int], NDArray[Any]] | None,
    source: str | None,
) -> tuple[float, ...]:
    """The sparsities of the layers in `shared`."""
    where = f"--budget {budget}" + (f", {source}" if source else "")
    implied = sparsity_of(pattern)
    if implied is not None:
        raise UsageError(
            f"{pattern} implies the sparsity of every layer, {implied:g}: a budget has nothing to share",
            where=where,
            hint="--pattern unstructured, block:RxC or channels with --sparsity",
        )
    if sparsity is None or not shared:
        what = "no --sparsity" if sparsity is None else "no layer that gets --sparsity"
        raise UsageError(f"there is {what}: a budget has nothing to share", where=where, hint="--sparsity 0.8")
    among = [layers[i] for i in shared]
    matrices = [layer.matrix for layer in among]
    try:
        if budget.kind == "global":
            assert weights is not None
            found = [weights(i) for i in shared]
            return global_magnitude(found, sparsity, pattern=pattern, low=budget.low, high=budget.high)
        if budget.kind == "erk":
            shapes = [layer.shape for layer in among]
            return erk(shapes, sparsity, matrices=matrices, pattern=pattern, low=budget.low, high=budget.high)
        missing = [layer.name for layer in among if layer.name not in budget.curves]
        if missing:
            raise UsageError(
                f"no sensitivity was measured for {', '.join(missing)}", hint="measure it, or --layer NAME=S"
            )
        curves = [budget.curves[layer.name] for layer in among]
        return from_sensitivity(curves, [layer.size for layer in among], sparsity, matrices=matrices, pattern=pattern)
    except UsageError as error:
        error.where = error.where or where
        raise


def _default_goal(layer: Candidate, sparsity: float | None, pattern: Pattern, has_rules: bool) -> Goal:
    implied = sparsity_of(pattern)
    if implied is not None and sparsity is not None:
        raise UsageError(
            f"pattern {pattern} implies its sparsity, {implied:g}; sparsity {sparsity:g} beside it says it twice",
            hint="leave one of the two out (--pattern, --sparsity)",
        )
    if sparsity is not None:
        _check_range(sparsity, "--sparsity")
    wanted = sparsity if implied is None else implied
    if wanted is None and not has_rules:
        raise UsageError(
            "nothing says how sparse the layers become",
            hint="sparsity 0.8 (--sparsity), pattern 2:4 (--pattern), or rules (--layer)",
        )
    if layer.left:
        return Goal(None, note=f"{layer.left}: left unless --layer names it")
    return Goal(pattern, wanted) if wanted else Goal(None, note="left dense")


def _rule_goal(rule: Rule, sparsity: float | None, pattern: Pattern) -> Goal:
    if rule.sparsity == 0:
        return Goal(None, note="left dense by --layer")
    chosen = rule.pattern or pattern
    implied = sparsity_of(chosen)
    if implied is not None:
        if rule.sparsity is not None and abs(rule.sparsity - implied) > 1e-9:
            raise UsageError(
                f"{chosen} implies its sparsity, {implied:g}; got {rule.sparsity:g} beside it",
                where=f"--layer {rule.layer}",
                hint=f"'{rule.layer}={chosen}', or another pattern: '{rule.layer}={rule.sparsity:g},unstructured'",
            )
        return Goal(chosen, implied)
    wanted = sparsity if rule.sparsity is None else rule.sparsity
    if wanted is None:
        raise UsageError(
            f"pattern {chosen} needs a sparsity", where=f"--layer {rule.layer}", hint=f"'{rule.layer}=0.8,{chosen}'"
        )
    return Goal(chosen, wanted) if wanted else Goal(None, note="left dense")


def matches_layer(index: int, name: str, text: str) -> bool:
    """LAYER as on every command line: an index (`4`), a name (`ds_1_pw`) or a glob (`ds_*_pw`)."""
    if text.isascii() and text.isdigit():
        return index == int(text)
    return fnmatchcase(name, text)


def _pattern_of(text: str, rule: str) -> Pattern:
    try:
        return parse_pattern(text)
    except UsageError as error:
        error.where = f"--layer {rule}"
        raise


def _check_range(sparsity: float, where: str) -> None:
    try:
        zero_count(0, sparsity)
    except UsageError as error:
        error.where = where
        raise
