"""Comparisons, logic on bool, and choices by it: what stands at the edges of models."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.ir.graph import DType, Graph, Op, Quant, Tensor
from mcuprune.ir.operators.checks import broadcast, one_type, present, shape_is
from mcuprune.ir.operators.operator import Array, Operator
from mcuprune.ir.rescale import quant_of
from mcuprune.numerics import quantize_multiplier, requantize

Bool = npt.NDArray[np.bool_]

LESS, EQUAL, GREATER, UNORDERED = 1, 2, 4, 8
COMPARISONS: Mapping[str, int] = {
    "EQUAL": EQUAL,
    "GREATER": GREATER,
    "GREATER_EQUAL": GREATER | EQUAL,
    "LESS": LESS,
    "LESS_EQUAL": LESS | EQUAL,
    "NOT_EQUAL": LESS | GREATER | UNORDERED,
}
"""The orders of two values for which each is true."""

COMPARED: Mapping[DType, tuple[str, ...]] = {
    **dict.fromkeys((DType.INT8, DType.UINT8, DType.INT32, DType.INT64, DType.FLOAT32), tuple(COMPARISONS)),
    DType.INT16: ("EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL"),
    DType.BOOL: ("EQUAL", "NOT_EQUAL"),
}
"""Comparisons that the reference has of a type. Source: TensorFlow Lite, kernels/comparisons.cc."""
COMPARED_LEFT_SHIFT = 8


def _operands(graph: Graph, op: Op, first: int, count: int) -> list[Tensor]:
    """Inputs of one type."""
    tensors = [graph.input_of(op, place) for place in range(first, first + count)]
    found = [tensor for tensor in tensors if tensor is not None]
    if len(found) < count or len({tensor.dtype for tensor in found}) != 1:
        raise ModelError("the operands must be of one type, they are " + ", ".join(t.dtype.value for t in found))
    return found


def _is_bool(tensor: Tensor) -> None:
    if tensor.dtype is not DType.BOOL:
        raise ModelError(f"tensor {tensor.index} is {tensor.dtype.value}, expected bool")


def _check_comparison(graph: Graph, op: Op) -> None:
    operands = _operands(graph, op, 0, 2)
    dtype = operands[0].dtype
    if op.kind not in COMPARED.get(dtype, ()):
        raise ModelError(f"{op.kind} of {dtype.value} is not supported")
    if on_one_scale(op, operands[0]):
        one_type(*operands, dtypes=(dtype,))
        for tensor in operands:
            comparison_multiplier(quant_of(tensor))
    elif op.kind == "NOT_EQUAL" and dtype is DType.INT16:
        raise ModelError("NOT_EQUAL of int16 without a scale is not supported")
    broadcast(graph, op)
    _is_bool(graph.output_of(op))


def on_one_scale(op: Op, operand: Tensor) -> bool:
    """Whether the operands are brought to one scale; others are compared as they are stored, int16 by LESS, too."""
    if operand.dtype is DType.INT16:
        return op.kind in ("EQUAL", "NOT_EQUAL") and operand.quant is not None
    return operand.dtype in (DType.INT8, DType.UINT8)


def comparison_multiplier(quant: Quant) -> tuple[int, int]:
    """Multiplier and shift of an operand's scale.

    Raises:
        ModelError: the scale is 1 and more; there the reference aborts, or shifts by a negative number.
    Source: ComparisonQuantized in TensorFlow Lite, kernels/comparisons.cc.
    """
    if quant.scale >= 1.0:
        raise ModelError(f"a comparison of quantized values needs scales below 1, got {quant.scale}")
    return quantize_multiplier(quant.scale)


def compare(graph: Graph, op: Op, first: Array, second: Array) -> Bool:
    """EQUAL, NOT_EQUAL, GREATER, GREATER_EQUAL, LESS, LESS_EQUAL; quantized values on one fixed-point scale.

    Source: ComparisonWithScaling and ComparisonImpl in TensorFlow Lite, kernels/internal/reference/comparisons.h.
    """
    sides = []
    for index, values in zip(op.inputs, (first, second), strict=True):
        if on_one_scale(op, graph.tensors[index]):
            q = quant_of(graph.tensors[index])
            shifted = (values.astype(np.int64) - q.zero_point) << COMPARED_LEFT_SHIFT
            sides.append(requantize(shifted, *comparison_multiplier(q)))
        else:
            sides.append(values)
    a, b = sides
    less, equal, greater = a < b, a == b, a > b
    order = np.where(less, LESS, np.where(equal, EQUAL, np.where(greater, GREATER, UNORDERED)))
    found: Bool = (order & COMPARISONS[op.kind]) != 0
    return found


def _check_logical(graph: Graph, op: Op) -> None:
    for tensor in (*_operands(graph, op, 0, 2), graph.output_of(op)):
        _is_bool(tensor)
    broadcast(graph, op)


def _check_not(graph: Graph, op: Op) -> None:
    data, output = present(graph, op), graph.output_of(op)
    _is_bool(data)
    _is_bool(output)
    shape_is(output, data.shape)


def _check_select(graph: Graph, op: Op) -> None:
    condition, (x, y), output = graph.input_of(op), _operands(graph, op, 1, 2), graph.output_of(op)
    if condition is None:
        raise ModelError("the condition is absent")
    _is_bool(condition)
    if output.dtype is not x.dtype:
        raise ModelError(f"the output is {output.dtype.value}, the choices are {x.dtype.value}")
    if op.kind == "SELECT" and (x.shape != y.shape or (condition.size > 1 and condition.shape != x.shape)):
        raise ModelError(f"SELECT of {x.shape} and {y.shape} by {condition.shape}: they must have one shape")
    broadcast(graph, op, 3)


def select(graph: Graph, op: Op, condition: Bool, x: Array, y: Array) -> Array:
    """SELECT and SELECT_V2 of stored values.

    Source: Select and BroadcastSelect5DSlow in TensorFlow Lite, kernels/internal/reference/select.h.
    """
    return np.where(condition, x, y)


OPERATORS: Mapping[str, Operator] = {
    **{kind: Operator(_check_comparison, compare, 2) for kind in COMPARISONS},
    "LOGICAL_AND": Operator(_check_logical, lambda graph, op, a, b: a & b, 2),
    "LOGICAL_NOT": Operator(_check_not, lambda graph, op, a: ~a),
    "LOGICAL_OR": Operator(_check_logical, lambda graph, op, a, b: a | b, 2),
    "SELECT": Operator(_check_select, select, 3),
    "SELECT_V2": Operator(_check_select, select, 3),
}
