"""Options of comparisons, logic and choices: none of them has any."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune.importers.operators.reading import OpParser, no_options

_COMPARISON = OpParser((2, 2), no_options, floats=True)
_SELECT = OpParser((3, 3), no_options, floats=True)

PARSERS: Mapping[str, OpParser] = {
    "EQUAL": _COMPARISON,
    "GREATER": _COMPARISON,
    "GREATER_EQUAL": _COMPARISON,
    "LESS": _COMPARISON,
    "LESS_EQUAL": _COMPARISON,
    "LOGICAL_AND": OpParser((2, 2), no_options),
    "LOGICAL_NOT": OpParser((1, 1), no_options),
    "LOGICAL_OR": OpParser((2, 2), no_options),
    "NOT_EQUAL": _COMPARISON,
    "SELECT": _SELECT,
    "SELECT_V2": _SELECT,
}
