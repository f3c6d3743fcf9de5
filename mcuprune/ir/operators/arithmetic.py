"""Elementwise operators on two inputs, with broadcast."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import ArithmeticAttrs
from mcuprune.ir.graph import DType, Graph, Op, Quant, Tensor
from mcuprune.ir.operators.checks import ACTIVATIONS, broadcast, left_shift_fits, one_type, present
from mcuprune.ir.operators.operator import Array, Operator, same_channels
from mcuprune.ir.rescale import quant_of
from mcuprune.numerics import (
    AddParameters,
    activation_range,
    add_parameters,
    power_of_two,
    product_multiplier,
    quotient_multiplier,
    reciprocal_of_one_plus,
    requantize,
    rounding_divide_by_pot,
    rounding_doubling_high_mul,
    squared_difference_parameters,
)

Int64 = npt.NDArray[np.int64]

MAX_PRODUCT = {DType.INT8: 255 * 255, DType.INT16: 2**30}
LEFT_SHIFT = {DType.INT8: 20, DType.INT16: 15}
"""Of sums and differences: bits behind the point that inputs get."""
MAX_POT_SHIFT = 15


def _tensors(graph: Graph, op: Op) -> tuple[Tensor, Tensor, Tensor]:
    return present(graph, op, 0), present(graph, op, 1), graph.output_of(op)


def _quants(graph: Graph, op: Op) -> tuple[Quant, Quant, Quant]:
    """Of both inputs and the output."""
    first, second, output = _tensors(graph, op)
    return quant_of(first), quant_of(second), quant_of(output)


def _check(graph: Graph, op: Op, *dtypes: DType) -> tuple[Quant, Quant, Quant]:
    """What all of them demand: one of these types, shapes that broadcast, an activation that has a range."""
    one_type(*_tensors(graph, op), dtypes=dtypes or ACTIVATIONS)
    broadcast(graph, op)
    output_range(graph, op)
    return _quants(graph, op)


def output_range(graph: Graph, op: Op) -> tuple[int, int]:
    """Smallest and largest output."""
    activation = op.attrs.activation.value if isinstance(op.attrs, ArithmeticAttrs) else "NONE"
    output = graph.output_of(op)
    quant = quant_of(output)
    return activation_range(quant.scale, quant.zero_point, activation, output.dtype.limits)


def sum_parameters(graph: Graph, op: Op) -> AddParameters:
    """Multipliers of ADD and SUB."""
    q1, q2, out = _quants(graph, op)
    return add_parameters(q1.scale, q2.scale, out.scale, LEFT_SHIFT[graph.output_of(op).dtype])


def pot_shifts(graph: Graph, op: Op) -> tuple[int, int] | None:
    """Bits that both int16 inputs of ADD and SUB go right; None where multipliers scale them.

    Raises:
        ModelError: scales are powers of two of which the reference takes no sum; the inputs of an ADD broadcast, which
            it reads as if they did not.
    Source: Prepare in TensorFlow Lite, kernels/add.cc; PrepareInt16SubOpPOT in kernels/sub.cc.
    """
    first, second, output = _tensors(graph, op)
    pot_scale = isinstance(op.attrs, ArithmeticAttrs) and op.attrs.pot_scale
    found = [power_of_two(quant_of(tensor).scale) for tensor in (first, second, output)]
    exponents = [exponent for exponent in found if exponent is not None]
    if output.dtype is not DType.INT16 or not pot_scale or len(exponents) < 3:
        return None
    right1, right2 = exponents[2] - exponents[0], exponents[2] - exponents[1]
    if min(right1, right2) != 0 or max(right1, right2) > MAX_POT_SHIFT:
        raise ModelError(
            f"scales 2**{exponents[0]} and 2**{exponents[1]} to 2**{exponents[2]}: one input must have the output's "
            f"scale, the other no larger one and none below it by more than {MAX_POT_SHIFT} bits"
        )
    if op.kind == "ADD" and first.shape != second.shape:
        raise ModelError(f"an ADD of {first.shape} and {second.shape} by shifts is wrong in TFLite's own kernels")
    return right1, right2


def _check_sum(graph: Graph, op: Op) -> None:
    _check(graph, op)
    if pot_shifts(graph, op) is None:
        sum_parameters(graph, op)


def _scaled(first: Array, second: Array, q1: Quant, q2: Quant, p: AddParameters) -> tuple[Int64, Int64]:
    """Both inputs on the same scale, twice the larger one, with `left_shift` bits behind the point."""
    a = requantize((first.astype(np.int64) - q1.zero_point) << p.left_shift, p.mult1, p.shift1)
    b = requantize((second.astype(np.int64) - q2.zero_point) << p.left_shift, p.mult2, p.shift2)
    return a, b


def _stored(graph: Graph, op: Op, values: Int64) -> Array:
    """Values in steps of the output's scale as stored ones."""
    output = graph.output_of(op)
    return np.clip(values + quant_of(output).zero_point, *output_range(graph, op)).astype(output.dtype.numpy)


