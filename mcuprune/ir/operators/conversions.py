"""Changes of a tensor's type or quantization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.ir.graph import DType, Graph, Op
from mcuprune.ir.operators.checks import data_input, left_shift_fits, quantized, shape_is
from mcuprune.ir.operators.operator import Int8, Operator, same_channels
from mcuprune.ir.rescale import quant_of
from mcuprune.numerics import clamp_int8, quantize_multiplier, requantize

Float32 = npt.NDArray[np.float32]


def _check_quantize(graph: Graph, op: Op) -> None:
    data, output = graph.input_of(op), graph.output_of(op)
    quantized(output)
    shape_is(output, data.shape if data else None)
    if data is None:
        raise ModelError("the input is absent")
    if data.dtype is not DType.FLOAT32:
        quantized(data)
        left_shift_fits(quantize_multiplier(quant_of(data).scale / quant_of(output).scale)[1], 256)


def quantize(graph: Graph, op: Op, data: npt.NDArray[Any]) -> Int8:
    """QUANTIZE, from float32 or from another int8 scale.

    Source: AffineQuantize and Requantize in TensorFlow Lite, kernels/internal/reference/quantize.h and requantize.h.
    """
    source, out_q = graph.input_of(op), quant_of(graph.output_of(op))
    assert source is not None
    if data.dtype == np.float32:
        return quantize_float(data, out_q.scale, out_q.zero_point)
    in_q = quant_of(source)
    mult, shift = quantize_multiplier(in_q.scale / out_q.scale)
    return clamp_int8(requantize(data.astype(np.int64) - in_q.zero_point, mult, shift) + out_q.zero_point)


def quantize_float(data: npt.NDArray[np.floating], scale: float, zero_point: int) -> Int8:
    """clamp(round(x / scale) + zero_point) with a float32 quotient, halves away from zero.

    A quotient that is NaN or outside of int32 gives 127 for a negative zero point, else -128: what the reference
    does on x86-64 (C++ leaves it undefined; the conversion gives -2**31, and adding the zero point wraps).
    Source: AffineQuantize in TensorFlow Lite, kernels/internal/reference/quantize.h.
    """
    with np.errstate(all="ignore"):
        quotient = data.astype(np.float32) / np.float32(scale)
        whole = np.trunc(quotient)
        rounded = whole + np.copysign((np.abs(quotient - whole) >= 0.5).astype(np.float32), quotient)
        usable = (rounded >= -(2.0**31)) & (rounded < 2.0**31)
    stored = np.where(usable, rounded, -(2.0**31)).astype(np.int64) + zero_point
    return clamp_int8((stored + 2**31) % 2**32 - 2**31)


def _check_dequantize(graph: Graph, op: Op) -> None:
    data, output = data_input(graph, op), graph.output_of(op)
    shape_is(output, data.shape)
    if output.dtype is not DType.FLOAT32:
        raise ModelError(f"the output is {output.dtype.value}, expected float32")


def dequantize(graph: Graph, op: Op, data: Int8) -> Float32:
    """DEQUANTIZE: scale * (q - zero_point) in double, rounded once to float32.

    Source: Dequantize in TensorFlow Lite, kernels/internal/reference/dequantize.h.
    """
    source = graph.input_of(op)
    assert source is not None
    q = quant_of(source)
    return (q.scale * (data.astype(np.float64) - q.zero_point)).astype(np.float32)


OPERATORS: Mapping[str, Operator] = {
    "DEQUANTIZE": Operator(_check_dequantize, dequantize, carried=same_channels),
    "QUANTIZE": Operator(_check_quantize, quantize, carried=same_channels),
}
