"""The fully-connected rule: one rounding of a product with a double, and integers that give the same bytes."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from mcuprune.errors import QuantError
from mcuprune.numerics.parameters import quantize_multiplier
from mcuprune.numerics.requant import Int64Array


def round_product(acc: npt.NDArray[np.integer], scale: npt.NDArray[np.float64] | float) -> Int64Array:
    """round(double(acc) * scale), halves away from zero.

    Args:
        acc: int32 accumulators.
        scale: double(input_scale) * double(weight_scale) / double(output_scale), broadcast against acc.
    Source: FullyConnected with float scales in TensorFlow Lite,
        kernels/internal/reference/integer_ops/fully_connected.h.
    """
    product = np.asarray(acc, np.float64) * scale
    whole = np.trunc(product)
    away = np.abs(product - whole) >= 0.5  # exact: trunc and the difference are exact in double
    return (whole + np.copysign(away, product)).astype(np.int64)


def _round_away(value: float) -> int:
    """Round half away from zero, as C's round()."""
    whole = math.trunc(value)
    return whole + (int(math.copysign(1, value)) if abs(value - whole) >= 0.5 else 0)


def _steps(scale: float, low: int, high: int, bound: int) -> list[tuple[int, int]]:
    """(k, t) for k in 1..max(|low|, |high|): t is the smallest magnitude that rounds to k, bound + 1 ends the list."""
    steps = []
    for k in range(1, max(abs(low), abs(high)) + 1):
        t = max(1, math.floor((k - 0.5) / scale) - 2)
        while t <= bound and _round_away(t * scale) < k:
            t += 1
        steps.append((k, min(t, bound + 1)))
        if t > bound:
            break
    return steps


def _fits(mult: int, total: int, steps: list[tuple[int, int]], least: int, bound: int) -> int:
    """0 where `mult` takes every step at the right magnitude, -1 where it is too small, 1 where it is too large."""
    half = 1 << (total - 1)
    for k, t in steps:
        if t <= bound and (max(t, least) * mult + half) >> total < k:
            return -1
        if t > least and ((t - 1) * mult + half) >> total >= k:
            return 1
    return 0


def round_once_multiplier(scale: float, low: int, high: int, bound: int, least: int = 0) -> tuple[int, int]:
    """Q31 multiplier and shift for which requantize_once() equals round_product(), where the clamp can see it.

    Both rules are odd in the accumulator, so it is enough to take every step k of the output at the same magnitude.

    Args:
        scale: the double of round_product().
        low, high: smallest and largest value before the clamp that must be right: act_min - zero_point - 1 and
            act_max - zero_point + 1.
        bound, least: largest and smallest magnitude that the accumulator can have.
    Raises:
        QuantError: no 31-bit multiplier takes every step at the right place.
    """
    mult, shift = quantize_multiplier(scale)
    if mult == 0:
        if bound * scale >= 0.5:
            raise QuantError(f"scale {scale!r} of a fully-connected layer is too small")
        return mult, shift
    total = 31 - shift
    if total < 1:
        raise QuantError(f"scale {scale!r} of a fully-connected layer is too large")
    steps = _steps(scale, low, high, bound)
    for _ in range(64):
        verdict = _fits(mult, total, steps, least, bound)
        if verdict == 0:
            return mult, shift
        mult -= verdict
        if not 2**30 <= mult < 2**31:
            break
    raise QuantError(
        f"scale {scale!r} of a fully-connected layer has no exact 31-bit multiplier for accumulators {least}..{bound}",
        hint="calibrate on real data: the input's or the weights' scale is very small beside the bias",
    )
