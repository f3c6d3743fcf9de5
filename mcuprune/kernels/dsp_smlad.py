"""Convolutions with SMLAD (dsp level): rows as one stream of words, and the dense kernel's (conv2d_s8_dense_dsp.c).

Two rows a, b share a word: 16-bit lanes 256 * a + b of the two columns of a pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcuprune.encodings import Array, Encoding
from mcuprune.errors import EncodingError
from mcuprune.kernels.dsp_lanes import in_place
from mcuprune.kernels.dsp_requant import Requant, reachable, requant_rows
from mcuprune.kernels.kernel import Kernel, Packed, tiles
from mcuprune.kernels.params import Geometry, LayerParams, Value

Words = NDArray[np.uint32]
Pairs = Sequence[tuple[int, int]]
"""Columns that share a tile word, in the tile's order; up to two columns past the last one are zeros."""

SUM_BOUND = 2**22
"""Sums of the first row of two are what 32 bits hold of 512 times them."""
LANE_MIN = -(2**15)
ROWS = 4
STRUCT = "mp_conv2d_s8_smlad"


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """A layer's rows and what their sums become. weights: int64 (rows, cols), 0 where a row's bytes are constant."""

    weights: NDArray[np.int64]
    bias: NDArray[np.int64]
    requant: Requant


def ready_rows(params: LayerParams) -> Ready | str:
    """A layer's rows as any stream of words can hold them, or why none can.

    Every row may be the first of two, and any two neighbours may share words.
    """
    rows, member = params.rows, {array.member: array.data for array in params.arrays}
    rescale = params.fields["rescale"]
    assert rows is not None and isinstance(rescale, dict)
    bias = member["rescale.bias"].astype(np.int64)
    requant = requant_rows(
        *(rows, bias, member["rescale.mult"], member["rescale.shift"]),
        *(rescale["out_zp"], rescale["act_min"], rescale["act_max"]),
    )
    if isinstance(requant, str):
        return requant
    unknown = ~requant.constant  # what the others add up to does not matter
    ready = Ready(rows.astype(np.int64) * unknown[:, None], bias * unknown, requant)
    if (256 * ready.weights[:-1] + ready.weights[1:]).min(initial=0) < LANE_MIN:
        return "a weight of -128 lies beside a negative one of the row below"
    low, high = reachable(ready.weights, ready.bias)
    worst = int(np.maximum(-low, high + 1).max())
    return ready if worst <= SUM_BOUND else f"an accumulator can reach {worst}, the kernel holds {SUM_BOUND}"


