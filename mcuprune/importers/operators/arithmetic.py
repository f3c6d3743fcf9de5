"""Options of elementwise operators on two inputs."""

from __future__ import annotations

from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as generated

from mcuprune.importers.operators.reading import OpContext, OpParser, activation, optional_options
from mcuprune.ir.attributes import AddAttrs, Attrs


def _add(context: OpContext) -> Attrs:
    o = optional_options(context, generated.AddOptionsT)
    return AddAttrs(activation(o.fusedActivationFunction, context.where))


PARSERS: Mapping[str, OpParser] = {
    "ADD": OpParser((2, 2), _add),
}
