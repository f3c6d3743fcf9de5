"""How the file's operators are read, by TFLite's names: one row each, in a file for each family."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune.importers.operators import (
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
    slices,
    tables,
    weighted,
)
from mcuprune.importers.operators.reading import OpContext, OpParser

PARSERS: Mapping[str, OpParser] = {
    **activations.PARSERS,
    **arithmetic.PARSERS,
    **conversions.PARSERS,
    **logic.PARSERS,
    **lookups.PARSERS,
    **matmul.PARSERS,
    **joins.PARSERS,
    **moves.PARSERS,
    **normalizations.PARSERS,
    **pooling.PARSERS,
    **recurrent.PARSERS,
    **reductions.PARSERS,
    **resize.PARSERS,
    **slices.PARSERS,
    **tables.PARSERS,
    **weighted.PARSERS,
}

__all__ = ["PARSERS", "OpContext", "OpParser"]
