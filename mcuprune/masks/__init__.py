"""Masks in pure numpy: patterns of zeros, exact counts, budgets, and which layer gets which."""

from __future__ import annotations

from mcuprune.masks.budgets import Budget, erk, from_sensitivity, global_magnitude, parse_budget
from mcuprune.masks.mask import check_blocks, mask, ramp_mask, zero_count
from mcuprune.masks.patterns import (
    NM,
    Block,
    Channels,
    Pattern,
    Pooling,
    Unstructured,
    check_columns,
    parse_pattern,
    sparsity_of,
    unit_count,
)
from mcuprune.masks.rules import Candidate, Goal, Rule, assign_goals, matches_layer, parse_rule
from mcuprune.masks.select import Mask

__all__ = [
    "NM",
    "Block",
    "Budget",
    "Candidate",
    "Channels",
    "Goal",
    "Mask",
    "Pattern",
    "Pooling",
    "Rule",
    "Unstructured",
    "assign_goals",
    "check_blocks",
    "check_columns",
    "erk",
    "from_sensitivity",
    "global_magnitude",
    "mask",
    "matches_layer",
    "parse_budget",
    "parse_pattern",
    "parse_rule",
    "ramp_mask",
    "sparsity_of",
    "unit_count",
    "zero_count",
]
