"""Options of reductions."""

from __future__ import annotations

from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError
from mcuprune.importers.operators.reading import OpContext, OpParser, constant_int32, optional_options, options_of
from mcuprune.ir.attributes import ArgAttrs, Attrs, ReduceAttrs
from mcuprune.ir.graph import DType
from mcuprune.tflite import schema


def _axis(axis: int, rank: int, where: str) -> int:
    """A dimension of an input; negative ones count from the end."""
    if not -rank <= axis < rank:
        raise ModelError(f"axis {axis} of an input of rank {rank}", where=where)
    return axis % rank


def _reduce(context: OpContext) -> Attrs:
    o = optional_options(context, generated.ReducerOptionsT)
    tensor = constant_int32(context, 1, "the axes")
    source = context.inputs[0]
    assert tensor.data is not None and source is not None
    if len(tensor.shape) > 1:
        raise ModelError(f"axes of shape {tensor.shape}", where=context.where)
    axes = {_axis(int(a), len(source.shape), context.where) for a in tensor.data.reshape(-1)}
    return ReduceAttrs(tuple(sorted(axes)), bool(o.keepDims))


def _arg(context: OpContext) -> Attrs:
    kinds = generated.ArgMaxOptionsT, generated.ArgMinOptionsT
    options = options_of(context, kinds[isinstance(context.options, kinds[1])])
    axis, source = context.inputs[1], context.inputs[0]
    assert source is not None
    if axis is None or axis.data is None or axis.size != 1 or axis.dtype not in (DType.INT32, DType.INT64):
        raise ModelError("the axis must be one constant int32 or int64", where=context.where)
    wanted = schema.TENSOR_TYPE_NAMES.get(int(options.outputType), f"number {options.outputType}")
    if wanted != context.output.dtype.name:
        raise ModelError(
            f"the options ask for {wanted}, the output is {context.output.dtype.name}", where=context.where
        )
    return ArgAttrs(_axis(int(axis.data.reshape(-1)[0]), len(source.shape), context.where))


PARSERS: Mapping[str, OpParser] = {
    "ARG_MAX": OpParser((2, 2), _arg),
    "ARG_MIN": OpParser((2, 2), _arg),
    "MEAN": OpParser((2, 2), _reduce),
    "REDUCE_MAX": OpParser((2, 2), _reduce),
    "REDUCE_MIN": OpParser((2, 2), _reduce),
    "REDUCE_PROD": OpParser((2, 2), _reduce),
    "SUM": OpParser((2, 2), _reduce),
}
