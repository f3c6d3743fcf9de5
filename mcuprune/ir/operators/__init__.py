"""The operators, by TFLite's names: one row each, in a file for each family."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune.ir.operators import (
    activations,
    arithmetic,
    conversions,
    joins,
    logic,
    lookups,
    matmul,
    moves,
    normalizations,
    pooling,
    recurrent,
    reductions,
    resize,
    tables,
    weighted,
)
from mcuprune.ir.operators.operator import Operator

OPERATORS: Mapping[str, Operator] = {
    **weighted.OPERATORS,
    **pooling.OPERATORS,
    **arithmetic.OPERATORS,
    **activations.OPERATORS,
    **recurrent.OPERATORS,
    **reductions.OPERATORS,
    **joins.OPERATORS,
    **resize.OPERATORS,
    **tables.OPERATORS,
    **logic.OPERATORS,
    **lookups.OPERATORS,
    **matmul.OPERATORS,
    **moves.OPERATORS,
    **normalizations.OPERATORS,
    **conversions.OPERATORS,
}

__all__ = ["OPERATORS", "Operator"]
