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
