"""Operators with weights."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from tests.grid.cases import SCALES, ZERO_POINTS, Case, case
from tests.tflite_builder import NONE, RELU, RELU6, RELU_N1_TO_1, SAME, VALID, Builder, random_bias, random_int8

ACTIVATIONS = (NONE, RELU, RELU6, RELU_N1_TO_1)
Pair = tuple[int, int]
WINDOWS: list[tuple[Pair, Pair, Pair, Pair]] = [
    ((1, 1), (1, 1), (1, 1), (4, 3)),
    ((1, 1), (2, 3), (1, 1), (5, 7)),
    ((1, 1), (1, 1), (1, 1), (1, 1)),
    ((1, 1), (1, 1), (2, 5), (4, 3)),
    ((3, 3), (1, 1), (1, 1), (5, 4)),
    ((3, 2), (2, 1), (1, 1), (6, 5)),
    ((2, 3), (1, 3), (1, 1), (3, 8)),
    ((3, 3), (1, 1), (2, 2), (7, 6)),
    ((2, 3), (1, 1), (3, 2), (6, 9)),
    ((5, 4), (1, 1), (1, 1), (5, 4)),
    ((3, 3), (2, 2), (1, 1), (1, 2)),
    ((1, 5), (1, 2), (1, 1), (1, 11)),
]
"""Filter, stride, dilation, size of the input; one output, and windows larger than the input among them."""


def cases() -> Iterator[Case]:
    """Every operator with weights."""
    yield from convolutions()
    yield from depthwise_convolutions()
    yield from transposed_convolutions()
    yield from fully_connected()


def layer(rng: np.random.Generator, channels: int, number: int, taps: int) -> dict[str, Any]:
    """Scales per axis or per tensor, zero point and activation by the case's number; outputs fill their range."""
    per_axis = number % 3 != 0
    scales = rng.uniform(0.002, 0.02, channels).astype(np.float32).tolist() if per_axis else 0.01
    return {
        "weight_scales": scales,
        "scale": 0.02 * float(np.sqrt(taps)),
        "zero_point": ZERO_POINTS[number % 5],
        "activation": ACTIVATIONS[number % 4],
    }


def placed_windows() -> Iterator[tuple[Pair, Pair, dict[str, Any]]]:
    """Filter, size of the input, and where the filter goes: each of WINDOWS with the paddings by which it fits."""
    for (window, stride, dilation, size), padding in product(WINDOWS, (SAME, VALID)):
        spans = ((k - 1) * d + 1 for k, d in zip(window, dilation, strict=True))
        if padding == SAME or all(span <= n for span, n in zip(spans, size, strict=True)):
            yield window, size, {"stride": stride, "dilation": dilation, "padding": padding}


