"""Packing of the 3x3 depthwise kernel for cores with the DSP extension."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from mcuprune import numerics
from mcuprune.encodings import Array, Encoding
from mcuprune.kernels.dsp_requant import reachable
from mcuprune.kernels.kernel import Kernel, Packed
from mcuprune.kernels.params import Geometry, LayerParams

ROW = np.dtype([("bias", "<i4"), ("mult", "<i4"), ("taps", "u1", 12)])
"""mp_depthwise_row."""

TILE_COLUMNS = 24
RELU_RIGHT = 10
"""MP_DW_RIGHT."""

RELU_POWERS = range(2, 9)
SIGNED_RIGHTS = range(2, 23)

Row = tuple[int, int, int]
"""bias, mult and power of an mp_depthwise_row; a power of 0 leaves the weights out: the row is constant."""


def workspace(geometry: Geometry) -> int:
    """mp_depthwise_conv2d_s8_dense_dsp_workspace(): 128 bytes for each input column of a tile, and 188 bytes."""
    columns = min(geometry.out_w, TILE_COLUMNS // geometry.stride_w)
    return 128 * ((columns - 1) * geometry.stride_w + 3) + 188


def relu_row(
    low: int, high: int, bias: int, mult: int, shift: int, out_zp: int, output: Callable[[int], int]
) -> Row | None:
    """A row whose bytes below out_zp are clamped away: there both roundings are one rounding down.

        out = floor((acc * mult + 2^30 + 2^31 * (2^(right - 1) + out_zp * 2^right)) / 2^(31 + right))

    The kernel divides by 2^(32 + RELU_RIGHT) and has acc * 2^power in place of acc, so that it is this for
    right = RELU_RIGHT + 1 - power. A row of a larger right shift gets a multiplier of fewer bits, and a bias, for which
    no output changes on the accumulators that the weights can reach.

    Args:
        low, high: smallest and largest accumulator. output: what an accumulator must give.
    """
    power = RELU_RIGHT + 1 + shift
    if power in RELU_POWERS and max(-low, high) << power < 2**31:
        return bias << power, mult, power
    if power > RELU_POWERS[-1]:
        return None
    steps = [(k, _first(low, high, k, output)) for k in range(output(low) + 1, output(high) + 1)]
    for shorter in (6, 5, 7, 4, 8, 3, 2):
        start = (1 << (RELU_RIGHT - 1)) + (out_zp << RELU_RIGHT) + (1 << (shorter - 2))
        about = mult >> (shorter - power)
        for candidate in sorted(range(max(about - 8, 1), about + 9), key=lambda m: abs(m - about)):
            # acc * 2^shorter + more reaches output k at `acc`, and not at acc - 1
            needs = [-(-(((k << RELU_RIGHT) - start) << 32) // candidate) - (acc << shorter) for k, acc in steps]
            more = max(needs)
            if more < min(needs) + (1 << shorter) and (max(-low, high) << shorter) + abs(more) < 2**31:
                return (bias << shorter) + more, candidate, shorter
    return None


def _first(low: int, high: int, k: int, output: Callable[[int], int]) -> int:
    """The smallest accumulator in (low, high] whose output is at least k."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if output(middle) >= k else (middle, high)
    return high


def signed_row(low: int, high: int, bias: int, mult: int, shift: int) -> Row | None:
    """A row rounded twice, halves away from zero: bias and weights doubled."""
    worst = max(-low, high)
    if -shift in SIGNED_RIGHTS and worst < 2**30 and (worst * mult >> 31) + 1 < 2 ** (32 + shift):
        return 2 * bias, mult, -shift
    return None


def constant_row(value: int, relu: bool) -> Row:
    """Bytes out_zp + value whatever the input."""
    return (value << (RELU_RIGHT + 2) if relu else 16 * value), 2**30, 0


