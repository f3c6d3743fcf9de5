"""Sparse kernels for the DSP extension, two output positions in a word (lanes): how their rows are laid out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcuprune.encodings import Array, Encoding, Rows, rice
from mcuprune.encodings.gaps import MAX_GAP, gap_stream
from mcuprune.errors import EncodingError
from mcuprune.kernels.kernel import Kernel, Packed
from mcuprune.kernels.params import Geometry, LayerParams, Value
from mcuprune.kernels.ref import two_columns

LANE_BOUND = 2**22
"""Two sums share 64 bits: the lower one is read back as a signed 23-bit number."""
SUM_BOUND = 2**30
"""Kernels double a sum before they round it."""
MAX_COUNT = 65535
PAIRS, STEPS, MAX_PAIR = 6, 16, 4095
"""Pairs of four columns, steps of a turn, and the largest number of a row's first pair."""
TURN, MAX_FIRST = 32, 2047
"""Pairs of a turn, and the largest column of a first pair: how mp_row.pairs is made up."""
AHEAD = 8
"""MP_GAP_AHEAD: bytes of 0 behind the last pair."""
WORD = 4
"""Bytes behind the last code that kernels read."""
TILES_BYTES = 36 * 1024
"""What tiles may take in kernels that decode a row once for many."""
ROW = np.dtype([("bias", "<i4"), ("mult", "<i4"), ("right", "u1"), ("flags", "u1"), ("pairs", "<u2")])
"""mp_row."""
MORE, LATER, PLAIN, SIGNED = 1, 2, 4, 8
"""Bits of mp_row.flags."""


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Rows, cut where a lane would not hold their sums. rows: int8 (parts, cols); of: the row of each part."""

    rows: Rows
    of: NDArray[np.int64]


def lane_parts(rows: Rows, bias: NDArray[np.int32]) -> Parts:
    """Parts with |bias| + 128 * sum|part| < 2^22, the first one with the bias; most rows are one part.

    Raises:
        EncodingError: a bias alone does not fit.
    """
    room = (LANE_BOUND - 1 - np.abs(bias.astype(np.int64))) // 128
    if room.min(initial=0) < 0:
        raise EncodingError(
            f"a bias of {np.abs(bias.astype(np.int64)).max()} does not fit in a lane, which holds {LANE_BOUND - 1}",
            hint="take a dense kernel",
        )
    magnitude = np.abs(rows.astype(np.int64))
    if (magnitude.sum(axis=1) <= room).all():
        return Parts(rows, np.arange(len(rows)))
    parts, of = [], []
    for index, (row, sizes) in enumerate(zip(rows, magnitude, strict=True)):
        start, left = 0, int(room[index])
        while True:
            end = start + int(np.searchsorted(np.cumsum(sizes[start:]), left, side="right"))
            part = np.zeros_like(row)
            part[start:end] = row[start:end]
            parts.append(part)
            of.append(index)
            if end == len(row):
                break
            start, left = end, (LANE_BOUND - 1) // 128
    return Parts(np.array(parts, np.int8), np.array(of))


def row_records(params: LayerParams, of: NDArray[np.int64], pairs: NDArray[np.int64]) -> NDArray[np.void]:
    """The rows' parameters as mp_row. of: the row of each part; pairs: the member of each part."""
    member = {array.member: array.data for array in params.arrays}
    rescale: Any = params.fields["rescale"]
    mult, shift = member["rescale.mult"][of], member["rescale.shift"].astype(np.int64)[of]
    shift = np.where(mult == 0, -1, shift)  # 0 at any shift
    later = np.concatenate([[False], of[1:] == of[:-1]])[: len(of)]
    more = np.concatenate([of[1:] == of[:-1], [False]])[: len(of)]
    records = np.zeros(len(of), ROW)
    records["bias"] = np.where(later, 0, member["rescale.bias"][of])
    records["mult"] = mult
    records["right"] = -shift & 255
    relu = bool(rescale["act_min"] >= rescale["out_zp"])
    signed = ~((shift >= -14) & (shift <= -1)) if relu else np.ones(len(of), bool)
    records["flags"] = MORE * more + LATER * later + PLAIN * ((shift > -1) | (shift < -22)) + SIGNED * signed
    records["pairs"] = pairs
    return records


