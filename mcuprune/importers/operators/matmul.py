"""Options of products of matrices."""

from __future__ import annotations

from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as generated

from mcuprune.importers.operators.reading import OpContext, OpParser, optional_options
from mcuprune.ir.attributes import Attrs, MatmulAttrs


def _matmul(context: OpContext) -> Attrs:
    o = optional_options(context, generated.BatchMatMulOptionsT)
    return MatmulAttrs(bool(o.adjX), bool(o.adjY))


PARSERS: Mapping[str, OpParser] = {
    "BATCH_MATMUL": OpParser((2, 2), _matmul),
}
