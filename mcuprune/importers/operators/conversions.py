"""Options of changes of type or quantization: the tensors say it all."""

from __future__ import annotations

from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as generated

from mcuprune.importers.operators.reading import OpContext, OpParser, check_type, no_options, optional_options
from mcuprune.ir.attributes import Attrs, NoAttrs


def _cast(context: OpContext) -> Attrs:
    options = optional_options(context, generated.CastOptionsT)
    for number in (options.inDataType, options.outDataType):
        check_type(number, "type", context.where)
    return NoAttrs()


PARSERS: Mapping[str, OpParser] = {
    "CAST": OpParser((1, 1), _cast, floats=True),
    "DEQUANTIZE": OpParser((1, 1), no_options, floats=True),
    "QUANTIZE": OpParser((1, 1), no_options, floats=True),
}
