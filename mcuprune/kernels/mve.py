"""Kernels for cores with integer vectors (MVE): Cortex-M55, M85."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mcuprune.encodings import Array, Encoding, Rows
from mcuprune.encodings.gaps import gap_stream
from mcuprune.kernels.column_groups import group_starts, grouped, most_groups
from mcuprune.kernels.kernel import Kernel, Packed, tiles
from mcuprune.kernels.params import Geometry, LayerParams, Value

LANES = 16
"""int8 values of a vector."""

MAX_CUT_COLUMNS = 8192
"""Columns that are cut into groups: the cut takes time and memory with their square, and `starts` holds 16 bits."""

_SUMS_BYTES = 4 * 64 * 4  # MP_TILE_SUMS: 64 rows at 4 positions


def _vectors(values: int) -> int:
    return -(-values // LANES)


def _filled(rows: Rows, height: int, width: int) -> Rows:
    """Zeros added until both sizes are multiples."""
    down, across = -rows.shape[0] % height, -rows.shape[1] % width
    return np.pad(rows, ((0, down), (0, across)))


def _rescale_right(params: LayerParams) -> tuple[tuple[Array, ...], bool]:
    """Parameter arrays in which flushed rows (multiplier 0) have shift -1, and whether every shift is to the right."""
    arrays = {array.member: array for array in params.arrays}
    mult, shift = arrays["rescale.mult"].data, arrays["rescale.shift"].data
    shift = np.where(mult == 0, -1, shift).astype(np.int8)
    arrays["rescale.shift"] = replace(arrays["rescale.shift"], data=shift)
    return tuple(arrays.values()), bool((shift <= -1).all())


def _many_columns(params: LayerParams) -> str | None:
    """Rows that are too long to be cut."""
    cols = params.geometry.cols
    return None if cols <= MAX_CUT_COLUMNS else f"rows of {cols} columns: at most {MAX_CUT_COLUMNS}"


def _pack_blocks(params: LayerParams, encoding: Encoding | None) -> Packed:
    """Blocks of up to 16 columns that start where it leaves the fewest of them."""
    assert params.rows is not None
    starts = group_starts(params.rows)
    lanes = grouped(params.rows, starts)
    kept: npt.NDArray[np.bool_] = np.any(lanes, axis=2)
    stream = gap_stream(kept)
    values = np.zeros((len(stream.gaps), LANES), np.int8)
    values[stream.entry] = lanes[kept]
    arrays, only_right = _rescale_right(params)
    own = (
        Array("weights.starts", "uint16_t", starts.astype(np.uint16)),
        Array("weights.row_blocks", "uint16_t", stream.counts.astype(np.uint16)),
        Array("weights.gap", "uint8_t", stream.gaps),
        Array("weights.values", "int8_t", values.reshape(-1)),
    )
    weights: dict[str, Value] = {**dict.fromkeys(("starts", "row_blocks", "gap", "values"), ""), "groups": len(starts)}
    fields: dict[str, Value] = {**params.fields, "weights": weights, "only_right": int(only_right)}
    return Packed(fields, (*arrays, *own), len(stream.gaps))


def _packed(params: LayerParams, weights: npt.NDArray[np.int8], entries: int) -> Packed:
    """Weights laid out anew beside the parameters, and what the shifts allow."""
    arrays, only_right = _rescale_right(params)
    fields: dict[str, Value] = {**params.fields, "weights": {"weights": ""}, "only_right": int(only_right)}
    return Packed(fields, (*arrays, Array("weights.weights", "int8_t", weights.reshape(-1))), entries)


def _pack_pairs(params: LayerParams, encoding: Encoding | None) -> Packed:
    """Rows in pairs: for each 16 columns 16 weights of the one row, then 16 of the other."""
    assert params.rows is not None
    rows = _filled(params.rows, 2, LANES)
    pairs = rows.reshape(rows.shape[0] // 2, 2, -1, LANES).transpose(0, 2, 1, 3)
    return _packed(params, pairs, rows.size // LANES)


def _column_tile(geometry: Geometry) -> int:
    """mp_conv2d_s8_dense_mve_workspace(): the sums of 64 rows, then four columns in whole vectors."""
    return _SUMS_BYTES + 4 * LANES * _vectors(geometry.cols)


def _block_tile(geometry: Geometry) -> int:
    """mp_conv2d_s8_block1x16_mve_workspace(): the sums of 64 rows, groups of eight columns, and a gathered column."""
    column = 0 if geometry.pointwise else LANES * _vectors(geometry.cols)
    return 2 * _SUMS_BYTES + 8 * LANES * most_groups(geometry.cols) + column


def _shrinks(params: LayerParams) -> bool:
    """A pointwise layer reads a tile before it writes it."""
    return params.geometry.pointwise and params.geometry.rows <= params.geometry.cols


def _shape(params: LayerParams) -> dict[str, int]:
    shape = params.fields["shape"]
    assert isinstance(shape, Mapping)
    return {name: value for name, value in shape.items() if isinstance(value, int)}


def _strip_obstacle(params: LayerParams) -> str | None:
    """A window lies in a vector, and the strips of its columns within reach of one another."""
    s = _shape(params)
    height, width = s["kernel_h"], s["kernel_w"]
    if height > 4 or height * width > LANES or height * s["stride_w"] > 24:
        return f"windows of {height}x{width} and stride {s['stride_w']}: at most 4 rows, 16 taps, and rows * stride 24"
    if s["out_ch"] != s["in_ch"] or s["dilation_h"] != 1 or s["dilation_w"] != 1:
        return "a depth multiplier or dilation"
    return None


def _strips(geometry: Geometry) -> int:
    """mp_depthwise_conv2d_s8_dense_mve_workspace(): strips of 16 channels, their weights four times, four turns."""
    return 16 * 40 + 4 * LANES * (16 + 1)


def _pack_taps(params: LayerParams, encoding: Encoding | None) -> Packed:
    """Taps of a channel together, column by column."""
    assert params.rows is not None
    s = _shape(params)
    taps = params.rows.reshape(s["kernel_h"], s["kernel_w"], -1).transpose(2, 1, 0)
    return _packed(params, taps, taps.size)


def _large_window(params: LayerParams) -> str | None:
    """Sums of int8 in lanes of 16 bits."""
    s = _shape(params)
    taps = s["kernel_h"] * s["kernel_w"]
    return None if taps <= 255 else f"a window of {taps} taps: at most 255"


def _unlike_rows(params: LayerParams) -> str | None:
    """Elements of a row are read as they lie, or one is repeated; multipliers do not shift to the left."""
    strides = (params.fields["stride1"], params.fields["stride2"])
    if not all(isinstance(stride, tuple) and stride[3] in (0, 1) for stride in strides):
        return "elements that do not lie together"
    shifts = [params.fields[name] for name in ("shift1", "shift2", "out_shift")]
    return None if all(isinstance(shift, int) and shift <= 0 for shift in shifts) else f"shifts {shifts}"


KERNELS: tuple[Kernel, ...] = (
    Kernel(
        "conv2d_s8",
        "dense",
        "mve",
        _column_tile,
        pack=_pack_pairs,
        walks=tiles(4, 1),
        in_place=_shrinks,
        struct="mp_conv2d_s8_dense16",
    ),
    Kernel(
        "conv2d_s8",
        "block1x16",
        "mve",
        _block_tile,
        _many_columns,
        _pack_blocks,
        walks=tiles(8, 2),
        in_place=_shrinks,
        struct="mp_conv2d_s8_block16",
    ),
    Kernel(
        "depthwise_conv2d_s8",
        "dense",
        "mve",
        _strips,
        _strip_obstacle,
        _pack_taps,
        struct="mp_depthwise_conv2d_s8_taps16",
    ),
    Kernel("fully_connected_s8", "dense", "mve"),
    Kernel("average_pool_s8", "", "mve", obstacle=_large_window),
    Kernel("add_s8", "", "mve", obstacle=_unlike_rows),
)
