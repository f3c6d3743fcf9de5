"""Bit-exact arithmetic of TFLite's reference kernels: quantization parameters and requantization, in one place.

`docs/numerics.md` states every operator in integers; the modules here are its two halves.

parameters: scalars prepared on the host (multipliers, activation ranges, softmax, add, mean).
requant:    vectorised rounding of accumulators.
fixed_point: exp, reciprocal and logarithm of the int8 softmaxes, inverse square root.
fixed_point16: sigmoid and tanh of LSTM.
tables:     functions of one int8 value, for all 256 of them.
functions16: functions of one int16 value, and its softmax.
round_once: the fully-connected rule, which the reference states in double.
"""

from mcuprune.numerics.fixed_point import (
    exp_on_negative_values,
    inverse_sqrt,
    log_of_sum,
    reciprocal_of_one_plus,
)
from mcuprune.numerics.parameters import (
    AddParameters,
    MeanParameters,
    SoftmaxParameters,
    activation_range,
    add_parameters,
    float32_quotient,
    log_softmax_reverse,
    mean_parameters,
    power_of_two,
    product_multiplier,
    quantize_multiplier,
    quotient_multiplier,
    relu_multiplier,
    softmax_parameters,
    squared_difference_parameters,
)
from mcuprune.numerics.requant import (
    Int64Array,
    clamp_int8,
    reduced_multiplier,
    requantize,
    requantize_once,
    requantize_wide,
    rounding_divide_by_pot,
    rounding_doubling_high_mul,
    saturating_shift_left,
)
from mcuprune.numerics.round_once import round_once_multiplier, round_product

__all__ = [
    "AddParameters",
    "Int64Array",
    "MeanParameters",
    "SoftmaxParameters",
    "activation_range",
    "add_parameters",
    "clamp_int8",
    "exp_on_negative_values",
    "float32_quotient",
    "inverse_sqrt",
    "log_of_sum",
    "log_softmax_reverse",
    "mean_parameters",
    "power_of_two",
    "product_multiplier",
    "quantize_multiplier",
    "quotient_multiplier",
    "reciprocal_of_one_plus",
    "reduced_multiplier",
    "relu_multiplier",
    "requantize",
    "requantize_once",
    "requantize_wide",
    "round_once_multiplier",
    "round_product",
    "rounding_divide_by_pot",
    "rounding_doubling_high_mul",
    "saturating_shift_left",
    "softmax_parameters",
    "squared_difference_parameters",
]
