"""Options of operators that take rows of a table by positions."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError
from mcuprune.importers.operators.reading import OpContext, OpParser, gives, one_dimension, options_of, source_of
from mcuprune.ir.attributes import Attrs, LookupAttrs
from mcuprune.ir.graph import Tensor


def _positions(context: OpContext) -> Tensor:
    positions = context.inputs[1]
    assert positions is not None
    return positions


def _in_range(context: OpContext, attrs: LookupAttrs) -> LookupAttrs:
    """Constant positions are in range: the reference refuses others when it runs."""
    data = _positions(context).data
    if data is None:
        return attrs
    for place, size in enumerate(attrs.sizes):
        taken = data.reshape(-1, len(attrs.sizes))[:, place]
        if int(taken.min()) < (-size if attrs.from_end else 0) or int(taken.max()) >= size:
            raise ModelError(
                f"positions {int(taken.min())} to {int(taken.max())} of a dimension of {size}", where=context.where
            )
    return attrs


def gather(context: OpContext, from_end: bool = False) -> Attrs:
    """GATHER with positions that are computed, or that each batch has its own of."""
    options, shape, positions = (
        options_of(context, generated.GatherOptionsT),
        source_of(context).shape,
        _positions(context),
    )
    axis = one_dimension(options.axis, len(shape), "dimension", context.where)
    own = int(options.batchDims) + (len(positions.shape) if options.batchDims < 0 else 0)
    if not 0 <= own <= min(axis, len(positions.shape)) or shape[:own] != positions.shape[:own]:
        raise ModelError(
            f"positions {positions.shape} of their own for {options.batchDims} dimensions of an input {shape}",
            where=context.where,
        )
    gives(context, (*shape[:axis], *positions.shape[own:], *shape[axis + 1 :]))
    return _in_range(
        context,
        LookupAttrs(
            batches=math.prod(shape[:own]),
            outer=math.prod(shape[own:axis]),
            sizes=(shape[axis],),
            inner=math.prod(shape[axis + 1 :]),
            count=math.prod(positions.shape[own:]),
            from_end=from_end,
        ),
    )


def _gather_nd(context: OpContext) -> Attrs:
    """The last dimension of the positions names an element of the first dimensions of the table."""
    shape, positions = source_of(context).shape, _positions(context)
    depth = positions.shape[-1] if positions.shape else 0
    if not 1 <= depth <= len(shape):
        raise ModelError(f"positions {positions.shape} of an input {shape}", where=context.where)
    gives(context, (*positions.shape[:-1], *shape[depth:]))
    attrs = LookupAttrs(1, 1, shape[:depth], math.prod(shape[depth:]), math.prod(positions.shape[:-1]))
    return _in_range(context, attrs)


def _embedding_lookup(context: OpContext) -> Attrs:
    shape, positions = source_of(context).shape, _positions(context)
    if len(shape) < 2 or len(positions.shape) != 1:
        raise ModelError(f"positions {positions.shape} of an input {shape}", where=context.where)
    if source_of(context).dtype is not context.output.dtype:
        raise ModelError(
            f"a table of {source_of(context).dtype.value} with an output of {context.output.dtype.value}",
            where=context.where,
            hint="quantize the model with samples, so that what the table gives stays int8",
        )
    gives(context, (*positions.shape, *shape[1:]))
    return _in_range(context, LookupAttrs(1, 1, shape[:1], math.prod(shape[1:]), positions.size))


LOOKUP = OpParser((2, 2), gather, "LOOKUP", floats=True)
"""How GATHER is read where its positions are computed, or each batch has its own."""
FROM_END = OpParser((2, 2), lambda context: gather(context, from_end=True), "LOOKUP", floats=True)
"""The same, positions below 0 counted from the end."""

PARSERS: Mapping[str, OpParser] = {
    "EMBEDDING_LOOKUP": OpParser((2, 2), _embedding_lookup, "LOOKUP", order=(1, 0), floats=True),
    "GATHER_ND": OpParser((2, 2), _gather_nd, "LOOKUP", floats=True),
}
