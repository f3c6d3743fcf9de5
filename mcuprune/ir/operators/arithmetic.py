"""Elementwise operators on two inputs, with broadcast."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import ArithmeticAttrs
from mcuprune.ir.graph import Graph, Op, Quant
from mcuprune.ir.operators.checks import broadcast, left_shift_fits, quantized
from mcuprune.ir.operators.operator import Int8, Operator, same_channels
from mcuprune.ir.rescale import quant_of
from mcuprune.numerics import (
    AddParameters,
    activation_range,
    add_parameters,
    clamp_int8,
    product_multiplier,
    quotient_multiplier,
    reciprocal_of_one_plus,
    requantize,
    rounding_divide_by_pot,
    rounding_doubling_high_mul,
    squared_difference_parameters,
)

Int64 = npt.NDArray[np.int64]

MAX_PRODUCT = 255 * 255


def _quants(graph: Graph, op: Op) -> tuple[Quant, Quant, Quant]:
    """Of both inputs and the output, which are int8."""
    tensors = [graph.input_of(op, 0), graph.input_of(op, 1), graph.output_of(op)]
    quants = []
    for tensor in tensors:
        if tensor is None:
            raise ModelError("an input is absent")
        quantized(tensor)
        quants.append(quant_of(tensor))
    return quants[0], quants[1], quants[2]


def _check(graph: Graph, op: Op) -> tuple[Quant, Quant, Quant]:
    """What all of them demand: int8, shapes that broadcast, an activation that has a range."""
    quants = _quants(graph, op)
    broadcast(graph, op)
    _range(op, quants[2])
    return quants


def _range(op: Op, out: Quant) -> tuple[int, int]:
    """Smallest and largest output."""
    activation = op.attrs.activation.value if isinstance(op.attrs, ArithmeticAttrs) else "NONE"
    return activation_range(out.scale, out.zero_point, activation)


def _check_sum(graph: Graph, op: Op) -> None:
    q1, q2, out = _check(graph, op)
    add_parameters(q1.scale, q2.scale, out.scale)


def _scaled(first: Int8, second: Int8, q1: Quant, q2: Quant, p: AddParameters) -> tuple[Int64, Int64]:
    """Both inputs on the same scale, twice the larger one, with `left_shift` bits behind the point."""
    a = requantize((first.astype(np.int64) - q1.zero_point) << p.left_shift, p.mult1, p.shift1)
    b = requantize((second.astype(np.int64) - q2.zero_point) << p.left_shift, p.mult2, p.shift2)
    return a, b


def add(graph: Graph, op: Op, first: Int8, second: Int8) -> Int8:
    """ADD and SUB with broadcast and a fused activation.

    Source: AddFunc in TensorFlow Lite, kernels/internal/reference/integer_ops/add.h; SubElementwise in
        kernels/internal/reference/sub.h.
    """
    q1, q2, out = _quants(graph, op)
    p = add_parameters(q1.scale, q2.scale, out.scale)
    a, b = _scaled(first, second, q1, q2, p)
    joined = a - b if op.kind == "SUB" else a + b
    return clamp_int8(requantize(joined, p.out_mult, p.out_shift) + out.zero_point, *_range(op, out))


def _check_squared_difference(graph: Graph, op: Op) -> None:
    q1, q2, out = _check(graph, op)
    squared_difference_parameters(q1.scale, q2.scale, out.scale)


def squared_difference(graph: Graph, op: Op, first: Int8, second: Int8) -> Int8:
    """SQUARED_DIFFERENCE with broadcast.

    Source: SquaredDifference in TensorFlow Lite, kernels/squared_difference.cc.
    """
    q1, q2, out = _quants(graph, op)
    p = squared_difference_parameters(q1.scale, q2.scale, out.scale)
    a, b = _scaled(first, second, q1, q2, p)
    return clamp_int8(requantize((a - b) ** 2, p.out_mult, p.out_shift) + out.zero_point)


def _check_mul(graph: Graph, op: Op) -> None:
    q1, q2, out = _check(graph, op)
    left_shift_fits(product_multiplier(q1.scale, q2.scale, out.scale)[1], MAX_PRODUCT)


def mul(graph: Graph, op: Op, first: Int8, second: Int8) -> Int8:
    """MUL with broadcast and a fused activation.

    Source: MulElementwise in TensorFlow Lite, kernels/internal/reference/integer_ops/mul.h.
    """
    q1, q2, out = _quants(graph, op)
    mult, shift = product_multiplier(q1.scale, q2.scale, out.scale)
    product = (first.astype(np.int64) - q1.zero_point) * (second.astype(np.int64) - q2.zero_point)
    return clamp_int8(requantize(product, mult, shift) + out.zero_point, *_range(op, out))


def _check_div(graph: Graph, op: Op) -> None:
    q1, q2, out = _check(graph, op)
    quotient_multiplier(q1.scale, q2.scale, out.scale)
    divisor = graph.tensors[op.inputs[1]].data
    if divisor is not None and (divisor == q2.zero_point).any():
        raise ModelError("the constant divisor has zeros")


def div(graph: Graph, op: Op, first: Int8, second: Int8) -> Int8:
    """DIV with broadcast and a fused activation, by a reciprocal in fixed point.

    A divisor of zero counts as one step of its scale; the reference stops there.
    Source: DivElementwise in TensorFlow Lite, kernels/internal/reference/div.h.
    """
    q1, q2, out = _quants(graph, op)
    mult, shift = quotient_multiplier(q1.scale, q2.scale, out.scale)
    divisor = second.astype(np.int64) - q2.zero_point
    value = (first.astype(np.int64) - q1.zero_point) * np.where(divisor < 0, -1, 1)
    magnitude = np.maximum(np.abs(divisor), 1)
    whole_bits = np.frexp(magnitude.astype(np.float64))[1].astype(np.int64)  # of the divisor, 1..8
    inverse = reciprocal_of_one_plus((magnitude << (32 - whole_bits)) - (1 << 31))
    seen = np.where(value < 0, ~value, value).astype(np.float64)
    headroom = 31 - np.frexp(seen)[1].astype(np.int64)
    quotient = rounding_doubling_high_mul(value << headroom, inverse)
    right = headroom + whole_bits - 1 - shift
    stored = rounding_divide_by_pot(rounding_doubling_high_mul(quotient, mult), right)
    return clamp_int8(stored + out.zero_point, *_range(op, out))


def _check_extremum(graph: Graph, op: Op) -> None:
    _check(graph, op)


def _extremum(choose: Callable[[Int8, Int8], Int8]) -> Callable[[Graph, Op, Int8, Int8], Int8]:
    """MINIMUM or MAXIMUM of stored values: the reference does not look at scales, which converters make equal.

    Source: MaximumMinimumBroadcastSlow in TensorFlow Lite, kernels/internal/reference/maximum_minimum.h.
    """
    return lambda graph, op, first, second: choose(first, second)


OPERATORS: Mapping[str, Operator] = {
    "ADD": Operator(_check_sum, add, 2, same_channels),
    "DIV": Operator(_check_div, div, 2, same_channels),
    "MAXIMUM": Operator(_check_extremum, _extremum(np.maximum), 2, same_channels),
    "MINIMUM": Operator(_check_extremum, _extremum(np.minimum), 2, same_channels),
    "MUL": Operator(_check_mul, mul, 2, same_channels),
    "SQUARED_DIFFERENCE": Operator(_check_squared_difference, squared_difference, 2, same_channels),
    "SUB": Operator(_check_sum, add, 2, same_channels),
}
