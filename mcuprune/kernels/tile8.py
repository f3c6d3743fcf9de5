"""Packing for kernels that walk a row of weights once for a tile of 8 positions: levels armv6m and armv7m."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from mcuprune import numerics
from mcuprune.encodings import Array, Encoding, Rows
from mcuprune.errors import EncodingError
from mcuprune.kernels.dsp_lanes import row_records
from mcuprune.kernels.kernel import Packed
from mcuprune.kernels.params import Geometry, LayerParams, Value

STRUCT = "mp_conv2d_s8_tile8"
MAX_COUNT = 65535
LONGEST_TAIL = 2
MAX_SKIP = 255


def sums_fit(params: LayerParams, bound: int) -> str | None:
    """Every |accumulator| of a row with weights stays below the bound of a kernel."""
    worst = max(compress(params.row_bound, live(params)), default=0)
    return f"an accumulator can reach {worst}, the kernel takes {bound - 1}" if worst >= bound else None


def constant_rows(params: LayerParams, dead: NDArray[np.bool_]) -> LayerParams:
    """The layer with small numbers in rows that have no weights.

    A model may have any bias there. Such a row gives one byte, and so does 4 * (byte - out_zp) scaled by 1/4.
    """
    if not dead.any():
        return params
    member = {a.member: a.data for a in params.arrays}
    rescale = params.fields["rescale"]
    assert isinstance(rescale, Mapping)
    bias, mult, shift = (member[f"rescale.{name}"].astype(np.int64) for name in ("bias", "mult", "shift"))
    out_zp = rescale["out_zp"]
    assert isinstance(out_zp, int)
    byte = np.clip(numerics.requantize(bias, mult, shift) + out_zp, -128, 127)
    small = {"bias": 4 * (byte - out_zp), "mult": np.full_like(mult, 2**30), "shift": np.full_like(shift, -1)}
    arrays = tuple(
        replace(a, data=np.where(dead, small[a.member.removeprefix("rescale.")], a.data).astype(a.data.dtype))
        for a in params.arrays
    )
    bound = tuple(0 if gone else worst for gone, worst in zip(dead, params.row_bound, strict=True))
    return replace(params, arrays=arrays, row_bound=bound)


def tile8_walks(geometry: Geometry) -> tuple[int, int]:
    """Tiles of 8 positions; one or two that are left are walked alone."""
    count, left = divmod(geometry.positions, 8)
    return (count, left) if left <= LONGEST_TAIL else (count + 1, 0)


def live(params: LayerParams) -> NDArray[np.bool_]:
    """Which output channels have a weight that is not zero."""
    assert params.rows is not None
    axis = 0 if params.family == "depthwise_conv2d_s8" else 1
    return np.asarray(params.rows.any(axis=axis))


def plain_fields(params: LayerParams) -> dict[str, Value]:
    """The members shape, out_zp, act_min and act_max."""
    rescale = params.fields["rescale"]
    assert isinstance(rescale, dict)
    return {"shape": params.fields["shape"], **{name: rescale[name] for name in ("out_zp", "act_min", "act_max")}}


def skip_pairs(row: np.ndarray) -> np.ndarray:
    """(skip, weight) pairs of a row, uint8 (n, 2): columns behind the entry before, bridged by (255, 0)."""
    pairs = []
    behind = 0  # column behind the last entry
    for column in np.flatnonzero(row).tolist():
        bridges, skip = divmod(column - behind, MAX_SKIP + 1)
        pairs += [(MAX_SKIP, 0)] * bridges + [(skip, int(row[column]) & 0xFF)]
        behind = column + 1
    return np.array(pairs, np.uint8).reshape(-1, 2)


def stream_of(rows: Rows, encoding: str) -> tuple[np.ndarray, np.ndarray]:
    """The stream of all rows, uint8, and how many entries each row has.

    Raises:
        EncodingError: a row has more entries than mp_row counts.
    """
    if encoding == "dense":
        stream, counts = rows.reshape(-1).view(np.uint8), np.full(len(rows), rows.shape[1])
    else:
        pairs = [skip_pairs(row) for row in rows]
        stream, counts = np.concatenate(pairs).reshape(-1), np.array([len(p) for p in pairs])
    if counts.max(initial=0) > MAX_COUNT:
        raise EncodingError(f"a row has {counts.max()} entries, a row record holds {MAX_COUNT}", hint="take ref")
    return stream, counts


def pack_tile8(params: LayerParams, encoding: Encoding | None) -> Packed:
    """mp_conv2d_s8_tile8 of a layer, dense or gap."""
    assert params.rows is not None and encoding is not None
    stream, counts = stream_of(np.ascontiguousarray(params.rows), encoding.name)
    fields = {**plain_fields(params), "rows": "", "stream": ""}
    params = constant_rows(params, ~live(params))
    records = row_records(params, np.arange(len(counts)), counts)
    arrays = (Array("rows", "mp_row", records), Array("stream", "uint8_t", stream))
    return Packed(fields, arrays, int(counts.sum()))