def obstacle(params: LayerParams) -> str | None:
    """Why a layer's rows cannot share words; None where they can."""
    ready = ready_rows(params)
    return ready if isinstance(ready, str) else None


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Rows in the order of a stream; of two that share words, those at even places are the upper ones.

    order: the layer's row at each place, -1 for one of zeros. weights: int64 (places, cols + 2), the last two columns
    zero; bias, mult, half, right: int64, one a place.
    """

    order: NDArray[np.int64]
    weights: NDArray[np.int64]
    bias: NDArray[np.int64]
    mult: NDArray[np.int64]
    half: NDArray[np.int64]
    right: NDArray[np.int64]
    signed: bool

    @property
    def cols(self) -> int:
        return int(self.weights.shape[1]) - 2

    def lanes(self, pairs: Pairs) -> Words:
        """Weight words (places / 2, pairs)."""
        both = (256 * self.weights[0::2] + self.weights[1::2]) & 0xFFFF
        low, high = np.array(pairs).T
        return words(both[:, low] | both[:, high] << 16)

    def starts(self) -> Words:
        """(places / 2, 2): what the doubled sums begin with."""
        upper, lower = self.bias[0::2], self.bias[1::2]
        return np.stack([words(2 * (256 * upper + lower)), words(2 * lower)], axis=1)

    def ending(self, place: int, count: int, flags: int) -> Words:
        """mult and half of the first of some rows, their shifts with flags, mult and half of the others."""
        shifts = int(self.right[place]) | int(self.signed) << 31 | flags
        for i in range(1, count):
            shifts |= int(self.right[place + i]) << (1 + 8 * i)
        others = np.stack([self.mult, self.half], axis=1)[place + 1 : place + count]
        return np.concatenate([words([self.mult[place], self.half[place], shifts]), words(others.reshape(-1))])


def words(values: NDArray[np.int64] | Sequence[int]) -> Words:
    """int64 modulo 2**32."""
    return (np.asarray(values, np.int64) & 0xFFFFFFFF).astype(np.uint32)


LAST = 1 << 8
"""Flag among the shifts: the last rows of a call."""


def stream(params: LayerParams, order: NDArray[np.int64]) -> Stream:
    """Rows in the order of a stream.

    Raises:
        EncodingError: they cannot share words; obstacle() says so before.
    """
    ready = ready_rows(params)
    if isinstance(ready, str):
        raise EncodingError(ready, hint="take another kernel")

    def taken(values: NDArray[np.int64], otherwise: int) -> NDArray[np.int64]:
        return np.where(order < 0, otherwise, values[order])

    weights = np.zeros((len(order), ready.weights.shape[1] + 2), np.int64)
    weights[:, :-2] = np.where((order < 0)[:, None], 0, ready.weights[order])
    requant = ready.requant
    half, right = taken(requant.half, 1), taken(requant.right, 1)
    if not requant.signed:  # wide sums
        half[0::2] = 256 * half[0::2] + 128
        right[0::2] += 8
    return Stream(order, weights, taken(ready.bias, 0), taken(requant.mult, 0), half, right, requant.signed)


def packed(
    params: LayerParams, parts: Sequence[Words], entries: int, inline_bytes: int, fields: Mapping[str, Value]
) -> Packed:
    """mp_conv2d_s8_smlad. inline_bytes: of biases, multipliers and shifts. fields: members that are not 0."""
    rescale = params.fields["rescale"]
    assert isinstance(rescale, dict)
    shared: dict[str, Value] = {"shape": params.fields["shape"]}
    shared |= {"act_min": rescale["act_min"], "act_max": rescale["act_max"]}
    shared |= {"last_alone": 0, "run_count": 0, "runs": "0", "rows": ""}
    rows = Array("rows", "uint32_t", np.concatenate(parts))
    return Packed({**shared, **fields}, (rows,), entries, inline_bytes=inline_bytes)


def stretches(params: LayerParams, even_odd: bool) -> list[int]:
    """mp_rows_apart(): lengths of the stretches of columns that are cut into pairs one by one.

    Args:
        even_odd: MP_EVEN_ODD, else MP_NEXT.
    """
    shape, cols = params.fields["shape"], params.geometry.cols
    assert isinstance(shape, dict)
    row = shape["kernel_w"] * shape["in_ch"]
    apart = row % 2 == 0 or (even_odd and row >= 7)
    return [row] * (cols // row) if apart and not params.geometry.pointwise else [cols]


def pairs_even_odd(lengths: Sequence[int]) -> Pairs:
    """MP_EVEN_ODD of tile_s8_dsp.h over stretches of columns; at least two pairs."""
    found: list[tuple[int, int]] = []
    at, cols = 0, sum(lengths)
    for length in lengths:
        whole = at + length - length % 4
        found += [pair for g in range(at, whole, 4) for pair in ((g, g + 2), (g + 1, g + 3))]
        at += length
        found += [(c, c + 1 if c + 1 < at else cols) for c in range(whole, at, 2)]
    return found if len(found) > 1 else [*found, (cols, cols)]


def pack_dense(params: LayerParams, encoding: Encoding | None) -> Packed:
    """Four rows after four; a first four that is not full begins with rows of zeros."""
    count, rest = params.geometry.rows, params.geometry.rows % ROWS
    zeros = np.full(-count % ROWS, -1)
    rows = stream(params, np.concatenate([zeros, np.arange(count - rest, count), np.arange(count - rest)]))
    lanes, starts = rows.lanes(pairs_even_odd(stretches(params, even_odd=True))), rows.starts()
    parts, inline = [], starts.nbytes
    for place in range(0, len(rows.order), ROWS):
        two = slice(place // 2, place // 2 + 2)
        both = lanes[two].T.reshape(-1)
        last = place + ROWS == len(rows.order) or (place == 0 and rest > 0)
        ending = rows.ending(place, ROWS, LAST * last)
        parts += [both[:2], starts[two].reshape(-1), both[2:], ending]
        inline += ending.nbytes
    return packed(params, parts, 4 * lanes.size, inline, {})


def column(geometry: Geometry) -> int:
    """mp_column_bytes(): an im2col column in whole words, none for a pointwise convolution."""
    return 0 if geometry.pointwise else -(-geometry.cols // 4) * 4


def _workspace(geometry: Geometry) -> int:
    cols = geometry.cols
    pairs = -(-4 * cols // 7) if geometry.in_ch % 2 and not geometry.pointwise else -(-cols // 2)
    return 8 * max(pairs, 2) + column(geometry)


KERNELS: tuple[Kernel, ...] = (
    Kernel("conv2d_s8", "dense", "dsp", _workspace, obstacle, pack_dense, tiles(2, 1), in_place, STRUCT),
)
