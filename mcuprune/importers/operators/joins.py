"""Options of operators that put tensors side by side."""

from __future__ import annotations

from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError
from mcuprune.importers.operators.reading import OpContext, OpParser, activation, one_dimension, options_of, source_of
from mcuprune.ir.attributes import Activation, Attrs, ConcatenationAttrs
from mcuprune.ir.graph import DType


def _concatenation(context: OpContext) -> Attrs:
    """The reference takes no fused activation, and int8 parts of the output's scale and zero point alone."""
    options = options_of(context, generated.ConcatenationOptionsT)
    if activation(options.fusedActivationFunction, context.where) is not Activation.NONE:
        raise ModelError("a concatenation with a fused activation is not supported", where=context.where)
    for part in context.inputs:
        if part is None:
            raise ModelError("an input is absent", where=context.where)
        if part.dtype is DType.INT8 and part.quant != context.output.quant:
            raise ModelError(
                f"part '{part.name}' has another scale or zero point than the output",
                where=context.where,
                hint="convert the model again: TFLite's kernels do not rescale here either",
            )
    axis = one_dimension(options.axis, len(source_of(context).shape), "dimension", context.where)
    return ConcatenationAttrs(axis)


def _pack(context: OpContext) -> Attrs:
    options = options_of(context, generated.PackOptionsT)
    if any(part is None for part in context.inputs) or int(options.valuesCount) != len(context.inputs):
        raise ModelError(f"{options.valuesCount} parts for {len(context.inputs)} inputs", where=context.where)
    axis = one_dimension(options.axis, len(source_of(context).shape) + 1, "dimension", context.where)
    return ConcatenationAttrs(axis, stacked=True)


PARSERS: Mapping[str, OpParser] = {
    "CONCATENATION": OpParser((1, None), _concatenation, floats=True),
    "PACK": OpParser((1, None), _pack, "CONCATENATION", floats=True),
}