def row_fields(params: LayerParams, count: int) -> dict[str, Value]:
    """Members of mp_row_table: `rows` is put in with its array."""
    rescale: Any = params.fields["rescale"]
    return {"rows": "", "count": count, **{key: rescale[key] for key in ("out_zp", "act_min", "act_max")}}


def sums_hold(params: LayerParams) -> str | None:
    """Rows whose lanes overflow are cut; the whole sum is doubled in 32 bits."""
    worst = max(params.row_bound, default=0)
    return None if worst < SUM_BOUND else f"an accumulator can reach {worst}, the kernel doubles below {SUM_BOUND}"


def gap_pairs(rows: Rows) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pairs {gap, value} of all rows, with what is read ahead, and mp_row.pairs of each row.

    A row has at least one pair; its first one stands below column MAX_FIRST + 1.
    """
    kept = rows != 0
    starts = np.minimum(kept.argmax(axis=1), MAX_FIRST)
    kept[np.arange(len(rows)), starts] = True
    stream = gap_stream(kept, starts)
    count = len(stream.gaps)
    pairs = np.zeros((count + AHEAD // 2, 2), np.uint8)
    pairs[:count, 0] = stream.gaps
    pairs[:count, 1][stream.entry] = rows[kept].view(np.uint8)
    return pairs, starts * TURN + stream.counts % TURN


def pack_gap(params: LayerParams, encoding: Encoding | None) -> Packed:
    """mp_conv2d_s8_gap_lanes.

    Raises:
        EncodingError: a bias does not fit in a lane.
    """
    assert params.rows is not None
    bias = next(array.data for array in params.arrays if array.member == "rescale.bias")
    parts = lane_parts(params.rows, bias)
    pairs, places = gap_pairs(parts.rows)
    records = row_records(params, parts.of, places)
    fields: dict[str, Value] = {"shape": params.fields["shape"], "table": row_fields(params, len(records)), "pairs": ""}
    arrays = (Array("table.rows", "mp_row", records), Array("pairs", "uint8_t", pairs.reshape(-1)))
    return Packed(fields, arrays, len(pairs) - AHEAD // 2)


def pack_rice(params: LayerParams, encoding: Encoding | None) -> Packed:
    """mp_conv2d_s8_rice_lanes: the encoding's own bits and nonzeros; mp_row.pairs is how many a row decodes to."""
    assert params.rows is not None and encoding is not None
    encoded = encoding.encode(params.rows)
    rows = np.arange(len(params.rows))
    of_nonzero = np.nonzero(params.rows)[0]
    pairs = np.bincount(of_nonzero, 1 + rice.skips(params.rows) // MAX_GAP, len(rows)).astype(np.int64)
    if pairs.max(initial=0) > MAX_COUNT:
        raise EncodingError(f"a row has {pairs.max()} pairs, rice decodes to {MAX_COUNT}", hint="take dense")
    bits = np.concatenate([encoded.array("bits"), np.zeros(WORD, np.uint8)])
    fields: dict[str, Value] = {
        "shape": params.fields["shape"],
        "table": row_fields(params, len(rows)),
        "bits": "",
        "nz": "",
        "k": encoded.scalars["k"],
    }
    arrays = (
        Array("table.rows", "mp_row", row_records(params, rows, pairs)),
        Array("bits", "uint8_t", bits),
        Array("nz", "int8_t", encoded.array("nz")),
    )
    return Packed(fields, arrays, int(pairs.sum()))


def lanes_hold(params: LayerParams) -> str | None:
    """For kernels that do not cut rows."""
    worst = max(params.row_bound, default=0)
    return None if worst < LANE_BOUND else f"an accumulator can reach {worst}, a lane holds {LANE_BOUND - 1}"


def pack_fully_connected(params: LayerParams, encoding: Encoding | None) -> Packed:
    """mp_fully_connected_s8_gap_places."""
    assert params.rows is not None
    pairs, places = gap_pairs(params.rows)
    arrays = (Array("places", "uint16_t", places.astype(np.uint16)), Array("pairs", "uint8_t", pairs.reshape(-1)))
    fields = {**params.fields, "places": "", "pairs": ""}
    return Packed(fields, (*params.arrays, *arrays), len(pairs) - AHEAD // 2)


def pack_steps(params: LayerParams, encoding: Encoding | None) -> Packed:
    """mp_conv2d_s8_nm2x4_steps.

    Raises:
        EncodingError: the rows have another pattern.
    """
    assert params.rows is not None and encoding is not None
    encoded = encoding.encode(params.rows)
    places = encoded.array("places").reshape(len(params.rows), -1).astype(np.int64)
    count, groups = places.shape
    used = places < PAIRS
    chosen = np.zeros((count, groups, PAIRS), bool)
    np.put_along_axis(chosen, np.minimum(places, PAIRS - 1)[:, :, None], used[:, :, None], axis=2)
    kept = chosen.reshape(count, -1)
    starts = np.minimum(kept.argmax(axis=1), MAX_PAIR)
    kept[np.arange(count), starts] = True  # a row has a step, and starts where its number can say
    stream = gap_stream(kept, starts)
    first = np.cumsum(stream.counts) - stream.counts
    steps = np.zeros((len(stream.gaps) + 1, 4), np.uint8)
    steps[:-1, 0] = stream.gaps - 1
    steps[first, 0] = 0
    steps[first, 2] = steps[-1, 2] = 1
    weights = np.zeros((count, groups, PAIRS, 2), np.int8)
    values = encoded.array("values").reshape(count, groups, 1, 2)
    np.put_along_axis(weights, np.minimum(places, PAIRS - 1)[:, :, None, None], values, axis=2)
    steps[:-1][stream.entry, 1::2] = weights.reshape(count, -1, 2)[kept].view(np.uint8)
    records = row_records(params, np.arange(count), starts * STEPS + stream.counts % STEPS)
    fields: dict[str, Value] = {"shape": params.fields["shape"], "table": row_fields(params, count), "steps": ""}
    arrays = (
        Array("table.rows", "mp_row", records),
        Array("steps", "uint32_t", steps.reshape(-1).view("<u4")),
    )
    return Packed(fields, arrays, len(steps) - 1)


def _pair_tile(geometry: Geometry) -> int:
    """mp_conv2d_s8_nm2x4_dsp_workspace(): six pairs of each four columns at 8 positions, an im2col column."""
    return 8 * 4 * PAIRS * (geometry.cols // 4) + (0 if geometry.pointwise else geometry.cols)


def walks(geometry: Geometry) -> tuple[int, int]:
    """Tiles of 8 positions, but one or two that are left are done one by one."""
    count, left = divmod(geometry.positions, 8)
    return (count + 1, 0) if left > 2 else (count, left)


def in_place(params: LayerParams) -> bool:
    """A tile is read before its outputs are written, and they end before the next tile begins."""
    return params.geometry.pointwise and params.geometry.rows <= params.geometry.in_ch


def _tile(geometry: Geometry) -> int:
    """mp_conv2d_s8_gap_dsp_workspace(): 16 bytes a column for 8 positions, behind it the im2col columns."""
    return 16 * geometry.cols + two_columns(geometry)


def _tiles(geometry: Geometry) -> int:
    """mp_conv2d_s8_rice_dsp_workspace(): tiles of all or many positions, a decoded row, two columns."""
    tile = 16 * geometry.cols
    tiles = min(8, (geometry.positions + 5) // 8, max(1, TILES_BYTES // tile))
    return tiles * tile + 8 * -(-geometry.cols // 2) + 8


KERNELS: tuple[Kernel, ...] = (
    Kernel(
        "conv2d_s8",
        "gap",
        "dsp",
        _tile,
        sums_hold,
        pack_gap,
        walks,
        in_place,
        "mp_conv2d_s8_gap_lanes",
    ),
    Kernel(
        "conv2d_s8",
        "rice",
        "dsp",
        _tiles,
        lanes_hold,
        pack_rice,
        walks,
        in_place,
        "mp_conv2d_s8_rice_lanes",
    ),
    Kernel(
        "conv2d_s8",
        "nm2x4",
        "dsp",
        _pair_tile,
        sums_hold,
        pack_steps,
        walks,
        in_place,
        "mp_conv2d_s8_nm2x4_steps",
    ),
    Kernel("fully_connected_s8", "gap", "dsp", pack=pack_fully_connected, struct="mp_fully_connected_s8_gap_places"),
)
