"""Options of operators that scale rows."""

from __future__ import annotations

from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError
from mcuprune.importers.operators.reading import OpContext, OpParser, activation, no_options, optional_options
from mcuprune.ir.attributes import Activation, Attrs, NoAttrs


def _norm(context: OpContext) -> Attrs:
    o = optional_options(context, generated.L2NormOptionsT)
    if activation(o.fusedActivationFunction, context.where) is not Activation.NONE:
        raise ModelError("a fused activation is not supported", where=context.where)
    return NoAttrs()


PARSERS: Mapping[str, OpParser] = {
    "L2_NORMALIZATION": OpParser((1, 1), _norm),
    "LOG_SOFTMAX": OpParser((1, 1), no_options),
}
