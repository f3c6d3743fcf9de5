"""Changes of a tensor's type or quantization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.ir.graph import DType, Graph, Op, Quant, Tensor
from mcuprune.ir.operators.checks import left_shift_fits, present, quantized, shape_is
from mcuprune.ir.operators.operator import Array, Operator, same_channels
from mcuprune.ir.rescale import quant_of
from mcuprune.numerics import quantize_multiplier, requantize

Float32 = npt.NDArray[np.float32]

_EIGHT_BITS = (DType.INT8, DType.UINT8)
QUANTIZE_FORMS: Mapping[DType, tuple[DType, ...]] = {
    DType.FLOAT32: (*_EIGHT_BITS, DType.INT16),
    DType.INT8: (*_EIGHT_BITS, DType.INT16),
    DType.UINT8: (*_EIGHT_BITS, DType.INT16),
    DType.INT16: (DType.INT8, DType.INT16, DType.INT32),
    DType.INT32: (DType.INT8, DType.INT16),
}
"""Outputs of QUANTIZE by the type of its input. Source: Prepare in TensorFlow Lite, kernels/quantize.cc."""


def _check_quantize(graph: Graph, op: Op) -> None:
    data, output = present(graph, op), graph.output_of(op)
    shape_is(output, data.shape)
    outputs = QUANTIZE_FORMS.get(data.dtype, ())
    if output.dtype not in outputs:
        raise ModelError(f"QUANTIZE from {data.dtype.value} to {output.dtype.value} is not supported")
    quantized(output, *outputs)
    if data.dtype is not DType.FLOAT32:
        quantized(data, data.dtype)
        _check_rescale(data, output)


def _check_rescale(data: Tensor, output: Tensor) -> None:
    """Nothing that the reference computes on the way leaves int32."""
    in_q, out_q = quant_of(data), quant_of(output)
    _, shift = rescaling(in_q, out_q)
    if data.dtype is DType.INT32:
        if shift >= 0 or in_q.zero_point:
            raise ModelError(
                f"int32 of scale {in_q.scale} and zero point {in_q.zero_point} to scale {out_q.scale}: "
                "only scales below half of the output's without a zero point are supported"
            )
        return
    low, high = data.dtype.limits
    left_shift_fits(shift, high - low + 1)
    symmetric = data.dtype is DType.INT16 and output.dtype is DType.INT16
    if symmetric and (in_q.zero_point or out_q.zero_point):
        raise ModelError(f"int16 has zero point 0, here are {in_q.zero_point} and {out_q.zero_point}")
    if ((high - low + 1) << max(shift, 0)) + abs(out_q.zero_point) >= 2**31:
        raise ModelError(f"zero point {out_q.zero_point} is too large: int32 overflows")


def rescaling(in_q: Quant, out_q: Quant) -> tuple[int, int]:
    """Multiplier and shift from one scale to another."""
    return quantize_multiplier(in_q.scale / out_q.scale)


def quantize(graph: Graph, op: Op, data: Array) -> Array:
    """QUANTIZE, from float32 or from another integer type or scale.

    Source: AffineQuantize and Requantize in TensorFlow Lite, kernels/internal/reference/quantize.h and requantize.h.
    """
    source, output = graph.input_of(op), graph.output_of(op)
    assert source is not None
    out_q = quant_of(output)
    if source.dtype is DType.FLOAT32:
        return quantize_float(data, out_q.scale, out_q.zero_point, output.dtype)
    in_q = quant_of(source)
    stored = requantize(data.astype(np.int64) - in_q.zero_point, *rescaling(in_q, out_q)) + out_q.zero_point
    return np.clip(stored, *output.dtype.limits).astype(output.dtype.numpy)


def quantize_float(
    data: npt.NDArray[np.floating], scale: float, zero_point: int, dtype: DType = DType.INT8
) -> npt.NDArray[Any]:
    """clamp(round(x / scale) + zero_point) with a float32 quotient, halves away from zero.

    A NaN or a quotient outside of int32 gives the largest value for a negative zero point, else the smallest: what
    the reference does on x86-64 (C++ leaves it undefined; the conversion gives -2**31, adding the zero point wraps).
    Source: AffineQuantize in TensorFlow Lite, kernels/internal/reference/quantize.h.
    """
    with np.errstate(all="ignore"):
        quotient = data.astype(np.float32) / np.float32(scale)
        whole = np.trunc(quotient)
        rounded = whole + np.copysign((np.abs(quotient - whole) >= 0.5).astype(np.float32), quotient)
        usable = (rounded >= -(2.0**31)) & (rounded < 2.0**31)
    stored = np.where(usable, rounded, -(2.0**31)).astype(np.int64) + zero_point
    return np.clip((stored + 2**31) % 2**32 - 2**31, *dtype.limits).astype(dtype.numpy)


def _check_dequantize(graph: Graph, op: Op) -> None:
    data, output = present(graph, op), graph.output_of(op)
    quantized(data, *_EIGHT_BITS, DType.INT16)
    shape_is(output, data.shape)
    if output.dtype is not DType.FLOAT32:
        raise ModelError(f"the output is {output.dtype.value}, expected float32")
    if data.dtype is DType.INT16 and quant_of(data).zero_point:
        raise ModelError(f"int16 has zero point 0, here is {quant_of(data).zero_point}")


def dequantize(graph: Graph, op: Op, data: npt.NDArray[np.integer]) -> Float32:
    """DEQUANTIZE: scale * (q - zero_point) in double, rounded once to float32.

    Source: Dequantize in TensorFlow Lite, kernels/internal/reference/dequantize.h.
    """
    source = graph.input_of(op)
    assert source is not None
    q = quant_of(source)
    with np.errstate(over="ignore"):
        return (q.scale * (data.astype(np.float64) - q.zero_point)).astype(np.float32)


def _check_cast(graph: Graph, op: Op) -> None:
    shape_is(graph.output_of(op), present(graph, op).shape)


def cast(graph: Graph, op: Op, data: Array) -> Array:
    """CAST of stored values: integers wrap, floats are cut toward zero and saturate, NaN gives the largest integer.

    Source: CastValue in TensorFlow Lite, kernels/cast.cc.
    """
    dtype = graph.output_of(op).dtype
    if data.dtype != np.float32 or dtype in (DType.FLOAT32, DType.BOOL):
        return data.astype(dtype.numpy)
    low, high = dtype.limits
    above = np.isnan(data) | (data >= np.float32(high + 1))
    with np.errstate(all="ignore"):
        inside = np.trunc(np.where(above | (data < low), 0, data)).astype(dtype.numpy)
    return np.where(above, high, np.where(data < low, low, inside)).astype(dtype.numpy)


OPERATORS: Mapping[str, Operator] = {
    "CAST": Operator(_check_cast, cast, carried=same_channels),
    "DEQUANTIZE": Operator(_check_dequantize, dequantize, carried=same_channels),
    "QUANTIZE": Operator(_check_quantize, quantize, carried=same_channels),
}
