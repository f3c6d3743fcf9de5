"""Options of operators that move values."""

from __future__ import annotations

from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError
from mcuprune.importers.operators.reading import MAX_WINDOW, OpContext, OpParser, constant_int32, options_of
from mcuprune.ir.attributes import Attrs, NoAttrs, PadAttrs
from mcuprune.ir.shapes import reshape_shape
from mcuprune.tflite import schema


def _pad(context: OpContext) -> Attrs:
    tensor = constant_int32(context, 1, "the paddings")
    source = context.inputs[0]
    assert tensor.data is not None and source is not None
    if tensor.shape != (len(source.shape), 2) or len(source.shape) > 4:
        raise ModelError(f"paddings {tensor.shape} of an input {source.shape}", where=context.where)
    if tensor.data.min() < 0 or tensor.data.max() >= MAX_WINDOW:
        raise ModelError(f"paddings {tensor.data.tolist()} are not in 0..{MAX_WINDOW - 1}", where=context.where)
    before, after = (tuple(int(n) for n in tensor.data[:, side]) for side in (0, 1))
    return PadAttrs(before, after)


def _reshape(context: OpContext) -> Attrs:
    source = context.inputs[0]
    assert source is not None
    shape = context.inputs[1] if len(context.inputs) > 1 else None
    if shape is not None and len(shape.shape) == 1:
        data = constant_int32(context, 1, "the shape").data
        assert data is not None
        wanted = tuple(int(n) for n in data)
    elif shape is not None:
        raise ModelError(f"the new shape must be a vector, it is {shape.shape}", where=context.where)
    else:
        options = options_of(context, generated.ReshapeOptionsT)
        wanted = tuple(int(n) for n in schema.numbers(options.newShape))
    if reshape_shape(source.shape, wanted) != context.output.shape:
        raise ModelError(f"{source.shape} to {wanted} does not give {context.output.shape}", where=context.where)
    return NoAttrs()


PARSERS: Mapping[str, OpParser] = {
    "PAD": OpParser((2, 2), _pad),
    "RESHAPE": OpParser((1, 2), _reshape),
}