def convolutions() -> Iterator[Case]:
    """CONV_2D: every window with dense and grouped weights, then scales over ten orders of magnitude."""
    rng = np.random.default_rng(2)
    number = 0
    for window, size, where in placed_windows():
        for in_ch, group_ch, out_ch in ((3, 3, 5), ((6, 3, 4), (4, 1, 8), (8, 2, 4))[number % 3]):
            number += 1
            model = Builder()
            x = model.input((1, *size, in_ch), 0.05, ZERO_POINTS[number // 5 % 5])
            weights = random_int8(rng, (out_ch, *window, group_ch))
            extra = layer(rng, out_ch, number, window[0] * window[1] * group_ch)
            out = model.conv_2d(x, weights, random_bias(rng, out_ch), **where, **extra)
            yield case(f"conv_{number}", model, [out], number, samples=1 if in_ch == group_ch else 2)
    for in_scale, out_scale in zip(SCALES * 2, (*SCALES[::-1], *SCALES), strict=True):
        number += 1
        weight_scale = out_scale / in_scale * float(np.exp2(rng.uniform(-12, 2)))
        model = Builder()
        x = model.input((1, 2, 2, 4), in_scale, ZERO_POINTS[number // 2 % 5])
        weights, bias = random_int8(rng, (3, 1, 1, 4)), random_bias(rng, 3)
        scales = [weight_scale, weight_scale * 1e-3, weight_scale * 0.3] if number % 2 else weight_scale
        out = model.conv_2d(x, weights, bias, weight_scales=scales, scale=out_scale, zero_point=ZERO_POINTS[number % 5])
        yield case(f"conv_{number}_{in_scale}_{out_scale}", model, [out], number, samples=1)


def depthwise_convolutions() -> Iterator[Case]:
    """DEPTHWISE_CONV_2D: every window with multipliers 1 and 3, with and without bias."""
    rng = np.random.default_rng(3)
    for number, ((window, size, where), multiplier) in enumerate(product(placed_windows(), (1, 3)), 1):
        channels = 5 * multiplier
        model = Builder()
        x = model.input((1, *size, 5), 0.05, ZERO_POINTS[number // 5 % 5])
        weights = random_int8(rng, (1, *window, channels))
        bias = random_bias(rng, channels) if number % 4 else None
        extra = layer(rng, channels, number, window[0] * window[1])
        out = model.depthwise_conv_2d(x, weights, bias, **where, **extra)
        yield case(f"depthwise_{number}", model, [out], number, samples=1 + number % 2)


def transposed_size(window: Pair, stride: Pair, padding: int, size: Pair) -> Pair | None:
    """Height and width of TRANSPOSE_CONV's output; None where the window does not fit it."""
    spare = (0, 0) if padding == SAME else [k - s for k, s in zip(window, stride, strict=True)]
    height, width = (size[0] * stride[0] + spare[0], size[1] * stride[1] + spare[1])
    return None if height < window[0] or width < window[1] else (height, width)


def transposed_convolutions() -> Iterator[Case]:
    """TRANSPOSE_CONV: windows and strides with gaps and with overlaps, both paddings, with and without bias."""
    rng = np.random.default_rng(6)
    windows = [
        ((1, 1), (1, 1)),
        ((3, 3), (1, 1)),
        ((3, 3), (2, 2)),
        ((2, 2), (2, 2)),
        ((4, 3), (2, 1)),
        ((2, 3), (3, 2)),
    ]
    number = 0
    for (window, stride), padding, size in product(windows, (SAME, VALID), ((1, 1), (3, 4), (2, 5))):
        number += 1
        out_hw = transposed_size(window, stride, padding, size)
        if out_hw is None:
            continue
        model = Builder()
        x = model.input((1, *size, 4), 0.05, ZERO_POINTS[number % 5])
        bias = random_bias(rng, 3) if number % 3 else None
        extra = layer(rng, 3, number, 4 * window[0])
        weights = random_int8(rng, (3, *window, 4))
        out = model.transpose_conv(x, weights, bias, out_hw=out_hw, stride=stride, padding=padding, **extra)
        yield case(f"transpose_conv_{number}", model, [out], number)


def fully_connected() -> Iterator[Case]:
    """FULLY_CONNECTED: inputs of every rank, with and without bias, per tensor and per channel, kept dimensions."""
    rng = np.random.default_rng(4)
    shapes = [((6,), 6), ((1, 7), 7), ((1, 3, 4), 4), ((1, 3, 4), 12), ((1, 2, 3, 5), 5), ((1, 1, 2, 2, 3), 6)]
    number = 0
    for (shape, cols), keep, with_bias in product(shapes, (False, True), (False, True)):
        if keep and shape[-1] != cols:
            continue
        number += 1
        model = Builder()
        x = model.input(shape, 0.05, ZERO_POINTS[number % 5])
        bias = random_bias(rng, 5, 500) if with_bias else None
        extra = layer(rng, 5, number, cols) | {"keep_num_dims": keep}
        out = model.fully_connected(x, random_int8(rng, (5, cols)), bias, **extra)
        yield case(f"fully_connected_{number}", model, [out], number)
    for in_scale in SCALES * 2:
        number += 1
        model = Builder()
        x = model.input((1, 9), in_scale, ZERO_POINTS[number // 3 % 5])
        extra = {"weight_scales": 0.0078125, "scale": in_scale * 0.25, "zero_point": ZERO_POINTS[number % 5]}
        out = model.fully_connected(x, random_int8(rng, (3, 9)), random_bias(rng, 3, 500), **extra)
        yield case(f"fully_connected_{number}_{in_scale}", model, [out], number, samples=1)
