"""Operators with int8 weights on int16 activations."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from tests.grid.cases import SCALES, Case, case
from tests.grid.families.weighted import ACTIVATIONS, placed_windows, transposed_size
from tests.tflite_builder import SAME, VALID, Builder, random_int8

Bias = np.ndarray[Any, np.dtype[np.integer[Any]]]


def cases() -> Iterator[Case]:
    """Every operator with weights."""
    yield from convolutions()
    yield from depthwise_convolutions()
    yield from transposed_convolutions()
    yield from fully_connected()


def layer(rng: np.random.Generator, channels: int, number: int, taps: int) -> dict[str, Any]:
    """Scales per axis or per tensor, and activation by the case's number; outputs fill their range, some beyond."""
    scales = rng.uniform(0.002, 0.02, channels).astype(np.float32).tolist() if number % 3 else 0.01
    return {
        "weight_scales": scales,
        "scale": float(np.sqrt(taps)) * (2e-5, 1e-4, 3e-3)[number % 3],
        "activation": ACTIVATIONS[number % 4],
    }


def bias_of(rng: np.random.Generator, channels: int, number: int, narrow: bool = True) -> Bias:
    """int64 beyond 32 bits, int64 that is small, or int32 (which sums in 32 bits)."""
    if narrow and number % 3 == 0:
        return rng.integers(-(2**22), 2**22, channels, np.int32)
    return rng.integers(-1, 2, channels) * 2**33 if number % 6 == 1 else rng.integers(-(2**24), 2**24, channels)


def convolutions() -> Iterator[Case]:
    """CONV_2D: every window with dense and grouped weights, both widths of sums, then ten orders of scales."""
    rng = np.random.default_rng(62)
    number = 0
    for window, size, where in placed_windows():
        for in_ch, group_ch, out_ch in ((3, 3, 5), ((6, 3, 4), (4, 1, 8), (8, 2, 4))[number % 3]):
            number += 1
            model = Builder()
            x = model.input((1, *size, in_ch), 1e-4, dtype=np.int16)
            weights = random_int8(rng, (out_ch, *window, group_ch))
            extra = layer(rng, out_ch, number, window[0] * window[1] * group_ch)
            out = model.conv_2d(x, weights, bias_of(rng, out_ch, number), **where, **extra)
            yield case(f"conv16_{number}", model, [out], number)
    for in_scale, out_scale in zip(SCALES * 2, (*SCALES[::-1], *SCALES), strict=True):
        number += 1
        weight_scale = out_scale / in_scale * float(np.exp2(rng.uniform(-30, 4)))
        model = Builder()
        x = model.input((1, 2, 2, 4), in_scale, dtype=np.int16)
        scales = [weight_scale, weight_scale * 1e-3, weight_scale * 0.3] if number % 2 else weight_scale
        bias = rng.integers(-(2**20), 2**20, 3)
        out = model.conv_2d(x, random_int8(rng, (3, 1, 1, 4)), bias, weight_scales=scales, scale=out_scale)
        yield case(f"conv16_{number}_{in_scale}_{out_scale}", model, [out], number)
    model = Builder()  # more columns than add up in 32 bits
    x = model.input((1, 1, 1, 1100), 1e-3, dtype=np.int16)
    weights = np.full((2, 1, 1, 1100), -128, np.int8)
    weights[1] = random_int8(rng, (1, 1, 1100))
    out = model.conv_2d(x, weights, rng.integers(-9, 9, 2), weight_scales=0.01, scale=5.0)
    yield case("conv16_long", model, [out], 1, samples=4)


def depthwise_convolutions() -> Iterator[Case]:
    """DEPTHWISE_CONV_2D: every window with multipliers 1 and 3, with and without bias, which is always int64."""
    rng = np.random.default_rng(63)
    for number, ((window, size, where), multiplier) in enumerate(product(placed_windows(), (1, 3)), 1):
        channels = 5 * multiplier
        model = Builder()
        x = model.input((1, *size, 5), 1e-4, dtype=np.int16)
        weights = random_int8(rng, (1, *window, channels))
        bias = bias_of(rng, channels, number, narrow=False) if number % 4 else None
        extra = layer(rng, channels, number, window[0] * window[1])
        out = model.depthwise_conv_2d(x, weights, bias, **where, **extra)
        yield case(f"depthwise16_{number}", model, [out], number, samples=1 + number % 2)


def transposed_convolutions() -> Iterator[Case]:
    """TRANSPOSE_CONV: gaps and overlaps, both paddings, with and without bias, both widths of sums."""
    rng = np.random.default_rng(66)
    windows = [((1, 1), (1, 1)), ((3, 3), (2, 2)), ((4, 3), (2, 1)), ((2, 3), (3, 2))]
    for number, ((window, stride), padding, size) in enumerate(product(windows, (SAME, VALID), ((1, 1), (3, 4)))):
        out_hw = transposed_size(window, stride, padding, size)
        if out_hw is None:
            continue
        model = Builder()
        x = model.input((1, *size, 4), 1e-4, dtype=np.int16)
        bias = bias_of(rng, 3, number) if number % 5 else None
        extra = layer(rng, 3, number, 4 * window[0])
        weights = random_int8(rng, (3, *window, 4))
        out = model.transpose_conv(x, weights, bias, out_hw=out_hw, stride=stride, padding=padding, **extra)
        yield case(f"transpose_conv16_{number}", model, [out], number)


def fully_connected() -> Iterator[Case]:
    """FULLY_CONNECTED: inputs of every rank, with and without bias, per tensor and per channel, kept dimensions."""
    rng = np.random.default_rng(64)
    shapes = [((6,), 6), ((1, 7), 7), ((1, 3, 4), 4), ((1, 3, 4), 12), ((1, 2, 3, 5), 5)]
    number = 0
    for (shape, cols), keep, with_bias in product(shapes, (False, True), (False, True)):
        if keep and shape[-1] != cols:
            continue
        number += 1
        model = Builder()
        x = model.input(shape, 1e-4, dtype=np.int16)
        bias = bias_of(rng, 5, number) if with_bias else None
        extra = layer(rng, 5, number, cols) | {"keep_num_dims": keep}
        out = model.fully_connected(x, random_int8(rng, (5, cols)), bias, **extra)
        yield case(f"fully_connected16_{number}", model, [out], number)
    for in_scale in SCALES * 2:
        number += 1
        model = Builder()
        x = model.input((1, 300, 3), in_scale, dtype=np.int16)  # many sums a layer: halves and roundings of doubles
        extra = {"weight_scales": 0.0078125, "scale": in_scale * float(2.0 ** (number % 7 - 5)), "keep_num_dims": True}
        bias = rng.integers(-500, 500, 3)
        out = model.fully_connected(x, random_int8(rng, (3, 3)), bias, **extra)
        yield case(f"fully_connected16_{number}_{in_scale}", model, [out], number, samples=1)