@lru_cache(maxsize=64)
def rows_of(params: LayerParams) -> tuple[Row, ...] | str:
    """The rows of a layer, or why there are none."""
    arrays = {array.member: array.data for array in params.arrays}
    rescale: Any = params.fields["rescale"]
    assert params.rows is not None
    zp, relu, found = int(rescale["out_zp"]), _is_relu(params), []
    lows, highs = reachable(np.ascontiguousarray(params.rows.T), arrays["rescale.bias"])
    numbers = (lows, highs, arrays["rescale.bias"], arrays["rescale.mult"], arrays["rescale.shift"])
    for i, (low, high, bias, mult, shift) in enumerate(zip(*(n.tolist() for n in numbers), strict=True)):

        def output(acc: int, mult: int = mult, shift: int = shift) -> int:
            rounded = numerics.requantize(np.array([acc]), np.array([mult]), np.array([shift]))
            return int(np.clip(int(rounded[0]) + zp, rescale["act_min"], rescale["act_max"]))

        row: Row | None
        if output(low) == output(high):
            row = constant_row(output(low) - zp, relu)
        elif relu:
            row = relu_row(low, high, bias, mult, shift, zp, output)
        else:
            row = signed_row(low, high, bias, mult, shift)
        if row is None:
            return f"row {i} shifts by {shift} at accumulators from {low} to {high}"
        found.append(row)
    return tuple(found)


def _is_relu(params: LayerParams) -> bool:
    rescale: Any = params.fields["rescale"]
    return bool(rescale["act_min"] >= rescale["out_zp"])


def obstacle(params: LayerParams) -> str | None:
    """What keeps a layer from the kernel: its window, its channels, or its numbers."""
    shape = params.fields["shape"]
    assert isinstance(shape, Mapping)
    window = tuple(shape[k] for k in ("kernel_h", "kernel_w", "dilation_h", "dilation_w"))
    if window != (3, 3, 1, 1):
        return "the window is not 3x3 without dilation"
    if shape["stride_h"] != shape["stride_w"] or shape["stride_w"] not in (1, 2):
        return f"the stride is {shape['stride_h']}x{shape['stride_w']}, not 1x1 or 2x2"
    if shape["in_ch"] != shape["out_ch"]:
        return "the depth multiplier is not 1"
    if params.geometry.rows < 4:
        return f"it takes 4 channels at a time, here are {params.geometry.rows}"
    rows = rows_of(params)
    return rows if isinstance(rows, str) else None


def pack(params: LayerParams, encoding: Encoding | None) -> Packed:
    """One record a channel: bias, multiplier, power and the nine weights in the order that unpacks fastest."""
    rescale, numbers = params.fields["rescale"], rows_of(params)
    assert isinstance(rescale, Mapping) and params.rows is not None and not isinstance(numbers, str)
    relu = _is_relu(params)
    power = np.array([row[2] for row in numbers])
    w = np.where(power > 0, params.rows, 0).astype(np.int64).reshape(3, 3, -1) + 128
    power = np.where(power > 0, power, 2)
    rows = np.zeros(w.shape[2], ROW)
    rows["bias"], rows["mult"] = [row[0] for row in numbers], [row[1] for row in numbers]
    none = np.zeros_like(power)
    order = (w[0, 0], w[0, 1], w[1, 0], w[1, 1], w[0, 2], power, w[2, 0], w[2, 1], w[1, 2], none, w[2, 2], none)
    rows["taps"] = np.stack(order, axis=1)
    walks = f"&mp_depthwise_{'relu' if relu else 'signed'}_{params.geometry.stride_w}"
    fields = {"shape": params.fields["shape"], "walks": walks, "rows": ""}
    fields |= {k: rescale[k] for k in ("out_zp", "act_min", "act_max")}
    inline = rows.nbytes - w.size
    return Packed(fields, (Array("rows", "mp_depthwise_row", rows),), int(w.size), inline_bytes=inline)


KERNELS = (
    Kernel("depthwise_conv2d_s8", "dense", "dsp", workspace, obstacle, pack, struct="mp_depthwise_conv2d_s8_dsp"),
)
