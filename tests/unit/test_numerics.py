"""Bit-exact arithmetic, against exact rational arithmetic and against the rules' own statements."""

from __future__ import annotations

import contextlib
import math
from fractions import Fraction

import numpy as np
import pytest

from mcuprune import numerics
from mcuprune.errors import QuantError


def round_away(x: Fraction) -> int:
    """Nearest whole number, halves away from zero."""
    return int(math.copysign(math.floor(abs(x) + Fraction(1, 2)), x))


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (1.0, (2**30, 1)),
        (0.5, (2**30, 0)),
        (0.75, (3 * 2**29, 0)),
        (1 - 2.0**-40, (2**30, 1)),  # rounds up to the next power of two
        (2.0**-32, (2**30, -31)),
        (2.0**-33, (0, 0)),  # flushed
        (2.0**29, (2**30, 30)),
    ],
)
def test_quantize_multiplier_at_its_edges(scale, expected):
    """A scale becomes a multiplier in [2^30, 2^31) and a shift, or (0, 0) below 2^-32."""
    assert numerics.quantize_multiplier(scale) == expected


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan, 2.0**30])
def test_quantize_multiplier_refuses(scale):
    """Scales that are not positive numbers, or too large for the firmware's shift, are refused."""
    with pytest.raises(QuantError, match="scale"):
        numerics.quantize_multiplier(scale)


def test_quantize_multiplier_is_close(rng):
    """multiplier * 2^(shift - 31) is the scale to a relative 2^-31."""
    for scale in np.exp(rng.uniform(-20, 10, 500)).tolist():
        multiplier, shift = numerics.quantize_multiplier(scale)
        assert 2**30 <= multiplier < 2**31
        assert abs(multiplier * 2.0 ** (shift - 31) / scale - 1) <= 2**-31


@pytest.mark.parametrize("exponent", [0, 1, 2, 15, 30, 31])
def test_divide_by_pot_rounds_halves_away_from_zero(exponent, rng):
    """The second rounding is to nearest, halves away from zero, also at the ends of int32."""
    edge = [0, 1, -1, 2**31 - 1, -(2**31), 2**30, -(2**30), 3 * 2**29, -3 * 2**29]
    values = np.concatenate([edge, rng.integers(-(2**31), 2**31, 200), np.arange(-20, 20)])
    expected = [round_away(Fraction(int(v), 2**exponent)) for v in values]
    assert numerics.rounding_divide_by_pot(values, exponent).tolist() == expected


def test_high_mul_rounds_halves_up_and_saturates(rng):
    """The first rounding takes halves up, and the one product that does not fit is saturated."""
    a, b = rng.integers(-(2**31), 2**31, (2, 500))
    expected = [math.floor(Fraction(int(x) * int(y), 2**31) + Fraction(1, 2)) for x, y in zip(a, b, strict=True)]
    assert numerics.rounding_doubling_high_mul(a, b).tolist() == expected
    assert numerics.rounding_doubling_high_mul(-(2**31), -(2**31)) == 2**31 - 1
    assert numerics.rounding_doubling_high_mul(-1, 2**30) == 0  # -1/2
    assert numerics.rounding_doubling_high_mul(1, 2**30) == 1  # 1/2


def test_requantize_rounds_twice():
    """3 * 0.75 / 4 = 0.5625, but 2.25 rounds to 2 first and 2 / 4 goes up; -2.25 to -2 and -0.5 to -1."""
    multiplier, shift = 3 * 2**29, -2
    assert numerics.requantize(np.array([3, -3]), multiplier, shift).tolist() == [1, -1]
    assert numerics.requantize(np.array([2, -2]), multiplier, shift).tolist() == [1, 0]  # 1.5 -> 2, -1.5 -> -1
    assert numerics.requantize_once(np.array([2, -2]), multiplier, shift).tolist() == [0, 0]  # 0.375


def test_requantize_shifts_left(rng):
    """A positive shift multiplies before the roundings."""
    values = rng.integers(-1000, 1000, 50)
    assert numerics.requantize(values, 2**30, 4).tolist() == (values * 8).tolist()


def test_requantize_flushed_channel_is_zero():
    """(0, 0), the multiplier of a scale below 2^-32, gives 0 for every accumulator."""
    assert not numerics.requantize(np.array([2**31 - 1, -(2**31), 5]), 0, 0).any()


