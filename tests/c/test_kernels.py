"""Every kernel equals a formula of docs/numerics.md written plainly in numpy, on random and on adversarial shapes."""

from __future__ import annotations

import math
from typing import Any

import kernel_harness as c
import numpy as np
import numpy.typing as npt
import pytest
from c_build import needs_cc
from kernel_cases import Int8, conv_shape, int8, rescale, rescaled, windows

from mcuprune.numerics import (
    add_parameters,
    clamp_int8,
    exp_on_negative_values,
    mean_parameters,
    quantize_multiplier,
    reciprocal_of_one_plus,
    requantize,
    requantize_once,
    rounding_divide_by_pot,
    rounding_doubling_high_mul,
    softmax_parameters,
)

pytestmark = needs_cc
CHANNELS = [1, 2, 3, 4, 5, 7, 8, 64, 255, 256, 257, 276, 513]


def check_conv(rng: np.random.Generator, shape: dict[str, int]) -> None:
    """Dense convolution on random data."""
    cols = shape["kernel_h"] * shape["kernel_w"] * shape["in_ch"]
    x, w = int8(rng, shape["in_h"], shape["in_w"], shape["in_ch"]), int8(rng, shape["out_ch"], cols)
    r = rescale(rng, shape["out_ch"], cols)
    columns = windows(shape, x).reshape(shape["out_h"], shape["out_w"], cols)
    expected = rescaled(columns @ w.T.astype(np.int64) + r["bias"], r)
    np.testing.assert_array_equal(c.run_conv("conv2d_s8_dense_ref", shape, x, w, r), expected)
    plain = (shape["kernel_h"], shape["kernel_w"], shape["stride_h"], shape["stride_w"]) == (1, 1, 1, 1)
    assert c.conv_workspace("conv2d_s8_dense_ref", shape) == (0 if plain else (2 * cols + 3) // 4 * 4)


def check_depthwise(rng: np.random.Generator, shape: dict[str, int]) -> None:
    """Depthwise convolution on random data."""
    taps = shape["kernel_h"] * shape["kernel_w"]
    x = int8(rng, shape["in_h"], shape["in_w"], shape["in_ch"])
    w = int8(rng, shape["kernel_h"], shape["kernel_w"], shape["out_ch"])
    r = rescale(rng, shape["out_ch"], taps)
    seen = np.repeat(windows(shape, x), shape["out_ch"] // shape["in_ch"], axis=-1)
    expected = rescaled((seen * w).sum(axis=(2, 3)) + r["bias"], r)
    np.testing.assert_array_equal(c.run_conv("depthwise_conv2d_s8_dense_ref", shape, x, w, r), expected)
    assert c.conv_workspace("depthwise_conv2d_s8_dense_ref", shape) == 8 * taps


@pytest.mark.parametrize("in_ch", CHANNELS)
@pytest.mark.parametrize("size", [(1, 1), (3, 1), (2, 3)])
def test_pointwise_conv(in_ch: int, size: tuple[int, int], rng: np.random.Generator):
    """1x1 convolutions over odd and even channels and positions."""
    for out_ch in (1, 2, 5, 12):
        check_conv(rng, conv_shape((*size, in_ch), out_ch))


@pytest.mark.parametrize("out_ch", CHANNELS)
def test_pointwise_conv_output_channels(out_ch: int, rng: np.random.Generator):
    """1x1 convolutions of every row count."""
    check_conv(rng, conv_shape((1, 3, 9), out_ch))


GEOMETRIES = [
    # kernel, stride, dilation, input
    ((3, 3), (1, 1), (1, 1), (5, 7)),
    ((3, 3), (2, 2), (1, 1), (6, 5)),
    ((10, 4), (2, 1), (1, 1), (12, 5)),
    ((1, 1), (2, 2), (1, 1), (5, 4)),
    ((1, 5), (1, 3), (1, 1), (2, 11)),
    ((5, 1), (3, 1), (1, 1), (11, 2)),
    ((3, 3), (1, 1), (2, 3), (9, 10)),
    ((2, 2), (1, 2), (3, 1), (7, 7)),
    ((7, 7), (1, 1), (1, 1), (3, 3)),  # the window is larger than the input
    ((3, 3), (1, 1), (1, 1), (1, 1)),
    ((2, 2), (5, 5), (1, 1), (6, 6)),  # the stride is larger than the window
]

WINDOWS = [  # with SAME padding, and with VALID where that leaves an output
    (g, same)
    for g in GEOMETRIES
    for same in (True, False)
    if same or all((k - 1) * d < n for k, d, n in zip(g[0], *g[2:], strict=True))
]


@pytest.mark.parametrize("in_ch", [1, 2, 3, 5, 64])
@pytest.mark.parametrize("geometry,same", WINDOWS, ids=str)
def test_conv(in_ch: int, geometry: tuple[Any, ...], same: bool, rng: np.random.Generator):
    """Convolutions of all kinds of windows; padding holds the zero point, at both ends of int8."""
    kernel, stride, dilation, size = geometry
    for out_ch, pad_value in ((1, -128), (6, 127), (7, 3)):
        check_conv(rng, conv_shape((*size, in_ch), out_ch, kernel, stride, dilation, same, pad_value))


def test_conv_1x1_with_padding_is_not_pointwise(rng: np.random.Generator):
    """A PAD folded into a 1x1 convolution gives a border of its own."""
    shape = conv_shape((3, 4, 5), 6) | {"out_h": 5, "out_w": 6, "pad_top": 1, "pad_left": 1}
    w, x, r = int8(rng, 6, 5), int8(rng, 3, 4, 5), rescale(rng, 6, 5)
    expected = rescaled(windows(shape, x).reshape(5, 6, 5) @ w.T.astype(np.int64) + r["bias"], r)
    np.testing.assert_array_equal(c.run_conv("conv2d_s8_dense_ref", shape, x, w, r), expected)
    assert c.conv_workspace("conv2d_s8_dense_ref", shape) == 12


@pytest.mark.parametrize("in_ch", CHANNELS)
def test_depthwise_channels(in_ch: int, rng: np.random.Generator):
    """3x3 depthwise convolutions of every channel count."""
    for pad_value in (-128, 127, 0):
        check_depthwise(rng, conv_shape((4, 3, in_ch), in_ch, (3, 3), pad_value=pad_value))


@pytest.mark.parametrize("multiplier", [1, 2, 3, 8])
@pytest.mark.parametrize("geometry,same", WINDOWS, ids=str)
def test_depthwise(multiplier: int, geometry: tuple[Any, ...], same: bool, rng: np.random.Generator):
    """Depthwise convolutions of all kinds of windows and multipliers."""
    kernel, stride, dilation, size = geometry
    for in_ch, pad_value in ((1, -128), (5, 127), (6, 3)):
        check_depthwise(rng, conv_shape((*size, in_ch), in_ch * multiplier, kernel, stride, dilation, same, pad_value))


@pytest.mark.parametrize("cols", CHANNELS)
@pytest.mark.parametrize("single", [0, 1])
def test_fully_connected(cols: int, single: int, rng: np.random.Generator):
    """Fully-connected layers of odd and even sizes, with one rounding and with two."""
    for rows, batches in ((1, 1), (2, 3), (3, 1), (4, 2), (5, 1), (12, 1), (257, 1)):
        x, w, r = int8(rng, batches, cols), int8(rng, rows, cols), rescale(rng, rows, cols)
        acc = x.astype(np.int64) @ w.T.astype(np.int64) + r["bias"]
        expected = rescaled(acc, r, requantize_once if single else requantize)
        np.testing.assert_array_equal(c.run_fully_connected(x, w, r, single), expected)


@pytest.mark.parametrize("ch", [1, 2, 3, 4, 5, 64, 257, 276])
@pytest.mark.parametrize("same", [True, False], ids=["same", "valid"])
def test_average_pool(ch: int, same: bool, rng: np.random.Generator):
    """Average pooling over whole inputs, borders and overlapping windows; halves go away from zero."""
    for kernel, stride, size in (
        ((13, 5), (13, 5), (13, 5)),
        ((2, 2), (2, 2), (5, 4)),
        ((3, 3), (1, 2), (4, 6)),
        ((1, 1), (1, 1), (2, 2)),
        ((5, 5), (1, 1), (5, 5)),
    ):
        shape = conv_shape((*size, ch), ch, kernel, stride, same=same)
        x = int8(rng, *size, ch)
        seen = windows(shape | {"pad_value": 0}, x).sum(axis=(2, 3))
        count = windows(shape | {"pad_value": 0}, np.ones_like(x)).sum(axis=(2, 3))
        mean = np.sign(seen) * ((np.abs(seen) + count // 2) // count)
        low, high = [(-128, 127), (-5, 20)][rng.integers(2)]
        op = c.AveragePool(c.ConvShape(**shape), low, high)
        got = c.run_elementwise("average_pool_s8_ref", op, [x], seen.shape)
        np.testing.assert_array_equal(got, clamp_int8(mean, low, high))


@pytest.mark.parametrize(
    "outer,reduce,inner", [(1, 1, 1), (1, 65, 276), (3, 7, 5), (2, 4096, 3), (4, 2, 1), (1, 25, 64)]
)
@pytest.mark.parametrize("ratio", [1.0, 0.37, 3.3, 1e-9])
def test_mean(outer: int, reduce: int, inner: int, ratio: float, rng: np.random.Generator):
    """Means over any axis, zero points at both ends."""
    for in_zp, out_zp in ((-128, 127), (127, -128), (5, 0)):
        p = mean_parameters(ratio, 1.0, reduce)
        x = int8(rng, outer, reduce, inner)
        total = x.astype(np.int64).sum(axis=1) - in_zp * reduce
        walk = ((1, 1, outer, inner), (0, 0, reduce * inner, 1), (1, 1, 1, reduce), (0, 0, 0, inner))
        op = c.Mean(*(c.Four(*n) for n in walk), in_zp, out_zp, p.mult, p.shift)
        got = c.run_elementwise("mean_s8_ref", op, [x], (outer, inner))
        np.testing.assert_array_equal(got, clamp_int8(requantize(total, p.mult, p.shift) + out_zp))


def softmax(x: Int8, p: Any) -> Int8:
    """SOFTMAX of docs/numerics.md, row by row."""
    result = np.full(x.shape, -128, np.int8)
    for row, out in zip(x.astype(np.int64), result, strict=True):
        diff = row - row.max()
        e = exp_on_negative_values(rounding_doubling_high_mul(diff << p.shift, p.mult))
        used = diff >= p.diff_min
        total = int(rounding_divide_by_pot(e[used], 12).sum())
        zeros = 32 - total.bit_length()
        scale = reciprocal_of_one_plus(np.int64((total << zeros) - 2**31))
        exponent = 12 - zeros + 23
        if exponent <= 31:
            p256 = rounding_divide_by_pot(rounding_doubling_high_mul(scale, e), exponent) - 128
            out[used] = clamp_int8(p256[used])
    return result


@pytest.mark.parametrize("cols", [1, 2, 3, 12, 35, 256, 511, 512, 1000])
@pytest.mark.parametrize("scale", [1e-6, 0.001, 0.05, 0.2, 1.7, 30.0])
@pytest.mark.parametrize("beta", [1.0, 0.3])
def test_softmax(cols: int, scale: float, beta: float, rng: np.random.Generator):
    """Softmax rows of every kind: ties, extremes, flat rows of more classes than the output can hold."""
    p = softmax_parameters(beta, scale)
    x = np.stack([rng.integers(-128, 128, cols, dtype=np.int8) for _ in range(4)] + [np.full(cols, 127, np.int8)])
    x[0, 0], x[1, :] = 127, rng.choice(np.array([-128, 127], np.int8), cols)
    op = c.Softmax(*x.shape, p.mult, p.shift, p.diff_min)
    np.testing.assert_array_equal(c.run_elementwise("softmax_s8_ref", op, [x], x.shape), softmax(x, p))


@pytest.mark.parametrize("scale", [0.01, 0.1, 0.17])
def test_softmax_difference(scale: float):
    """Two classes, at each difference that int8 has; near the real softmax, too."""
    p = softmax_parameters(1.0, scale)
    for step in range(1, 256):
        x = np.array([[127, 127 - step]], np.int8)
        op = c.Softmax(1, 2, p.mult, p.shift, p.diff_min)
        got = c.run_elementwise("softmax_s8_ref", op, [x], x.shape)
        np.testing.assert_array_equal(got, softmax(x, p))
        exact = 1 / (1 + math.exp(-step * scale))
        assert abs((int(got[0, 0]) + 128) / 256 - min(exact, 255 / 256)) < 1.5 / 256


def element_strides(shape: tuple[int, ...], dims: tuple[int, ...]) -> list[int]:
    """Strides of an input that is broadcast to dims."""
    padded = (1,) * (4 - len(shape)) + shape
    strides = [int(np.prod(padded[i + 1 :])) for i in range(4)]
    return [0 if n == 1 and d != 1 else s for n, d, s in zip(padded, dims, strides, strict=True)]


@pytest.mark.parametrize(
    "shape1,shape2",
    [
        ((1, 1, 1, 1), (1, 1, 1, 1)),
        ((2, 3, 4, 5), (2, 3, 4, 5)),
        ((1, 3, 4, 257), (257,)),
        ((7,), (2, 3, 5, 7)),
        ((2, 1, 4, 1), (1, 3, 1, 5)),
        ((1,), (1, 5, 5, 3)),
    ],
    ids=str,
)
def test_add(shape1: tuple[int, ...], shape2: tuple[int, ...], rng: np.random.Generator):
    """Sums with broadcast, scales near and far from each other."""
    for scale1, scale2, out_scale in ((0.1, 0.1, 0.2), (0.5, 0.003, 0.4), (0.001, 0.7, 1.3), (1.0, 1.0, 0.01)):
        zp1, zp2, out_zp = (int(z) for z in rng.choice([-128, 127, 0, 9], 3))
        low, high = [(-128, 127), (0, 100)][rng.integers(2)]
        p = add_parameters(scale1, scale2, out_scale)
        x1, x2 = int8(rng, *shape1), int8(rng, *shape2)
        a = requantize((x1.astype(np.int64) - zp1) << p.left_shift, p.mult1, p.shift1)
        b = requantize((x2.astype(np.int64) - zp2) << p.left_shift, p.mult2, p.shift2)
        expected = clamp_int8(requantize(a + b, p.out_mult, p.out_shift) + out_zp, low, high)
        dims = (1,) * (4 - expected.ndim) + expected.shape
        strides = [(c.ct.c_uint32 * 4)(*element_strides(s, dims)) for s in (shape1, shape2)]
        multipliers = (p.mult1, p.shift1, p.mult2, p.shift2, p.out_mult, p.out_shift, p.left_shift)
        op = c.Add((c.ct.c_uint32 * 4)(*dims), *strides, -zp1, -zp2, *multipliers, out_zp, low, high)
        np.testing.assert_array_equal(c.run_elementwise("add_s8_ref", op, [x1, x2], expected.shape), expected)


@pytest.mark.parametrize("dims", [(1, 1, 1, 1), (1, 3, 4, 5), (2, 3, 1, 257), (1, 1, 1, 9)], ids=str)
def test_pad(dims: tuple[int, ...], rng: np.random.Generator):
    """Padding on each side of each dimension."""
    for _ in range(6):
        before, after = rng.integers(0, 3, 4), rng.integers(0, 3, 4)
        value = int(rng.choice([-128, 127, 0]))
        x = int8(rng, *dims)
        expected = np.pad(x, np.stack([before, after], axis=1), constant_values=value)
        op = c.Pad(
            *((c.ct.c_uint32 * 4)(*(int(n) for n in v)) for v in (dims, before, after)),
            (c.ct.c_uint8 * 8)(value & 255),
            1,
        )
        np.testing.assert_array_equal(c.run_elementwise("pad_ref", op, [x], expected.shape), expected)


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.25, 0.3, 1.9, 117.0, 2.0**-20, 2.0**-31, 2.0**21])
def test_requantize(scale: float, rng: np.random.Generator):
    """All 256 values, zero points at both ends; a power of two makes ties. in may be out."""
    x = np.arange(-128, 128).astype(np.int8)
    mult, shift = quantize_multiplier(scale)
    for in_zp, out_zp, low, high in ((-128, 127, -128, 127), (127, -128, -128, 0), (3, -4, -4, 90), (0, 0, 7, 7)):
        expected = clamp_int8(requantize(x.astype(np.int64) - in_zp, mult, shift) + out_zp, low, high)
        op = c.Requantize(256, in_zp, out_zp, mult, shift, low, high)
        np.testing.assert_array_equal(c.run_elementwise("requantize_s8_ref", op, [x], x.shape), expected)
        np.testing.assert_array_equal(c.run_in_place("requantize_s8_ref", op, x), expected)


def round_half_away(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """C's round(): the sum with one half is exact in double."""
    return np.copysign(np.floor(np.abs(x.astype(np.float64)) + 0.5), x)


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.1, 1.3e-5, 7.77, 1e-38, 3e38])
@pytest.mark.parametrize("zp", [-128, 127, 0, 17])
def test_quantize(scale: float, zp: int, rng: np.random.Generator):
    """Floats around every rounding border, far outside, infinite, subnormal and NaN."""
    step = np.float32(scale)
    with np.errstate(all="ignore"):
        borders = (np.arange(-600, 601) / 2).astype(np.float32) * step
        near = [np.nextafter(borders, np.float32(s) * np.float32(np.inf)) for s in (-1, 1)]
        big = np.array([0.0, -0.0, 1e-45, -1e-45, 1e9, -1e9, 3.4e38, -3.4e38, np.inf, -np.inf, np.nan], np.float32)
        x = np.concatenate([borders, *near, big, (rng.normal(0, 100, 1000) * scale).astype(np.float32)])
        quotient = x / step
        expected = clamp_int8(np.clip(np.nan_to_num(round_half_away(quotient)), -1e6, 1e6).astype(np.int64) + zp)
        outside = ~(np.abs(quotient) < 2.0**31)  # NaN, too: the reference's sum with zp wraps
        expected = np.where(outside, 127 if zp < 0 else -128, expected)
    op = c.Affine(len(x), scale, zp)
    np.testing.assert_array_equal(c.run_elementwise("quantize_f32_s8_ref", op, [x], x.shape), expected)


@pytest.mark.parametrize("scale", [1.0, 0.1, 1.3e-5, 1e-38, 1e-44, 7.77e30])
@pytest.mark.parametrize("zp", [-128, 127, 0, 17])
def test_dequantize(scale: float, zp: int):
    """All 256 values: one rounding of the product."""
    x = np.arange(-128, 128).astype(np.int8)
    expected = (np.float64(np.float32(scale)) * (x.astype(np.float64) - zp)).astype(np.float32)
    op = c.Affine(256, scale, zp)
    got = c.run_elementwise("dequantize_s8_f32_ref", op, [x], x.shape, np.float32)
    np.testing.assert_array_equal(got.view(np.uint32), expected.view(np.uint32))
