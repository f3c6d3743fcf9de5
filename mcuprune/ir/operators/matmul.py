"""Products of matrices that are both activations, or one of them a constant."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import MatmulAttrs
from mcuprune.ir.graph import Graph, Op, Tensor
from mcuprune.ir.operators.checks import left_shift_fits, quantized, shape_is
from mcuprune.ir.operators.operator import Int8, Operator
from mcuprune.ir.rescale import quant_of
from mcuprune.ir.shapes import matmul_shape
from mcuprune.numerics import clamp_int8, quantize_multiplier, requantize

MAX_DIMENSIONS = 5  # as the reference


def matmul_operands(graph: Graph, op: Op) -> tuple[Tensor, Tensor]:
    """Both operands.

    Raises:
        ModelError: one is absent, or not int8 with one scale.
    """
    first, second = graph.input_of(op, 0), graph.input_of(op, 1)
    if first is None or second is None:
        raise ModelError("an operand is absent")
    quantized(first)
    quantized(second)
    return first, second


def matmul_multiplier(graph: Graph, op: Op) -> tuple[int, int]:
    """Multiplier and shift of the sums.

    Source: GetQuantizedConvolutionMultipler in TensorFlow Lite, kernels/kernel_util.cc.
    """
    first, second = matmul_operands(graph, op)
    product = float(np.float32(quant_of(first).scale) * np.float32(quant_of(second).scale))
    return quantize_multiplier(product / quant_of(graph.output_of(op)).scale)


def _check_matmul(graph: Graph, op: Op) -> None:
    assert isinstance(op.attrs, MatmulAttrs)
    first, second = matmul_operands(graph, op)
    output = graph.output_of(op)
    quantized(output)
    ranks = len(first.shape), len(second.shape)
    if min(ranks) < 2 or max(ranks) > MAX_DIMENSIONS:
        raise ModelError(f"operands {first.shape} and {second.shape}, of 2 to {MAX_DIMENSIONS} dimensions")
    shape_is(output, matmul_shape(first.shape, second.shape, op.attrs.transpose_first, op.attrs.transpose_second))
    depth = first.shape[-2 if op.attrs.transpose_first else -1]
    largest = (128 + abs(quant_of(first).zero_point)) * (128 + abs(quant_of(second).zero_point))
    left_shift_fits(matmul_multiplier(graph, op)[1], depth * largest)


def batch_matmul(graph: Graph, op: Op, first: Int8, second: Int8) -> Int8:
    """BATCH_MATMUL: the last two dimensions are matrices, the others repeat as in numpy.

    Source: BatchMatMul in TensorFlow Lite, kernels/internal/reference/batch_matmul.h.
    """
    assert isinstance(op.attrs, MatmulAttrs)
    quants = [quant_of(tensor) for tensor in matmul_operands(graph, op)]
    a, b = (x.astype(np.float64) - q.zero_point for x, q in zip((first, second), quants, strict=True))
    a = a.swapaxes(-1, -2) if op.attrs.transpose_first else a
    b = b.swapaxes(-1, -2) if op.attrs.transpose_second else b
    sums = np.matmul(a, b).astype(np.int64)  # below 2**31: exact in double
    mult, shift = matmul_multiplier(graph, op)
    return clamp_int8(requantize(sums, mult, shift) + quant_of(graph.output_of(op)).zero_point)


OPERATORS: Mapping[str, Operator] = {
    "BATCH_MATMUL": Operator(_check_matmul, batch_matmul, data_inputs=2),
}