def add(graph: Graph, op: Op, first: Array, second: Array) -> Array:
    """ADD and SUB with broadcast and a fused activation.

    Source: AddElementwise and Add of int16 in TensorFlow Lite, kernels/internal/reference/add.h; SubElementwise and
        BroadcastSub16POTSlow in kernels/internal/reference/sub.h.
    """
    rights = pot_shifts(graph, op)
    if rights is not None:
        a, b = (rounding_divide_by_pot(x, right) for x, right in zip((first, second), rights, strict=True))
        return _stored(graph, op, a - b if op.kind == "SUB" else a + b)
    q1, q2, _ = _quants(graph, op)
    p = sum_parameters(graph, op)
    a, b = _scaled(first, second, q1, q2, p)
    joined = a - b if op.kind == "SUB" else a + b
    return _stored(graph, op, requantize(joined, p.out_mult, p.out_shift))


def _check_squared_difference(graph: Graph, op: Op) -> None:
    q1, q2, out = _check(graph, op, DType.INT8)
    squared_difference_parameters(q1.scale, q2.scale, out.scale)


def squared_difference(graph: Graph, op: Op, first: Array, second: Array) -> Array:
    """SQUARED_DIFFERENCE with broadcast.

    Source: SquaredDifference in TensorFlow Lite, kernels/squared_difference.cc.
    """
    q1, q2, out = _quants(graph, op)
    p = squared_difference_parameters(q1.scale, q2.scale, out.scale)
    a, b = _scaled(first, second, q1, q2, p)
    return _stored(graph, op, requantize((a - b) ** 2, p.out_mult, p.out_shift))


def _check_mul(graph: Graph, op: Op) -> None:
    q1, q2, out = _check(graph, op)
    largest = MAX_PRODUCT[graph.output_of(op).dtype]
    left_shift_fits(product_multiplier(q1.scale, q2.scale, out.scale)[1], largest)


def mul(graph: Graph, op: Op, first: Array, second: Array) -> Array:
    """MUL with broadcast and a fused activation.

    Source: MulElementwise in TensorFlow Lite, kernels/internal/reference/integer_ops/mul.h.
    """
    q1, q2, out = _quants(graph, op)
    mult, shift = product_multiplier(q1.scale, q2.scale, out.scale)
    product = (first.astype(np.int64) - q1.zero_point) * (second.astype(np.int64) - q2.zero_point)
    return _stored(graph, op, requantize(product, mult, shift))


def _check_div(graph: Graph, op: Op) -> None:
    q1, q2, out = _check(graph, op, DType.INT8)
    quotient_multiplier(q1.scale, q2.scale, out.scale)
    divisor = graph.tensors[op.inputs[1]].data
    if divisor is not None and (divisor == q2.zero_point).any():
        raise ModelError("the constant divisor has zeros")


def div(graph: Graph, op: Op, first: Array, second: Array) -> Array:
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
    return _stored(graph, op, stored)


def _check_extremum(graph: Graph, op: Op) -> None:
    _check(graph, op)


def _extremum(choose: Callable[[Array, Array], Array]) -> Callable[[Graph, Op, Array, Array], Array]:
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