@pytest.mark.parametrize("scale", [0.5, 0.25, 1.5, 1 / 3, 0.0017, 0.00031, 2.5])
@pytest.mark.parametrize("zero_point", [-128, 0, 37, 127])
def test_round_once_equals_the_product_of_doubles(scale, zero_point):
    """The integer form of the fully-connected rule is right at every step that the clamp can see, ties included."""
    low, high = -129 - zero_point, 128 - zero_point
    bound = 10**7
    multiplier, shift = numerics.round_once_multiplier(scale, low, high, bound)
    near = [int((k + 0.5) / scale) + d for k in range(low - 1, high + 1) for d in (-2, -1, 0, 1, 2)]
    acc = np.unique(np.clip([*near, 0, bound, -bound], -bound, bound))
    ours = np.clip(numerics.requantize_once(acc, multiplier, shift), low, high)
    assert ours.tolist() == np.clip(numerics.round_product(acc, scale), low, high).tolist()


def test_round_once_moves_the_multiplier_where_the_nearest_is_wrong(rng):
    """Among many small scales some need a neighbour of the nearest multiplier, and it is found."""
    moved = 0
    for scale in np.exp(rng.uniform(math.log(2e-5), math.log(1e-4), 300)).tolist():
        try:
            pair = numerics.round_once_multiplier(scale, -129, 128, 2**31 - 300)
        except QuantError:
            continue
        moved += pair != numerics.quantize_multiplier(scale)
        acc = np.array([int((k + 0.5) / scale) + d for k in range(-129, 129) for d in (-1, 0, 1)])
        assert np.array_equal(numerics.requantize_once(acc, *pair), numerics.round_product(acc, scale))
    assert moved > 0


def test_round_once_where_the_accumulator_comes(rng):
    """A scale without a multiplier for all accumulators has one for those that a large bias leaves, few beside it."""
    found = 0
    for scale in np.exp(rng.uniform(math.log(1e-7), math.log(1e-6), 200)).tolist():
        with contextlib.suppress(QuantError):
            numerics.round_once_multiplier(scale, -256, 255, 2**30)
            continue
        for least in rng.integers(2**29, 2**30 - 50_000, 3).tolist():
            bound = least + 50_000
            pair = numerics.round_once_multiplier(scale, -256, 255, bound, least)
            near = [int((k + 0.5) / scale) + d for k in range(256) for d in (-1, 0, 1)]
            acc = np.unique(np.clip([*near, least, bound], least, bound))
            for sign in (-1, 1):
                assert np.array_equal(
                    np.clip(numerics.requantize_once(sign * acc, *pair), -256, 255),
                    np.clip(numerics.round_product(sign * acc, scale), -256, 255),
                )
            found += 1
    assert found > 10


@pytest.mark.parametrize(
    ("activation", "expected"),
    [("NONE", (-128, 127)), ("RELU", (-10, 127)), ("RELU6", (-10, 110)), ("RELU_N1_TO_1", (-30, 10))],
)
def test_activation_range(activation, expected):
    """Bounds of a fused activation in stored values, at scale 0.05 and zero point -10."""
    assert numerics.activation_range(0.05, -10, activation) == expected


def test_activation_range_refuses_overflow():
    """A scale so small that 6 / scale leaves int32 is refused, not wrapped."""
    with pytest.raises(QuantError, match="too small"):
        numerics.activation_range(1e-10, 0, "RELU6")


def test_exp_and_reciprocal_are_close():
    """The fixed-point exp and reciprocal follow the real functions to 2^-22 and 2^-28."""
    x = np.linspace(-(2**31) + 1, 0, 2000).astype(np.int64)
    exact = np.exp(x / 2.0**26)
    assert np.abs(numerics.exp_on_negative_values(x) / 2.0**31 - exact).max() < 2**-22
    a = np.linspace(0, 2**31 - 1, 2000).astype(np.int64)
    assert np.abs(numerics.reciprocal_of_one_plus(a) / 2.0**31 - 1 / (1 + a / 2.0**31)).max() < 2**-28


def test_softmax_parameters():
    """Scale 1/16 in Q5.26 is 2^22; a difference of 496 = 31 * 16 is the last that fits."""
    assert numerics.softmax_parameters(1.0, 1 / 16) == numerics.SoftmaxParameters(2**30, 23, -248)
    with pytest.raises(QuantError, match="softmax"):
        numerics.softmax_parameters(1.0, 2.0**-26)


def test_mean_parameters_fold_the_count():
    """The division by the count is in the multiplier: 1 / 10 is not a power of two, 1 / 8 is."""
    assert numerics.mean_parameters(0.1, 0.1, 8) == numerics.MeanParameters(2**30, -2, 8)
    params = numerics.mean_parameters(0.1, 0.1, 10)
    assert (params.mult, params.shift) == ((2**30 << 3) // 10, -2)


def test_add_refuses_a_tiny_output_scale():
    """The reference aborts where the output multiplier is 1 or more; here it is an error."""
    with pytest.raises(QuantError, match="output scale 1e-07"):
        numerics.add_parameters(1.0, 1.0, 1e-7)
