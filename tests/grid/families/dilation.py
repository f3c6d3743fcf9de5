"""SPACE_TO_BATCH_ND, a convolution, BATCH_TO_SPACE_ND: read as one dilated convolution."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from ai_edge_litert import schema_py_generated as s

from tests.grid.cases import Case, case
from tests.tflite_builder import RELU, VALID, Builder, random_bias, random_int8


def cases() -> Iterator[Case]:
    """Blocks alike and not, windows that fit and that are padded as SAME, both kinds of convolution."""
    for number, ((block, taps), same, depthwise) in enumerate(
        itertools.product((((2, 2), (3, 3)), ((1, 3), (3, 3)), ((4, 2), (2, 1))), (False, True), (False, True))
    ):
        yield _dilated(f"dilated_{block}_{taps}_{same}_{depthwise}", number, block, taps, same, depthwise)
    for number, ((block1, taps1), same, depthwise) in enumerate(
        itertools.product(((2, 3), (4, 2), (5, 1)), (False, True), (False, True)), 100
    ):
        model, out = line_model(number, block1, taps1, same, depthwise)
        yield case(f"line_{block1}_{taps1}_{same}_{depthwise}", model, [out], number, samples=1)


def _margins(size: int, taps: int, block: int, same: bool) -> tuple[int, int, int]:
    """Padding before, padding after, crop after: what TensorFlow computes for an atrous convolution."""
    total = (taps - 1) * block if same else 0
    before = total // 2
    extra = -(size + total) % block
    return before, total - before + extra, extra


def _dilated(name: str, seed: int, block: tuple[int, int], taps: tuple[int, int], same: bool, depthwise: bool) -> Case:
    rng, model, size, channels = np.random.default_rng(seed), Builder(), (11, 10), 3
    x = model.input((1, *size, channels), 0.1, int(rng.integers(-128, 128)))
    rules = [_margins(n, k, b, same) for n, k, b in zip(size, taps, block, strict=True)]
    inner = [(n + before + after) // b for n, (before, after, _), b in zip(size, rules, block, strict=True)]
    split = model.tensor((block[0] * block[1], *inner, channels), np.int8, *model._params(x))
    pads = [(before, after) for before, after, _ in rules]
    inputs = [x, model.constant(block), model.constant(pads)]
    model.op("SPACE_TO_BATCH_ND", inputs, [split], s.SpaceToBatchNDOptionsT(), 2)
    if depthwise:
        weights = random_int8(rng, (1, *taps, channels))
        y = model.depthwise_conv_2d(split, weights, random_bias(rng, channels), padding=VALID, scale=0.2, zero_point=5)
    else:
        weights = random_int8(rng, (4, *taps, channels))
        y = model.conv_2d(split, weights, random_bias(rng, 4), padding=VALID, scale=0.2, zero_point=-3, activation=RELU)
    crops = [(0, extra) for _, _, extra in rules]
    whole = [n * b - c for n, b, (_, c) in zip(model.shape(y)[1:3], block, crops, strict=True)]
    out = model.tensor((1, *whole, model.shape(y)[3]), np.int8, *model._params(y))
    inputs = [y, model.constant(block), model.constant(crops)]
    model.op("BATCH_TO_SPACE_ND", inputs, [out], s.BatchToSpaceNDOptionsT(), 2)
    return case(name, model, [out], seed, samples=1)


def line_model(seed: int, block: int, taps: int, same: bool, depthwise: bool) -> tuple[Builder, int]:
    """Over one dimension, and its output; EXPAND_DIMS or RESHAPE before the convolution, SQUEEZE or RESHAPE behind."""
    rng, model, size, channels = np.random.default_rng(seed), Builder(), 23, 3
    x = model.input((1, size, channels), 0.1, int(rng.integers(-128, 128)))
    before, after, extra = _margins(size, taps, block, same)
    length = (size + before + after) // block
    split = model.tensor((block, length, channels), np.int8, *model._params(x))
    inputs = [x, model.constant([block]), model.constant([[before, after]])]
    model.op("SPACE_TO_BATCH_ND", inputs, [split], s.SpaceToBatchNDOptionsT(), 2)
    line = model.tensor((block, 1, length, channels), np.int8, *model._params(x))
    if seed % 3:
        model.op("EXPAND_DIMS", [split, model.constant((1, -3)[seed % 2])], [line], s.ExpandDimsOptionsT())
    else:
        model.op("RESHAPE", [split, model.constant((-1, 1, length, channels))], [line], s.ReshapeOptionsT())
    if depthwise:
        weights = random_int8(rng, (1, 1, taps, channels))
        y = model.depthwise_conv_2d(line, weights, random_bias(rng, channels), padding=VALID, scale=0.2, zero_point=5)
    else:
        weights = random_int8(rng, (4, 1, taps, channels))
        y = model.conv_2d(line, weights, random_bias(rng, 4), padding=VALID, scale=0.2, zero_point=-3, activation=RELU)
    merged = (block, *model.shape(y)[2:])
    flat = model.tensor(merged, np.int8, *model._params(y))
    if seed % 2:
        squeeze = s.SqueezeOptionsT()
        squeeze.squeezeDims = [1]
        model.op("SQUEEZE", [y], [flat], squeeze)
    else:
        model.op("RESHAPE", [y, model.constant(merged)], [flat], s.ReshapeOptionsT())
    out = model.tensor((1, merged[1] * block - extra, merged[2]), np.int8, *model._params(y))
    inputs = [flat, model.constant([block]), model.constant([[0, extra]])]
    model.op("BATCH_TO_SPACE_ND", inputs, [out], s.BatchToSpaceNDOptionsT(), 2)
    return model, out
