"""Options of recurrent operators."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError
from mcuprune.importers.operators.reading import OpContext, OpParser, options_of
from mcuprune.ir.attributes import Attrs, LstmAttrs, SvdfAttrs


def _svdf(context: OpContext) -> Attrs:
    o = options_of(context, generated.SVDFOptionsT)
    if o.fusedActivationFunction != generated.ActivationFunctionType.RELU:
        raise ModelError(
            f"fused activation {o.fusedActivationFunction}: the reference takes RELU alone", where=context.where
        )
    return SvdfAttrs(int(o.rank))


def _lstm(context: OpContext) -> Attrs:
    o = options_of(context, generated.UnidirectionalSequenceLSTMOptionsT)
    if len(context.inputs) not in (20, 24) or len(context.intermediates) != 5:
        raise ModelError(
            f"{len(context.inputs)} inputs and {len(context.intermediates)} intermediates: LSTM has 20 or 24, and 5",
            where=context.where,
        )
    hidden = context.intermediates[4]
    if hidden is None or hidden.per_axis:
        raise ModelError("its hidden values have no quantization", where=context.where)
    cell_clip, projection_clip = float(o.cellClip), float(o.projClip)
    if not (0 <= cell_clip < math.inf and 0 <= projection_clip < math.inf):
        raise ModelError(f"clips {cell_clip} and {projection_clip} are not positive numbers", where=context.where)
    return LstmAttrs(bool(o.timeMajor), cell_clip, projection_clip, hidden.scale, hidden.zero_point)


PARSERS: Mapping[str, OpParser] = {
    "SVDF": OpParser((3, 5), _svdf, states=(4,)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": OpParser((1, 24), _lstm, states=(18, 19), intermediates=True),
}
