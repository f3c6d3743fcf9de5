"""Products of matrices that are both activations, or one of them a constant.

FULLY_CONNECTED whose weights are computed is one of them: its attributes say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import FullyConnectedAttrs, MatmulAttrs
from mcuprune.ir.graph import DType, Graph, Op, Tensor
from mcuprune.ir.operators.checks import bias_fits, left_shift_fits, one_type, present, quantized, shape_is
from mcuprune.ir.operators.operator import Array, Operator
from mcuprune.ir.rescale import quant_of
from mcuprune.ir.rescale16 import wide_multiplier
from mcuprune.ir.shapes import fully_connected_shape, matmul_shape
from mcuprune.numerics import (
    activation_range,
    clamp_int8,
    quantize_multiplier,
    requantize,
    requantize_wide,
    round_once_multiplier,
    round_product,
)

MAX_DIMENSIONS = 5  # as the reference


def matmul_operands(graph: Graph, op: Op) -> tuple[Tensor, Tensor]:
    """Both operands: of int8, or int16 by int16 or int8, which have zero point 0.

    Raises:
        ModelError: one is absent, or of another type, or does not have one scale.
    """
    first, second = present(graph, op), present(graph, op, 1)
    one_type(first, graph.output_of(op))
    quantized(second, *((DType.INT8,) if first.dtype is DType.INT8 else (DType.INT8, DType.INT16)))
    if first.dtype is DType.INT16 and quant_of(second).zero_point:
        raise ModelError(f"by int16, tensor {second.index} has zero point 0, it has {quant_of(second).zero_point}")
    return first, second


def matmul_multiplier(graph: Graph, op: Op) -> tuple[int, int]:
    """Multiplier and shift of the sums; on int16 the multiplier has 16 bits.

    Raises:
        QuantError: the multiplier is out of range, or sums on int16 could overflow.
    Source: GetQuantizedConvolutionMultipler in TensorFlow Lite, kernels/kernel_util.cc.
    """
    first, second = matmul_operands(graph, op)
    product = float(np.float32(quant_of(first).scale) * np.float32(quant_of(second).scale))
    scale = product / quant_of(graph.output_of(op)).scale
    if first.dtype is DType.INT8:
        return quantize_multiplier(scale)
    return wide_multiplier(scale, _depth(op, first) * 2**15 * -second.dtype.limits[0])


def _depth(op: Op, first: Tensor) -> int:
    return first.shape[-2 if isinstance(op.attrs, MatmulAttrs) and op.attrs.transpose_first else -1]


def _check_matmul(graph: Graph, op: Op) -> None:
    if isinstance(op.attrs, FullyConnectedAttrs):
        _check_computed_weights(graph, op)
        return
    assert isinstance(op.attrs, MatmulAttrs)
    first, second = matmul_operands(graph, op)
    ranks = len(first.shape), len(second.shape)
    if min(ranks) < 2 or max(ranks) > MAX_DIMENSIONS:
        raise ModelError(f"operands {first.shape} and {second.shape}, of 2 to {MAX_DIMENSIONS} dimensions")
    expected = matmul_shape(first.shape, second.shape, op.attrs.transpose_first, op.attrs.transpose_second)
    shape_is(graph.output_of(op), expected)
    _, shift = matmul_multiplier(graph, op)
    if first.dtype is DType.INT8:
        largest = (128 + abs(quant_of(first).zero_point)) * (128 + abs(quant_of(second).zero_point))
        left_shift_fits(shift, _depth(op, first) * largest)


def batch_matmul(graph: Graph, op: Op, first: Array, second: Array) -> Array:
    """BATCH_MATMUL: the last two dimensions are matrices, the others repeat as in numpy.

    Source: BatchMatMul in TensorFlow Lite, kernels/internal/reference/batch_matmul.h.
    """
    if isinstance(op.attrs, FullyConnectedAttrs):
        return _computed_weights(graph, op, first, second)
    assert isinstance(op.attrs, MatmulAttrs)
    a, b = _centred(graph, op, first, second)
    a = a.swapaxes(-1, -2) if op.attrs.transpose_first else a
    b = b.swapaxes(-1, -2) if op.attrs.transpose_second else b
    sums = np.matmul(a, b).astype(np.int64)  # below 2**31, of int16 2**47: exact in double
    mult, shift = matmul_multiplier(graph, op)
    if first.dtype == np.int16:
        return np.clip(requantize_wide(sums, mult, shift), *DType.INT16.limits).astype(np.int16)
    return clamp_int8(requantize(sums, mult, shift) + quant_of(graph.output_of(op)).zero_point)


def _centred(graph: Graph, op: Op, first: Array, second: Array) -> tuple[npt.NDArray[np.float64], ...]:
    """Operands without their zero points."""
    quants = [quant_of(tensor) for tensor in matmul_operands(graph, op)]
    return tuple(x.astype(np.float64) - q.zero_point for x, q in zip((first, second), quants, strict=True))


# FULLY_CONNECTED with weights that are computed


@dataclass(frozen=True, slots=True, eq=False)
class ComputedRescale:
    """out = clamp(round((acc + bias) * scale) + out_zp, act_min, act_max); mult, shift: for requantize_once()."""

    bias: npt.NDArray[np.int32] | None
    scale: float
    mult: int
    shift: int
    act_min: int
    act_max: int


@lru_cache(maxsize=128)  # a graph and its operators are frozen
def computed_rescale(graph: Graph, op: Op) -> ComputedRescale:
    """Rescaling of a FULLY_CONNECTED whose weights are computed.

    Raises:
        QuantError: no multiplier gives the reference's bytes, or a bound of the activation is out of range.
    """
    assert isinstance(op.attrs, FullyConnectedAttrs)
    first, second = matmul_operands(graph, op)
    bias_tensor, in_q, w_q, out_q = graph.input_of(op, 2), *map(quant_of, (first, second, graph.output_of(op)))
    bias = None if bias_tensor is None else bias_tensor.data
    low, high = activation_range(out_q.scale, out_q.zero_point, op.attrs.activation.value)
    scale = in_q.scale * w_q.scale / out_q.scale
    bound = second.shape[1] * (128 + abs(in_q.zero_point)) * (128 + abs(w_q.zero_point))
    bound += 0 if bias is None else int(np.abs(bias.astype(np.int64)).max())
    left_shift_fits(0, bound)
    mult, shift = round_once_multiplier(scale, low - out_q.zero_point - 1, high - out_q.zero_point + 1, bound)
    return ComputedRescale(bias, scale, mult, shift, low, high)


def _check_computed_weights(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, FullyConnectedAttrs)
    first, second = matmul_operands(graph, op)
    if first.dtype is not DType.INT8 or len(second.shape) != 2:
        found = f"{second.dtype.value} {second.shape} of {first.dtype.value} data"
        raise ModelError(f"weights that are computed are int8 of rank 2 of int8 data, they are {found}")
    expected = fully_connected_shape(first.shape, (second.shape[0], second.shape[1]), op.attrs.keep_num_dims)
    shape_is(graph.output_of(op), expected)
    bias_fits(graph, op, second.shape[0], DType.INT32)
    computed_rescale(graph, op)


def _computed_weights(graph: Graph, op: Op, first: Array, second: Array) -> Array:
    """Rows of the input by rows of the weights.

    Source: FullyConnected with float scales in TensorFlow Lite,
        kernels/internal/reference/integer_ops/fully_connected.h.
    """
    rescale, output = computed_rescale(graph, op), graph.output_of(op)
    data, weights = _centred(graph, op, first, second)
    acc = (data.reshape(-1, weights.shape[1]) @ weights.T).astype(np.int64)
    acc = acc if rescale.bias is None else acc + rescale.bias
    values = round_product(acc, rescale.scale) + quant_of(output).zero_point
    return clamp_int8(values, rescale.act_min, rescale.act_max).reshape(output.shape)


OPERATORS: Mapping[str, Operator] = {
    "BATCH_MATMUL": Operator(_check_matmul, batch_matmul, data_inputs=2),
}
