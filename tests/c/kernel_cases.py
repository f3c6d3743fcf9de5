"""Shapes, numbers and expected results for tests of kernels, on the host and on a core."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.encodings import Encoded
from mcuprune.numerics import clamp_int8, quantize_multiplier, requantize

Int8 = npt.NDArray[np.int8]
SHAPE_FIELDS = ("in_h", "in_w", "in_ch", "out_h", "out_w", "out_ch", "kernel_h", "kernel_w")
SHAPE_FIELDS += ("stride_h", "stride_w", "dilation_h", "dilation_w")


def int8(rng: np.random.Generator, *shape: int) -> Int8:
    """Random values; some arrays are all at one end, so sums become as large as they can."""
    kind = rng.integers(6)
    if kind == 0:
        return np.full(shape, -128, np.int8)
    if kind == 1:
        return rng.choice(np.array([-128, 127], np.int8), shape)
    return rng.integers(-128, 128, shape, dtype=np.int8)


def rescale(rng: np.random.Generator, rows: int, cols: int, **fixed: int) -> dict[str, Any]:
    """Bias and multipliers for accumulators of `cols` products: mostly in range, some saturate, some flush to 0."""
    typical = 64.0 / (128 * 128 * 0.4 * math.sqrt(cols))
    scales = typical * np.exp2(rng.uniform(-6, 3, rows))
    pairs = [quantize_multiplier(float(s)) for s in scales]
    for row in range(rows):
        match rng.integers(24):
            case 0:
                pairs[row] = (0, 0)
            case 1:
                pairs[row] = (2**31 - 1, -31)
            case 2:
                pairs[row] = (2**30, -int(rng.integers(0, 4)))  # ties in both roundings
            case 3:  # the largest left shift that keeps every accumulator inside of int32
                pairs[row] = (2**30, max(0, 30 - math.ceil(math.log2(cols * 128 * 128 + 2**12))))
    low, high = [(-128, 127), (-128, 127), (-1, 100), (5, 5)][rng.integers(4)]
    values = {
        "bias": rng.integers(-(2**11), 2**11, rows),
        "mult": np.array([m for m, _ in pairs]),
        "shift": np.array([s for _, s in pairs]),
        "out_zp": int(rng.choice([-128, 127, 0, 3, -77])),
        "act_min": low,
        "act_max": high,
    }
    return values | fixed


def rescaled(acc: npt.NDArray[np.int64], r: dict[str, Any], rule: Any = requantize) -> Int8:
    """Output of accumulators whose last axis is the channel."""
    assert np.abs(acc).max(initial=0) < 2**31
    return clamp_int8(rule(acc, r["mult"], r["shift"]) + r["out_zp"], r["act_min"], r["act_max"])


def same_pads(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Output size and padding before, as in TFLite's SAME."""
    out = -(-size // stride)
    return out, max(0, (out - 1) * stride + (kernel - 1) * dilation + 1 - size) // 2


def conv_shape(
    size: tuple[int, int, int],
    out_ch: int,
    kernel: tuple[int, int] = (1, 1),
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    same: bool = True,
    pad_value: int = -128,
) -> dict[str, int]:
    """Fields of mp_conv_shape."""
    outs, pads = [], []
    for n, k, s, d in zip(size, kernel, stride, dilation, strict=False):
        out, pad = same_pads(n, k, s, d) if same else ((n - (k - 1) * d - 1) // s + 1, 0)
        outs.append(out)
        pads.append(pad)
    shape = dict(zip(SHAPE_FIELDS, (*size, *outs, out_ch, *kernel, *stride, *dilation), strict=True))
    return shape | {"pad_top": pads[0], "pad_left": pads[1], "pad_value": pad_value}


def windows(shape: dict[str, int], x: Int8) -> npt.NDArray[np.int64]:
    """(out_h, out_w, kernel_h, kernel_w, in_ch): what each position sees."""
    s = shape
    result = np.full((s["out_h"], s["out_w"], s["kernel_h"], s["kernel_w"], s["in_ch"]), s["pad_value"], np.int64)
    for oy, ox, ky, kx in np.ndindex(*result.shape[:4]):
        y = oy * s["stride_h"] - s["pad_top"] + ky * s["dilation_h"]
        z = ox * s["stride_w"] - s["pad_left"] + kx * s["dilation_w"]
        if 0 <= y < s["in_h"] and 0 <= z < s["in_w"]:
            result[oy, ox, ky, kx] = x[y, z]
    return result


LANE_LIMIT = 2**22
"""|bias| + 128 * sum|row| stays below this where a kernel keeps two sums in one register."""


@dataclass(frozen=True, slots=True, eq=False)
class ConvCase:
    """One convolution and its result. w: int8 (rows, cols); rescale: members of mp_rescale."""

    name: str
    shape: dict[str, int]
    x: Int8
    w: Int8
    rescale: dict[str, Any]

    @property
    def acc(self) -> npt.NDArray[np.int64]:
        """(out_h, out_w, out_ch) accumulators."""
        columns = windows(self.shape, self.x).reshape(self.shape["out_h"], self.shape["out_w"], self.w.shape[1])
        return columns @ self.w.T.astype(np.int64) + self.rescale["bias"]

    @property
    def expected(self) -> Int8:
        return rescaled(self.acc, self.rescale)


def c_encoding(encoded: Encoded) -> str:
    """The word that C has for an encoding: sizes of blocks share one."""
    return "block" if encoded.encoding.startswith("block") else encoded.encoding


def sparse_rows(rng: np.random.Generator, rows: int, cols: int, density: float) -> Int8:
    """Rows of about `density` nonzeros whose sums fit in lanes; among several, one is empty and one as full as fits."""
    w = int8(rng, rows, cols)
    w[rng.random((rows, cols)) >= density] = 0
    if rows > 2:
        w[rows // 2] = 0
        w[-1] = rng.integers(1, 3, cols, dtype=np.int8)
    room = (LANE_LIMIT - 2**12) // 128
    over = np.cumsum(np.abs(w.astype(np.int64)), axis=1) > room
    w[over] = 0
    return w


def conv_case(
    name: str, rng: np.random.Generator, shape: dict[str, int], density: float = 0.3, **fixed: Any
) -> ConvCase:
    """Random input, sparse rows and multipliers for a shape."""
    cols = shape["kernel_h"] * shape["kernel_w"] * shape["in_ch"]
    w = sparse_rows(rng, shape["out_ch"], cols, density)
    x = int8(rng, shape["in_h"], shape["in_w"], shape["in_ch"])
    return ConvCase(name, shape, x, w, rescale(rng, shape["out_ch"], cols) | fixed)


def lane_bound_case(positions: int, sign: int, shift: int = -14) -> ConvCase:
    """Sums of +-(2^22 - 1) beside sums of the other sign: the last ones that a lane holds."""
    cols = 300
    total = (LANE_LIMIT - 1) // 128
    magnitude = np.full(cols, total // cols)
    magnitude[: total % cols] += 1
    bias = LANE_LIMIT - 1 - 128 * total
    w = np.stack([-sign * magnitude, sign * magnitude]).astype(np.int8)
    x = np.where(np.arange(positions) % 3 == 1, 127, -128).astype(np.int8)
    values = {
        "bias": np.array([sign * bias, -sign * bias]),
        "mult": np.full(2, 2**30 if shift == -14 else 2**31 - 1),
        "shift": np.full(2, shift),
        "out_zp": 0,
        "act_min": -128,
        "act_max": 127,
    }
    shape = conv_shape((1, positions, cols), 2)
    return ConvCase(
        f"lanes_{sign}_{positions}_{-shift}", shape, np.repeat(x, cols).reshape(1, positions, cols), w, values
    )


def parts_case(positions: int, relu: bool) -> ConvCase:
    """Rows whose sums need more than a lane, up to three times, beside rows that fit."""
    rng = np.random.default_rng(positions + 100 * relu)
    rows, cols = 6, 700
    w = rng.choice(np.array([-127, 127], np.int8), (rows, cols))
    w[1, 5:] = 0
    w[3] = rng.integers(-9, 10, cols)
    w[4, 200:600] = 0
    x = np.where(rng.random((1, positions, 1)) < 0.5, w[rng.integers(rows, size=positions)], int8(rng, positions, cols))
    values = {
        "bias": np.array([5, -(2**20), 2**22 - 128 * 200, 77, 0, 2**21]),
        "mult": rng.integers(2**30, 2**31, rows),
        "shift": np.array([-14, -9, -13, -10, -14, -12]),
        "out_zp": -128 if relu else 9,
        "act_min": -128,
        "act_max": 127,
    }
    shape = conv_shape((1, positions, cols), rows)
    return ConvCase(f"parts_{positions}_{relu}", shape, x, w, values)


def runs_case(positions: int) -> ConvCase:
    """Dense stretches between runs of zeros around the longest that one byte holds, also before the first nonzero."""
    rng = np.random.default_rng(positions)
    w = np.zeros((5, 1000), np.int8)
    for row, zeros in zip(w, (0, 253, 254, 255, 511), strict=True):
        for start in range(zeros, 1000, zeros + 12):
            row[start : start + 12] = rng.choice(np.array([-3, -1, 2, 5], np.int8), len(row[start : start + 12]))
    fixed = {"out_zp": 1, "act_min": -128, "act_max": 127, "shift": np.full(5, -8), "mult": np.full(5, 2**30 + 12345)}
    shape = conv_shape((1, positions, 1000), 5)
    return ConvCase(f"runs_{positions}", shape, int8(rng, 1, positions, 1000), w, rescale(rng, 5, 1000) | fixed)


def late_case(positions: int) -> ConvCase:
    """Rows that start far behind, or nearly: around what a kernel may keep in a few bits."""
    rng = np.random.default_rng(positions)
    w = np.zeros((4, 2400), np.int8)
    for row, first in zip(w, (2047, 2048, 2399, 0), strict=True):
        row[first] = -7
        row[first + 1 : first + 400 : 130] = 3
    fixed = {"out_zp": 1, "act_min": -128, "act_max": 127, "shift": np.full(4, -5), "mult": np.full(4, 2**30 + 12345)}
    shape = conv_shape((1, positions, 2400), 4)
    return ConvCase(f"late_{positions}", shape, int8(rng, 1, positions, 2400), w, rescale(rng, 4, 2400) | fixed)


def two_of_four(w: Int8) -> Int8:
    """The rows, with two of each four consecutive columns left at most: others in each row and four."""
    rng = np.random.default_rng(w.size)
    groups = w.reshape(len(w), -1, 4)
    drop = rng.permuted(np.broadcast_to(np.arange(4), groups.shape), axis=2) < 2
    return np.where(drop, 0, groups).astype(np.int8).reshape(w.shape)


def two_of_four_case(name: str, shape: dict[str, int], relu: bool, density: float = 0.9) -> ConvCase:
    """A convolution whose rows have the pattern 2:4 and small multipliers."""
    case = conv_case(f"2:4_{name}_{relu}", np.random.default_rng(len(name)), shape, density)
    values = case.rescale | {"out_zp": -128 if relu else 7, "act_min": -128, "act_max": 127 if relu else 100}
    values["mult"] = np.full(len(case.w), 2**30 + 98765)
    values["shift"] = -1 - np.arange(len(case.w)) % 14
    return replace(case, w=two_of_four(case.w), rescale=values)


def relu_case(shift: int, out_zp: int) -> ConvCase:
    """Negative results are clamped away: a kernel may round them as it likes, but not what is beside 0."""
    rng = np.random.default_rng(out_zp + 1000 - shift)
    fixed = {"shift": np.full(5, shift), "mult": rng.integers(2**30, 2**31, 5), "out_zp": out_zp}
    fixed["bias"] = rng.integers(-3, 4, 5) << max(0, -shift - 1)
    return conv_case(
        f"relu_{-shift}_{out_zp}", rng, conv_shape((1, 9, 7), 5), 0.9, **fixed, act_min=out_zp, act_max=127
    )


def tie_case(shift: int, positions: int = 9) -> ConvCase:
    """Every result lies on or beside a half, on both sides of 0: acc * 2^(shift - 1) for all small acc."""
    rows = 64
    x = np.zeros((1, positions, 2), np.int8)
    x[0, :, 0] = np.arange(positions) - positions // 2
    w = np.ones((rows, 2), np.int8)
    values = {
        "bias": (np.arange(rows) - rows // 2) << max(0, -shift - 3),
        "mult": np.full(rows, 2**30),
        "shift": np.full(rows, shift),
        "out_zp": 5,
        "act_min": -128,
        "act_max": 127,
    }
    return ConvCase(f"ties_{-shift}", conv_shape((1, positions, 2), rows), x, w, values)


def shift_case(shift: int, positions: int = 9) -> ConvCase:
    """One shift for all rows; sums are as large as the shift leaves room for."""
    rng = np.random.default_rng(shift + 40)
    rows = 5
    room = 2 ** (30 - max(shift, 0))
    shape = conv_shape((1, positions, 8), rows)
    if room > 2**20:
        multipliers = {"shift": np.full(rows, shift), "mult": rng.integers(2**30, 2**31, rows)}
        return conv_case(f"shift_{shift}", rng, shape, 0.7, **multipliers, out_zp=7, act_min=-128, act_max=127)
    w = np.zeros((rows, 8), np.int8)
    w[:, 3] = 1
    x = rng.integers(-min(128, room // 2), min(128, room // 2 + 1), (1, positions, 8), dtype=np.int8)
    values = {
        "bias": np.zeros(rows, np.int64),
        "mult": rng.integers(2**30, 2**31, rows),
        "shift": np.full(rows, shift),
        "out_zp": -3,
        "act_min": -128,
        "act_max": 127,
    }
    return ConvCase(f"shift_{shift}", shape, x, w, values)


def kept_case(name: str, kept: npt.NDArray[np.bool_], positions: int = 6, **fixed: Any) -> ConvCase:
    """A pointwise convolution with given nonzeros, none of them -128; unless fixed, negative results are kept, too."""
    rng = np.random.default_rng(len(name))
    rows, cols = kept.shape
    w = (rng.integers(1, 128, kept.shape) * rng.choice((-1, 1), kept.shape) * kept).astype(np.int8)
    x = rng.integers(-128, 128, (1, positions, cols), dtype=np.int8)
    r = {
        "bias": rng.integers(-(2**11), 2**11, rows),
        "mult": rng.integers(2**30, 2**31, rows),
        "shift": np.full(rows, -9),
        "out_zp": 5,
        "act_min": -128,
        "act_max": 127,
    }
    return ConvCase(name, conv_shape((1, positions, cols), rows), x, w, r | fixed)


def blocks(places: Sequence[tuple[int, int]], rows: int, cols: int) -> npt.NDArray[np.bool_]:
    """Blocks of 2x2 at given rows and columns, cut off at the edges."""
    kept = np.zeros((rows, cols), bool)
    for row, col in places:
        kept[max(row, 0) : row + 2, col : col + 2] = True
    return kept


def chain_cases() -> Iterator[ConvCase]:
    """Lengths around those of unrolled chains, long distances, and blocks that begin at odd places."""
    for cols in (2, 4, 5, 39, 40, 41, 42, 43, 80, 83):
        yield kept_case(f"chain_{cols}", np.ones((6, cols), bool), 3, out_zp=-128)
        yield kept_case(f"chain_signed_{cols}", np.ones((5, cols), bool), 3)
    for count in (1, 2, 5, 16, 17, 18, 32, 33, 49):
        yield kept_case(f"blocks_{count}", blocks([(0, 2 * i) for i in range(count)], 2, 2 * count))
    yield kept_case("far", blocks([(0, 600), (2, 0), (2, 254), (2, 510), (2, 1098)], 4, 1100))
    yield kept_case("further", blocks([(0, 8192), (0, 8196)], 2, 8198), 1)
    shifted = [(r, c) for r in (0, 3, 5) for c in (0, 4, 7, 13, 21, 25)]
    for positions in (1, 2, 3, 4, 5):
        yield kept_case(f"shifted_{positions}", blocks(shifted, 7, 27), positions, act_min=5)
    yield kept_case("last_row_alone", blocks([(0, 0), (2, 4), (4, 2)], 5, 8))
    yield kept_case("first_row_alone", blocks([(-1, 0), (1, 4), (3, 2)], 5, 8))
    rng = np.random.default_rng(12)
    for fours in (1, 17, 33):
        two = rng.permuted(np.tile([True, True, False, False], (3 * fours, 1)), axis=1).reshape(3, -1)
        for rows in (5, 6):
            yield kept_case(f"fours_{fours}_{rows}", np.repeat(two, 2, axis=0)[:rows])


def adversarial_convs() -> Iterator[ConvCase]:
    """Each border of a kernel once, small enough for an emulated core; the same at each call."""
    rng = np.random.default_rng(11)
    for cols in (1, 3, 64, 255, 256, 257, 276, 513):
        for density in (0.01, 0.5):
            yield conv_case(f"cols_{cols}_{density}", rng, conv_shape((1, 9, cols), 4), density)
    for positions in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 65):
        yield conv_case(f"positions_{positions}", rng, conv_shape((positions, 1, 17), 7))
    for density in (0.0, 1.0):
        yield conv_case(f"density_{density}", rng, conv_shape((3, 3, 31), 5), density)
    for rows in (1, 2, 3, 8, 9):
        yield conv_case(f"rows_{rows}", rng, conv_shape((1, 5, 20), rows))
    for pad_value, out_zp in ((-128, 127), (127, -128), (3, 4)):
        quick = {"out_zp": out_zp, "act_min": -128, "act_max": 127}
        yield conv_case(
            f"window_{pad_value}", rng, conv_shape((6, 5, 3), 6, (3, 3), (2, 1), pad_value=pad_value), 0.4, **quick
        )
        yield conv_case(f"dilated_{pad_value}", rng, conv_shape((7, 7, 2), 4, (2, 3), (1, 1), (3, 2)), 0.4, **quick)
        yield conv_case(f"pointwise_{pad_value}", rng, conv_shape((3, 3, 40), 6), 0.4, **quick)
    yield conv_case("stride", rng, conv_shape((5, 4, 6), 3, (1, 1), (2, 2)), 0.5)
    for positions in (1, 2, 3, 8, 9):
        for sign in (1, -1):
            yield lane_bound_case(positions, sign)
    for shift in (-21, -22, -23):
        yield lane_bound_case(9, 1, shift)
    for shift in (-31, -24, -23, -22, -21, -15, -7, -2, -1, 0, 1, 8, 24, 29, 30):
        yield shift_case(shift)
    for shift in (-1, -2, -3, -6):
        yield tie_case(shift)
    for positions, relu in ((1, False), (3, True), (8, False), (10, True)):
        yield parts_case(positions, relu)
    for shift in (-1, -7, -14, -15, -22):
        for out_zp in (-128, -4, 127):
            yield relu_case(shift, out_zp)
    for positions in (1, 3):
        yield runs_case(positions)
    yield from chain_cases()
    yield late_case(3)
    for relu in (False, True):
        for positions in (1, 2, 3, 7, 8, 9, 17):
            yield two_of_four_case(f"{positions}", conv_shape((1, positions, 24), 5), relu)
        for cols in (4, 64, 128, 132):
            yield two_of_four_case(f"{cols}", conv_shape((1, 8, cols), 4), relu, 0.5)
        yield two_of_four_case("window", conv_shape((5, 4, 4), 6, (3, 3), (2, 1), pad_value=3), relu)
    late = two_of_four_case("late", conv_shape((1, 3, 2800), 2), False, 0.01)
    late.w[0, :2740] = 0
    yield late
