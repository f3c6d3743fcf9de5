"""How the file's operators are read, by TFLite's names: one row each, in a file for each family."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune.importers.operators import (
    activations,
    arithmetic,
    conversions,
    logic,
    matmul,
    moves,
    pooling,
    reductions,
    tables,
    weighted,
)
from mcuprune.importers.operators.reading import OpContext, OpParser

PARSERS: Mapping[str, OpParser] = {
    **activations.PARSERS,
    **arithmetic.PARSERS,
    **conversions.PARSERS,
    **logic.PARSERS,
    **matmul.PARSERS,
    **moves.PARSERS,
    **pooling.PARSERS,
    **reductions.PARSERS,
    **tables.PARSERS,
    **weighted.PARSERS,
}

__all__ = ["PARSERS", "OpContext", "OpParser"]
