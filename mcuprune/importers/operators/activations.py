"""Options of activations."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError
from mcuprune.importers.operators.reading import OpContext, OpParser, no_options, options_of
from mcuprune.ir.attributes import Attrs, SoftmaxAttrs


def _softmax(context: OpContext) -> Attrs:
    beta = float(options_of(context, generated.SoftmaxOptionsT).beta)
    if not 0.0 < beta < math.inf:
        raise ModelError(f"softmax beta {beta!r} is not a positive number", where=context.where)
    return SoftmaxAttrs(beta)


PARSERS: Mapping[str, OpParser] = {
    "PRELU": OpParser((2, 2), no_options),
    "RELU": OpParser((1, 1), no_options),
    "RELU6": OpParser((1, 1), no_options),
    "RELU_0_TO_1": OpParser((1, 1), no_options),
    "RELU_N1_TO_1": OpParser((1, 1), no_options),
    "SOFTMAX": OpParser((1, 1), _softmax),
}
