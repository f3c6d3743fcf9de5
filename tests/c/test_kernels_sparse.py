"""Every sparse kernel equals the dense formula of docs/numerics.md, whatever the encoding: on borders and at random."""

from __future__ import annotations

from typing import Any

import kernel_harness as c
import numpy as np
import pytest
from c_build import needs_cc
from kernel_cases import (
    LANE_LIMIT,
    ConvCase,
    adversarial_convs,
    conv_case,
    conv_shape,
    int8,
    lane_bound_case,
    rescale,
    rescaled,
    sparse_rows,
    tie_case,
)

from mcuprune.encodings import ENCODINGS
from mcuprune.encodings.block import block_encoding
from mcuprune.numerics import clamp_int8, requantize_once

pytestmark = needs_cc
BLOCKS = [block_encoding(h, w) for h, w in ((1, 1), (2, 2), (4, 1), (1, 4), (3, 5), (8, 8), (1, 16))]
ENCODED = [ENCODINGS["bitmap"], ENCODINGS["gap"], ENCODINGS["rice"], *BLOCKS]
COLS = [1, 3, 64, 255, 256, 257, 276, 513]

CONVOLUTIONS = [(f"conv2d_s8_{e.c_name}_ref", e) for e in ENCODED]
"""Kernels and the encodings that they are tried with."""

each_convolution = pytest.mark.parametrize(
    "kernel,encoding", CONVOLUTIONS, ids=[f"{k}-{e.name}" for k, e in CONVOLUTIONS]
)
each_encoding = pytest.mark.parametrize("encoding", ENCODED, ids=lambda e: e.name)


def check(kernel: str, encoding: Any, case: ConvCase) -> None:
    """The kernel gives the case's expected bytes."""
    got = c.run_conv(kernel, case.shape, case.x, encoding.encode(case.w), case.rescale)
    np.testing.assert_array_equal(got, case.expected, err_msg=f"{kernel} {encoding.name} {case.name}")


@each_convolution
def test_borders(kernel: str, encoding: Any):
    """Each border once: columns, positions, densities, windows, zero points, sums at the lane bound, shifts, ties."""
    for case in adversarial_convs():
        check(kernel, encoding, case)


@each_convolution
@pytest.mark.parametrize("cols", COLS)
@pytest.mark.parametrize("positions", [1, 2, 3, 7, 8, 9, 65])
def test_pointwise(kernel: str, encoding: Any, cols: int, positions: int, rng: np.random.Generator):
    """1x1 convolutions of each density; empty and full rows among the others."""
    for density in (0.0, 0.01, 0.5, 1.0):
        check(kernel, encoding, conv_case("", rng, conv_shape((1, positions, cols), 5), density))


GEOMETRIES = [
    # kernel, stride, dilation, input
    ((3, 3), (1, 1), (1, 1), (5, 7)),
    ((3, 3), (2, 2), (1, 1), (6, 5)),
    ((10, 4), (2, 1), (1, 1), (12, 5)),
    ((1, 1), (2, 2), (1, 1), (5, 4)),
    ((3, 3), (1, 1), (2, 3), (9, 10)),
    ((7, 7), (1, 1), (1, 1), (3, 3)),
]


@each_convolution
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("in_ch", [1, 3, 29])
def test_windows(kernel: str, encoding: Any, geometry: tuple[Any, ...], in_ch: int, rng: np.random.Generator):
    """Convolutions of all kinds of windows; padding holds the zero point, at both ends of int8."""
    window, stride, dilation, size = geometry
    for out_ch, pad_value in ((1, -128), (7, 127)):
        shape = conv_shape((*size, in_ch), out_ch, window, stride, dilation, pad_value=pad_value)
        check(kernel, encoding, conv_case("", rng, shape, 0.3))


@each_encoding
@pytest.mark.parametrize("cols", COLS)
@pytest.mark.parametrize("single", [0, 1])
def test_fully_connected(encoding: Any, cols: int, single: int, rng: np.random.Generator):
    """Fully-connected layers with one rounding and with two."""
    for rows, batches, density in ((1, 1, 0.5), (2, 3, 0.01), (5, 1, 1.0), (12, 2, 0.3), (9, 1, 0.0)):
        x, w, r = int8(rng, batches, cols), sparse_rows(rng, rows, cols, density), rescale(rng, rows, cols)
        acc = x.astype(np.int64) @ w.T.astype(np.int64) + r["bias"]
        expected = rescaled(acc, r, requantize_once) if single else rescaled(acc, r)
        np.testing.assert_array_equal(c.run_fully_connected(x, encoding.encode(w), r, single), expected)


@pytest.mark.parametrize("shift", [-1, -2, -3, -6])
def test_ties_need_the_sign_term(shift: int):
    """The cases with halves tell a kernel apart that rounds all of them up, and one that rounds once."""
    case = tie_case(shift)
    high = (case.acc * 2**30 + 2**30) >> 31
    up = clamp_int8((high + (1 << (-shift - 1)) >> -shift) + 5)
    assert (up != case.expected).any()
    total = 31 - shift
    once = (case.acc * 2**30 + (1 << (total - 1)) - (case.acc < 0)) >> total
    assert (clamp_int8(once + 5) != case.expected).any()


@pytest.mark.parametrize("shift", [-21, -22, -23])
def test_lane_bound_shows(shift: int):
    """Sums at the lane bound are seen through the largest right shifts of the DSP kernel's short form and one more."""
    case = lane_bound_case(9, 1, shift)
    assert np.abs(case.acc).max() == LANE_LIMIT - 1
    assert len(np.unique(case.expected)) > 1 or shift == -23


@pytest.mark.parametrize("cols,window", [(1, 1), (3, 1), (276, 1), (513, 1), (5, 3)])
def test_workspace(cols: int, window: int):
    """Workspaces are what the header promises."""
    shape = conv_shape((4, 4, cols), 3, (window, window))
    count = cols * window * window
    columns = 0 if window == 1 else (2 * count + 3) // 4 * 4
    assert c.conv_workspace("conv2d_s8_gap_ref", shape) == columns
