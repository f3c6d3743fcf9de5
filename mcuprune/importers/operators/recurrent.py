"""Options of recurrent operators."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError
from mcuprune.importers.operators.reading import OpContext, OpParser, options_of, source_of
from mcuprune.ir.attributes import Attrs, LstmAttrs, SvdfAttrs
from mcuprune.ir.graph import DType


def _svdf(context: OpContext) -> Attrs:
    o = options_of(context, generated.SVDFOptionsT)
    if o.fusedActivationFunction != generated.ActivationFunctionType.RELU:
        raise ModelError(
            f"fused activation {o.fusedActivationFunction}: the reference takes RELU alone", where=context.where
        )
    return SvdfAttrs(int(o.rank))


LAYER_NORM = 20
"""Place of the first coefficients of a layer normalization: input, forget, cell and output gate."""


def _lstm(context: OpContext) -> Attrs:
    """LiteRT takes int8 and 20 or 24 inputs, TensorFlow Lite Micro int16, too, and there 24 of them."""
    o = options_of(context, generated.UnidirectionalSequenceLSTMOptionsT)
    wide = source_of(context).dtype is DType.INT16
    if len(context.inputs) not in ((24,) if wide else (20, 24)):
        raise ModelError(
            f"{len(context.inputs)} inputs: an LSTM has {'24' if wide else '20 or 24'}", where=context.where
        )
    cell_clip, projection_clip = float(o.cellClip), float(o.projClip)
    if not (0 <= cell_clip < math.inf and 0 <= projection_clip < math.inf):
        raise ModelError(f"clips {cell_clip} and {projection_clip} are not positive numbers", where=context.where)
    if wide:
        if o.fusedActivationFunction != generated.ActivationFunctionType.TANH:
            raise ModelError(f"activation {o.fusedActivationFunction}: on int16 only TANH is", where=context.where)
        return LstmAttrs(bool(o.timeMajor), cell_clip, projection_clip, 0.0, 0)
    if len(context.intermediates) != 5:
        raise ModelError(f"{len(context.intermediates)} intermediates: an LSTM has 5", where=context.where)
    normalized = len(context.inputs) == 24 and context.inputs[LAYER_NORM + 1] is not None
    *gates, hidden = context.intermediates
    if hidden is None or hidden.per_axis:
        raise ModelError("its hidden values have no quantization", where=context.where)
    scales = [gate.scale for gate in gates if gate is not None and not gate.per_axis] if normalized else []
    if normalized and len(scales) != 4:
        raise ModelError("the sums that it normalizes have no quantization", where=context.where)
    return LstmAttrs(bool(o.timeMajor), cell_clip, projection_clip, hidden.scale, hidden.zero_point, tuple(scales))


PARSERS: Mapping[str, OpParser] = {
    "SVDF": OpParser((3, 5), _svdf, states=(4,)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": OpParser((1, 24), _lstm, states=(18, 19), intermediates=True),
}
