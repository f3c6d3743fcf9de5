"""Rows of weights as the kernels for Cortex-M0 and Cortex-M3 read them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mcuprune.encodings import ENCODINGS, Array
from mcuprune.kernels.armv6m import KERNELS as ARMV6M
from mcuprune.kernels.armv7m import KERNELS as ARMV7M
from mcuprune.kernels.dsp_lanes import PLAIN
from mcuprune.kernels.params import LayerParams
from mcuprune.kernels.tile8 import constant_rows, pack_tile8, skip_pairs
from mcuprune.numerics import requantize
from tests.c.kernel_cases import adversarial_convs
from tests.kernels.layers import conv_layer, depthwise_layers

CONVS = [k for k in (*ARMV6M, *ARMV7M) if k.family == "conv2d_s8"]
DEPTHWISE = [k for k in (*ARMV6M, *ARMV7M) if k.family == "depthwise_conv2d_s8"]


def unpacked(pairs: np.ndarray, cols: int) -> np.ndarray:
    """The row that (skip, weight) pairs stand for, by what the kernels do."""
    row, column = np.zeros(cols, np.int8), 0
    for skip, weight in pairs.tolist():
        column += skip
        row[column] = weight - 256 if weight > 127 else weight
        column += 1
    return row


@pytest.mark.parametrize("first", [0, 1, 254, 255, 256, 257, 511, 512, 600])
@pytest.mark.parametrize("distance", [1, 2, 255, 256, 257, 258, 511, 512, 513, 700])
def test_pairs_bridge_any_distance(first: int, distance: int) -> None:
    """Skips of more than 255 columns pass over zeros that are inside of the row."""
    row = np.zeros(first + distance + 1, np.int8)
    row[first], row[first + distance] = -128, 127
    pairs = skip_pairs(row)
    assert np.array_equal(unpacked(pairs, row.size), row)
    assert len(pairs) == 2 + first // 256 + (distance - 1) // 256


def test_pairs_of_random_rows(rng: np.random.Generator) -> None:
    """Rows of any density come back."""
    for density in (0.0, 0.004, 0.1, 0.5, 1.0):
        row = (rng.integers(-128, 128, 1000) * (rng.random(1000) < density)).astype(np.int8)
        assert np.array_equal(unpacked(skip_pairs(row), row.size), row)


def _with(params: LayerParams, member: str, values: list[int]) -> LayerParams:
    arrays = tuple(
        Array(a.member, a.ctype, np.resize(values, a.data.size).astype(a.data.dtype)) if a.member == member else a
        for a in params.arrays
    )
    return replace(params, arrays=arrays)


def test_row_records() -> None:
    """Shifts that the quick rounding cannot serve are marked; a multiplier of 0 gets one that it can."""
    params = _with(conv_layer(next(adversarial_convs())).params, "rescale.mult", [0, 1 << 30, 1 << 30, 1 << 30])
    assert params.rows is not None
    params = replace(params, rows=np.ones_like(params.rows))
    rows = pack_tile8(_with(params, "rescale.shift", [0, -22, -23, 0]), ENCODINGS["gap"]).arrays[0].data
    assert rows["right"].tolist() == np.resize([1, 22, 23, 0], len(rows)).tolist()
    assert (rows["flags"] & PLAIN).tolist() == np.resize([0, 0, PLAIN, PLAIN], len(rows)).tolist()
    assert (rows["pairs"] == params.geometry.cols).all()


def test_rows_without_weights_keep_their_byte(rng: np.random.Generator) -> None:
    """Any bias of a dead row is made small; what it gives stays, and rows with weights are left alone."""
    params = conv_layer(next(adversarial_convs())).params
    assert params.rows is not None
    count = len(params.rows)
    params = _with(params, "rescale.bias", rng.integers(-(2**31), 2**31, 37).tolist())
    params = _with(params, "rescale.shift", [-31, -30, -27, -25, -24, -23, -22, -9, -1, 0])
    dead = np.arange(count) % 2 == 0
    small = constant_rows(params, dead)

    def bytes_of(p: LayerParams) -> np.ndarray:
        bias, mult, shift = (
            next(a.data for a in p.arrays if a.member == f"rescale.{m}") for m in ("bias", "mult", "shift")
        )
        return np.clip(requantize(bias, mult, shift) + p.fields["rescale"]["out_zp"], -128, 127)

    assert np.array_equal(bytes_of(small), bytes_of(params))
    for before, after in zip(params.arrays, small.arrays, strict=True):
        assert np.array_equal(before.data[~dead], after.data[~dead])
    bias = small.arrays[0].data[dead]
    assert np.abs(bias).max() <= 4 * 255 and [small.row_bound[i] for i in range(0, count, 2)] == [0] * len(bias)


@pytest.mark.parametrize("kernel", CONVS, ids=lambda k: k.symbol)
def test_obstacles(kernel) -> None:
    """Sums that a kernel cannot hold are said with the value that decided it; rows without weights do not count."""
    params = conv_layer(next(adversarial_convs())).params
    assert params.rows is not None
    rows = np.zeros_like(params.rows)
    rows[1] = 1
    bound = 2**28 if kernel.isa == "armv6m" else 2**22

    def with_bounds(*bounds: int) -> LayerParams:
        return replace(params, rows=rows, row_bound=(*bounds, *(0,) * (len(rows) - len(bounds))))

    assert kernel.obstacle(with_bounds(2**31, bound - 1)) is None
    assert str(bound) in (kernel.obstacle(with_bounds(0, bound)) or "")


@pytest.mark.parametrize("kernel", DEPTHWISE, ids=lambda k: k.symbol)
def test_depthwise_obstacles(kernel) -> None:
    """Windows, strides, dilations and multipliers that are not specialised go to the reference."""
    served = {layer.name: kernel.obstacle(layer.params) for layer in depthwise_layers()}
    assert served["channels_4"] is None and served["size_13x5_2_True"] is None
    assert "5x5" in (served["window_(5, 5)_(1, 1)_(1, 1)"] or "")
    assert "dilated" in (served["window_(3, 3)_(1, 1)_(2, 2)"] or "")
    assert "4 and more" in (served["channels_3"] or "") and "make 6" in (served["multiplier_2"] or "")
