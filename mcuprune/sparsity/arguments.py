"""What a Pruner is given, checked when it is given: one error for each, before anything trains."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, get_args

from mcuprune.errors import UsageError
from mcuprune.masks import Pattern, Rule, Unstructured, parse_pattern, parse_rule, sparsity_of, zero_count
from mcuprune.sparsity.criteria import Criterion, Magnitude
from mcuprune.sparsity.schedule import ConstantSparsity, PolynomialDecay, PruningSchedule

_SPARSITY = "Pruner(0.8): 0.8 makes 80% of the weights zero"


def sparsity_of_argument(
    sparsity: Any, pattern: Pattern, rules: Sequence[Rule], schedule: PruningSchedule | None
) -> float | None:
    """The share of zeros; where nothing else says any, the one that the schedule ends with.

    Raises:
        UsageError: no number, or not in [0, 1).
    """
    if sparsity is None:
        said = bool(rules) or sparsity_of(pattern) is not None
        if not said and isinstance(schedule, PolynomialDecay):
            return schedule.final_sparsity
        return schedule.target_sparsity if not said and isinstance(schedule, ConstantSparsity) else None
    if isinstance(sparsity, PruningSchedule):
        raise UsageError("sparsity is a PruningSchedule", hint="Pruner(0.8, schedule=...)")
    if isinstance(sparsity, bool) or not isinstance(sparsity, Real):
        raise UsageError(f"sparsity is a number, got {sparsity!r}", hint=_SPARSITY)
    zero_count(0, float(sparsity))
    return float(sparsity)


def pattern_of_argument(pattern: Any) -> Pattern:
    """A pattern of its text, or as it is; None is unstructured.

    Raises:
        UsageError: neither.
    """
    if isinstance(pattern, str):
        return parse_pattern(pattern)
    if pattern is not None and not isinstance(pattern, get_args(Pattern)):
        raise UsageError(f"pattern is a text or a Pattern, got {pattern!r}", hint="pattern='2:4' or 'block:2x2'")
    return pattern or Unstructured()


def rules_of_argument(rules: Any) -> tuple[Rule, ...]:
    """Rules of their texts, or as they are.

    Raises:
        UsageError: not a sequence of them; a text alone would be read letter by letter.
    """
    if isinstance(rules, (str, Rule, dict)) or not all(isinstance(rule, (str, Rule)) for rule in rules):
        raise UsageError(f"rules is a list of texts, got {rules!r}", hint="rules=['conv_1=0.5', 'ds_*_pw=2:4']")
    return tuple(parse_rule(rule) if isinstance(rule, str) else rule for rule in rules)


def schedule_of_argument(schedule: Any) -> PruningSchedule | None:
    """A schedule, or None.

    Raises:
        UsageError: something else, such as the class of one.
    """
    if schedule is not None and not isinstance(schedule, PruningSchedule):
        raise UsageError(
            f"schedule is a PruningSchedule, got {schedule!r}",
            hint="schedule=sparsity.PolynomialDecay(0, 0.8, 0, END_STEP)",
        )
    return schedule


def criterion_of_argument(criterion: Any) -> Criterion:
    """A criterion; None is the magnitude.

    Raises:
        UsageError: something else, such as the name of one.
    """
    if criterion is not None and (isinstance(criterion, type) or not hasattr(criterion, "importance")):
        raise UsageError(
            f"criterion is an object with importance(), got {criterion!r}",
            hint="criterion=sparsity.Taylor(x, y)",
        )
    chosen: Criterion = criterion or Magnitude()
    return chosen
