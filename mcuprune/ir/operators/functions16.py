"""Functions of one int16 value: lines between 513 entries, two slopes, sigmoid and tanh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mcuprune.errors import ModelError
from mcuprune.ir.attributes import GeluAttrs, LeakyReluAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.operators.checks import left_shift_fits, present
from mcuprune.ir.operators.operator import Array
from mcuprune.ir.rescale import quant_of
from mcuprune.numerics import (
    float32_quotient,
    power_of_two,
    quantize_multiplier,
    relu_multiplier,
    requantize,
    tables,
)
from mcuprune.numerics.fixed_point16 import INT16_MAX, INT16_MIN
from mcuprune.numerics.functions16 import (
    Function,
    Int16,
    look_up16,
    rsqrt,
    scaled_table16,
    sigmoid16,
    sigmoid16_multiplier,
)

CURVES = ("LOGISTIC", "TANH")
SLOPES = ("ABS", "LEAKY_RELU")
TABLES = ("EXP", "GELU", "LOG", "NEG", "RSQRT")
UNIT_EXPONENT = -15  # of the output scale of CURVES


@dataclass(frozen=True, slots=True)
class Slopes:
    """x * mult for x >= 0, else out_sign * ((in_sign * x) * below_mult); multipliers with their shifts."""

    mult: int
    shift: int
    below_mult: int
    below_shift: int
    in_sign: int
    out_sign: int


def _scales(graph: Graph, op: Op) -> tuple[float, float]:
    return quant_of(present(graph, op)).scale, quant_of(graph.output_of(op)).scale


def slopes(graph: Graph, op: Op) -> Slopes:
    """Of ABS and LEAKY_RELU.

    Source: AbsEvalQuantized in TensorFlow Lite, kernels/elementwise.cc; QuantizeLeakyRelu in
        kernels/internal/reference/leaky_relu.h and LeakyReluPrepare in kernels/activations.cc.
    """
    in_scale, out_scale = _scales(graph, op)
    above = relu_multiplier(in_scale, out_scale)
    if not isinstance(op.attrs, LeakyReluAttrs):
        return Slopes(*above, *above, -1, 1)
    with np.errstate(over="ignore", under="ignore"):
        slope = float32_quotient(float(np.float32(in_scale) * np.float32(op.attrs.alpha)), out_scale)
    below = quantize_multiplier(abs(slope)) if slope else (0, 0)
    return Slopes(*above, *below, 1, -1 if slope < 0 else 1)


def table(graph: Graph, op: Op) -> Int16:
    """The 513 entries of EXP, GELU, LOG, NEG, RSQRT.

    Sources: Prepare of each in TensorFlow Lite, kernels/exp.cc, activations.cc, elementwise.cc, neg.cc.
    """
    if op.kind == "NEG":  # of stored values, a line; what is added to entries wraps, so -32768 stays
        return (-np.arange(INT16_MIN, -INT16_MIN + 1, 128)).astype(np.int16)
    in_scale, out_scale = _scales(graph, op)
    with np.errstate(over="ignore"):
        lowest = float(np.float32(INT16_MIN) * np.float32(out_scale))
    functions: Mapping[str, Function] = {"EXP": tables.exp, "LOG": tables.log(lowest), "RSQRT": rsqrt(out_scale)}
    if isinstance(op.attrs, GeluAttrs):
        return scaled_table16(tables.gelu_by_tanh if op.attrs.approximate else tables.gelu, in_scale, out_scale)
    return scaled_table16(functions[op.kind], in_scale, out_scale)


def check(graph: Graph, op: Op) -> None:
    """Raise where the reference has no meaning for these scales, or no int16 at all."""
    in_scale, out_scale = _scales(graph, op)
    if op.kind in TABLES:
        table(graph, op)
    elif op.kind in SLOPES:
        found = slopes(graph, op)
        left_shift_fits(max(found.shift, found.below_shift), -INT16_MIN)
    elif op.kind in CURVES:
        if power_of_two(out_scale) != UNIT_EXPONENT:
            raise ModelError(f"{op.kind} of int16 needs output scale 2**{UNIT_EXPONENT}, got {out_scale}")
        sigmoid16_multiplier(in_scale, op.kind == "TANH")
    else:
        raise ModelError(f"{op.kind} of int16 is not supported, only int8")


def run(graph: Graph, op: Op, data: Array) -> Array:
    """The function of each value."""
    in_scale, _ = _scales(graph, op)
    if op.kind in TABLES:
        return look_up16(table(graph, op), data)
    if op.kind in CURVES:
        return sigmoid16(data, *sigmoid16_multiplier(in_scale, op.kind == "TANH"), op.kind == "TANH")
    s, value = slopes(graph, op), data.astype(np.int64)
    below = s.out_sign * requantize(s.in_sign * np.minimum(value, 0), s.below_mult, s.below_shift)
    above = requantize(np.maximum(value, 0), s.mult, s.shift)
    return np.clip(np.where(value >= 0, above, below), INT16_MIN, INT16_MAX).astype(np.int16)
