"""Options of pooling."""

from __future__ import annotations

from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as generated

from mcuprune.importers.operators.reading import OpContext, OpParser, activation, options_of, padding, pair
from mcuprune.ir.attributes import Attrs, PoolAttrs


def _pool(context: OpContext) -> Attrs:
    o = options_of(context, generated.Pool2DOptionsT)
    return PoolAttrs(
        filter=pair(o.filterHeight, o.filterWidth, "filter", context.where),
        stride=pair(o.strideH, o.strideW, "stride", context.where),
        padding=padding(o.padding, context.where),
        activation=activation(o.fusedActivationFunction, context.where),
    )


PARSERS: Mapping[str, OpParser] = {
    "AVERAGE_POOL_2D": OpParser((1, 1), _pool),
    "MAX_POOL_2D": OpParser((1, 1), _pool),
}
