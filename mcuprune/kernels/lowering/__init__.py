"""From an operator of the graph to the numbers its kernels need: one row for each kind, in a file for each family."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune.ir.graph import Graph, Op
from mcuprune.kernels.lowering import (
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
from mcuprune.kernels.lowering.members import Lower
from mcuprune.kernels.params import LayerParams

LOWER: Mapping[str, Lower] = {
    **activations.LOWER,
    **arithmetic.LOWER,
    **conversions.LOWER,
    **logic.LOWER,
    **lookups.LOWER,
    **matmul.LOWER,
    **joins.LOWER,
    **moves.LOWER,
    **normalizations.LOWER,
    **pooling.LOWER,
    **recurrent.LOWER,
    **reductions.LOWER,
    **resize.LOWER,
    **tables.LOWER,
    **weighted.LOWER,
}


def lower(graph: Graph, op: Op) -> LayerParams | None:
    """What the kernels need to know of one operator; None for RESHAPE, which moves nothing.

    Raises:
        QuantError: an accumulator could leave int32.
    """
    return LOWER[op.kind](graph, op)
