"""Options of elementwise operators on two inputs."""

from __future__ import annotations

from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as generated

from mcuprune.importers.operators.reading import OpContext, OpParser, activation, no_options, optional_options
from mcuprune.ir.attributes import ArithmeticAttrs, Attrs


def _fused(options: type) -> OpParser:
    """Two inputs and options of this class, of which the fused activation counts."""

    def parse(context: OpContext) -> Attrs:
        o = optional_options(context, options)
        pot_scale = context.options is not None and bool(getattr(o, "potScaleInt16", False))
        return ArithmeticAttrs(activation(o.fusedActivationFunction, context.where), pot_scale)

    return OpParser((2, 2), parse)


PARSERS: Mapping[str, OpParser] = {
    "ADD": _fused(generated.AddOptionsT),
    "DIV": _fused(generated.DivOptionsT),
    "MAXIMUM": OpParser((2, 2), no_options),
    "MINIMUM": OpParser((2, 2), no_options),
    "MUL": _fused(generated.MulOptionsT),
    "SQUARED_DIFFERENCE": OpParser((2, 2), no_options),
    "SUB": _fused(generated.SubOptionsT),
}
