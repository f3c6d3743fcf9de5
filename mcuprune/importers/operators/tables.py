"""Options of functions of one int8 value."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError
from mcuprune.importers.operators.reading import OpContext, OpParser, no_options, optional_options
from mcuprune.ir.attributes import Attrs, GeluAttrs, LeakyReluAttrs


def _leaky_relu(context: OpContext) -> Attrs:
    alpha = float(optional_options(context, generated.LeakyReluOptionsT).alpha)
    if not math.isfinite(alpha):
        raise ModelError(f"slope {alpha!r} of LEAKY_RELU is not a number", where=context.where)
    return LeakyReluAttrs(alpha)


def _gelu(context: OpContext) -> Attrs:
    return GeluAttrs(bool(optional_options(context, generated.GeluOptionsT).approximate))


PARSERS: Mapping[str, OpParser] = {
    "ABS": OpParser((1, 1), no_options),
    "EXP": OpParser((1, 1), no_options),
    "GELU": OpParser((1, 1), _gelu),
    "HARD_SWISH": OpParser((1, 1), no_options),
    "LEAKY_RELU": OpParser((1, 1), _leaky_relu),
    "LOG": OpParser((1, 1), no_options),
    "LOGISTIC": OpParser((1, 1), no_options),
    "NEG": OpParser((1, 1), no_options),
    "RSQRT": OpParser((1, 1), no_options),
    "SQRT": OpParser((1, 1), no_options),
    "TANH": OpParser((1, 1), no_options),
}
