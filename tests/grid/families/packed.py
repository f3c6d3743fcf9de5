"""Constants that the file packs: int4, and sparse tensors behind DENSIFY."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tests.grid.cases import ZERO_POINTS, Case, case
from tests.packed_constants import CSR, DENSE, make_int4, make_sparse, through_densify
from tests.tflite_builder import Builder, random_bias, random_int8

SPARSE: list[tuple[Sequence[int], Mapping[int, int], Sequence[int], Any]] = [
    ((0, 1, 2, 3), {}, (DENSE, DENSE, DENSE, CSR), np.int32),
    ((0, 1, 2, 3), {}, (CSR, CSR, CSR, CSR), np.uint8),
    ((3, 2, 1, 0), {}, (DENSE, CSR, DENSE, CSR), np.uint16),
    ((0, 1, 2, 3, 4), {3: 4}, (DENSE, DENSE, DENSE, CSR), np.uint8),
    ((0, 2, 1, 3, 4, 5), {0: 2, 3: 4}, (CSR, DENSE, CSR, CSR), np.int32),
    ((1, 3, 2, 0, 5, 4), {0: 2, 3: 4}, (CSR, DENSE, CSR, CSR), np.uint16),
]
"""Order of the dimensions, blocks, formats, type of the indices: of weights (4, 2, 3, 8)."""


def cases() -> Iterator[Case]:
    """int4 weights of odd and even size in every operator that takes them, sparse weights in every kind of order."""
    for number in range(12):
        yield _int4(number)
    for number, (order, blocks, formats, index_type) in enumerate(SPARSE):
        rng = np.random.default_rng(number)
        model = Builder()
        x = model.input((1, 5, 4, 8), 0.1, ZERO_POINTS[number % 5])
        weights = random_int8(rng, (4, 2, 3, 8)) * (rng.random((4, 2, 3, 8)) < 0.2).astype(np.int8)
        weights[number % 4] = 0
        y = model.conv_2d(x, weights, random_bias(rng, 4), weight_scales=[0.01, 0.02, 0.004, 0.03])
        make_sparse(model, model.graph.operators[0].inputs[1], order, blocks, formats, index_type)
        through_densify(model, 0, 1)
        yield case(f"sparse_{number}", model, [y], number)
    for behind in (True, False):
        yield _sparse_fully_connected(behind)


def _sparse_fully_connected(behind: bool) -> Case:
    """Blocks of 1x16 are what the reference reads with DENSIFY between and without."""
    rng = np.random.default_rng(99)
    model = Builder()
    x = model.input((1, 32), 0.1, -4)
    weights = random_int8(rng, (8, 32)) * (rng.random((8, 32)) < 0.1).astype(np.int8)
    y = model.fully_connected(x, weights, random_bias(rng, 8), scale=0.5)
    make_sparse(model, model.graph.operators[0].inputs[1], (0, 1, 2), {1: 16}, (DENSE, CSR), np.uint8)
    if behind:
        through_densify(model, 0, 1)
    return case(f"sparse_fully_connected_{behind}", model, [y])


def _int4(number: int) -> Case:
    rng = np.random.default_rng(number)
    model = Builder()
    x = model.input((1, 4, 5, 3), 0.05, ZERO_POINTS[number % 5])
    channels = 3 + number % 2
    extra = {"weight_scales": [0.05, 0.07, 0.2, 0.1][:channels], "scale": 0.3, "zero_point": ZERO_POINTS[number % 4]}
    bias = random_bias(rng, channels)
    if number % 3 == 0:
        y = model.conv_2d(x, random_int8(rng, (channels, 1, 3, 3), -8, 7), bias, **extra)
    elif number % 3 == 1:
        extra["weight_scales"], bias = [0.05, 0.07, 0.2], bias[:3]
        y = model.depthwise_conv_2d(x, random_int8(rng, (1, 3, 1, 3), -8, 7), bias, **extra)
    else:
        y = model.fully_connected(x, random_int8(rng, (channels, 15), -8, 7), bias, **extra)
    make_int4(model, model.graph.operators[0].inputs[1])
    return case(f"int4_{number}", model, [y], number)
