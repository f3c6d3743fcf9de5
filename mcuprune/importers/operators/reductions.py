"""Options of reductions."""

from __future__ import annotations

from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError
from mcuprune.importers.operators.reading import OpContext, OpParser, constant_int32, optional_options
from mcuprune.ir.attributes import Attrs, MeanAttrs


def _mean(context: OpContext) -> Attrs:
    o = optional_options(context, generated.ReducerOptionsT)
    tensor = constant_int32(context, 1, "the axes")
    source = context.inputs[0]
    assert tensor.data is not None and source is not None
    rank = len(source.shape)
    axes = {int(a) + rank if a < 0 else int(a) for a in tensor.data.reshape(-1)}
    if not all(0 <= a < rank for a in axes) or len(tensor.shape) > 1:
        raise ModelError(f"axes {tensor.data.tolist()} of an input of rank {rank}", where=context.where)
    return MeanAttrs(tuple(sorted(axes)), bool(o.keepDims))


PARSERS: Mapping[str, OpParser] = {
    "MEAN": OpParser((2, 2), _mean),
}
