"""Masks in pure numpy: patterns of zeros, exact counts, and which layer gets which."""

from __future__ import annotations

from mcuprune.masks.mask import mask, ramp_mask, zero_count
from mcuprune.masks.patterns import NM, Block, Pattern, Unstructured, check_columns, parse_pattern, sparsity_of
from mcuprune.masks.rules import Candidate, Goal, Rule, assign_goals, parse_rule

__all__ = [
    "NM",
    "Block",
    "Candidate",
    "Goal",
    "Pattern",
    "Rule",
    "Unstructured",
    "assign_goals",
    "check_columns",
    "mask",
    "parse_pattern",
    "parse_rule",
    "ramp_mask",
    "sparsity_of",
    "zero_count",
]
