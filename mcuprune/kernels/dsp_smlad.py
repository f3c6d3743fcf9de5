"""Convolutions with SMLAD (dsp level): rows as one stream of words, formats in firmware/kernels/*_dsp.[ch].

Two rows a, b share a word: 16-bit lanes 256 * a + b of the two columns of a pair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcuprune.encodings import Array, Encoding
from mcuprune.encodings.nm import PAIRS_OF_FOUR, pair_choices
from mcuprune.errors import EncodingError
from mcuprune.kernels.dsp_lanes import in_place
from mcuprune.kernels.dsp_requant import Requant, reachable, requant_rows
from mcuprune.kernels.kernel import Kernel, Packed, tiles
from mcuprune.kernels.params import Geometry, LayerParams

Words = NDArray[np.uint32]
Pairs = Sequence[tuple[int, int]]
"""Columns that share a tile word, in the tile's order; up to two columns past the last one are zeros."""

SUM_BOUND = 2**22
"""Sums of the first row of two are what 32 bits hold of 512 times them."""
LANE_MIN = -(2**15)
TURN_STEPS, GROUP_STEPS = 16, 4
MAX_GAP = 127
MAX_FIRST = 4095
DENSE_ROWS, PAIR_ROWS = 4, 2


def pairs_even_odd(cols: int) -> Pairs:
    """MP_EVEN_ODD of tile_s8_dsp.h; at least two pairs, as the dense kernel has them."""
    whole = cols - cols % 4
    found = [pair for g in range(0, whole, 4) for pair in ((g, g + 2), (g + 1, g + 3))]
    found += [(c, c + 1) for c in range(whole, cols, 2)]
    return found if len(found) > 1 else [*found, (cols, cols)]


def pairs_next(cols: int) -> Pairs:
    """MP_NEXT."""
    return [(c, c + 1) for c in range(0, cols, 2)]


def pairs_six(cols: int) -> Pairs:
    """MP_SIX."""
    return [(g + a, g + b) for g in range(0, cols, 4) for a, b in PAIRS_OF_FOUR]


@dataclass(frozen=True, slots=True, eq=False)
class StreamRows:
    """Rows in the order of the stream, in groups of 2 or 4; a first group that is not full begins with rows of zeros.

    weights: int64 (rows, cols + 2), the last two columns zero; bias, mult, half, right: int64, one a row; ends: first
    rows of the groups that are the last ones of a call.
    """

    weights: NDArray[np.int64]
    bias: NDArray[np.int64]
    mult: NDArray[np.int64]
    half: NDArray[np.int64]
    right: NDArray[np.int64]
    signed: bool
    ends: frozenset[int]

    @property
    def cols(self) -> int:
        return int(self.weights.shape[1]) - 2

    def kept(self) -> NDArray[np.bool_]:
        """(row pairs, cols): columns that hold a nonzero of either row."""
        return np.asarray(self.weights[:, : self.cols].reshape(-1, 2, self.cols).any(axis=1), bool)

    def lanes(self, pairs: Pairs) -> Words:
        """Weight words (row pairs, pairs)."""
        both = (256 * self.weights[0::2] + self.weights[1::2]) & 0xFFFF
        low, high = np.array(pairs).T
        return _words(both[:, low] | both[:, high] << 16)

    def starts(self) -> Words:
        """(row pairs, 2): what the doubled sums begin with."""
        upper, lower = self.bias[0::2], self.bias[1::2]
        return np.stack([_words(2 * (256 * upper + lower)), _words(2 * lower)], axis=1)

    def requant(self, row: int, group: int) -> Words:
        """mult and half of the first row of a group, shifts, mult and half of the others."""
        shifts = int(self.right[row]) | int(row in self.ends) << 8 | int(self.signed) << 31
        for i in range(1, group):
            shifts |= int(self.right[row + i]) << (1 + 8 * i)
        others = np.stack([self.mult, self.half], axis=1)[row + 1 : row + group]
        return np.concatenate([_words([self.mult[row], self.half[row], shifts]), _words(others.reshape(-1))])


def _words(values: NDArray[np.int64] | Sequence[int]) -> Words:
    return (np.asarray(values, np.int64) & 0xFFFFFFFF).astype(np.uint32)


def stream_rows(params: LayerParams, group: int) -> StreamRows | str:
    """A layer's rows made ready for a stream, or why its kernel cannot hold them.

    Args:
        group: rows that go together, 2 or 4.
    """
    rows, member = params.rows, {array.member: array.data for array in params.arrays}
    rescale = params.fields["rescale"]
    assert rows is not None and isinstance(rescale, dict)
    bias = member["rescale.bias"].astype(np.int64)
    requant = requant_rows(
        *(rows, bias, member["rescale.mult"], member["rescale.shift"]),
        *(rescale["out_zp"], rescale["act_min"], rescale["act_max"]),
    )
    return requant if isinstance(requant, str) else _in_groups(rows, bias, requant, group)


def _in_groups(rows: NDArray[np.int8], bias: NDArray[np.int64], requant: Requant, group: int) -> StreamRows | str:
    count, rest = len(rows), len(rows) % group
    order = np.concatenate([np.full(-count % group, -1), np.arange(count - rest, count), np.arange(count - rest)])

    def taken(values: NDArray[np.int64], otherwise: int) -> NDArray[np.int64]:
        return np.where(order < 0, otherwise, values[order])

    unknown = ~requant.constant  # what the others add up to does not matter
    weights = np.zeros((len(order), rows.shape[1] + 2), np.int64)
    weights[:, :-2] = np.where((order < 0)[:, None], 0, (rows.astype(np.int64) * unknown[:, None])[order])
    sums = taken(bias * unknown, 0)
    if (256 * weights[0::2] + weights[1::2]).min() < LANE_MIN:
        return "a weight of -128 lies beside a negative one of the row below"
    low, high = reachable(weights[0::2], sums[0::2])
    worst = int(np.maximum(-low, high + 1).max())
    if worst > SUM_BOUND:
        return f"an accumulator can reach {worst}, the kernel holds {SUM_BOUND}"
    mult, half, right = taken(requant.mult, 0), taken(requant.half, 1), taken(requant.right, 1)
    if not requant.signed:
        half[0::2] = 256 * half[0::2] + 128
        right[0::2] += 8
    last = len(order) - group
    return StreamRows(weights, sums, mult, half, right, requant.signed, frozenset({0, last} if rest else {last}))


def _obstacle(group: int) -> Callable[[LayerParams], str | None]:
    def obstacle(params: LayerParams) -> str | None:
        ready = stream_rows(params, group)
        return ready if isinstance(ready, str) else None

    return obstacle


def _ready(params: LayerParams, group: int) -> StreamRows:
    ready = stream_rows(params, group)
    if isinstance(ready, str):
        raise EncodingError(ready, hint="take another kernel")
    return ready


def _packed(params: LayerParams, stream: list[Words], entries: int) -> Packed:
    rescale = params.fields["rescale"]
    assert isinstance(rescale, dict)
    fields = {"shape": params.fields["shape"], "act_min": rescale["act_min"], "act_max": rescale["act_max"], "rows": ""}
    return Packed(fields, (Array("rows", "uint32_t", np.concatenate(stream)),), entries)


def pack_dense(params: LayerParams, encoding: Encoding | None) -> Packed:
    """Stream of conv2d_s8_dense_dsp.c."""
    ready = _ready(params, DENSE_ROWS)
    lanes, starts = ready.lanes(pairs_even_odd(ready.cols)), ready.starts()
    stream = []
    for i in range(0, len(lanes), 2):
        both = lanes[i : i + 2].T.reshape(-1)
        stream += [both[:2], starts[i : i + 2].reshape(-1), both[2:], ready.requant(2 * i, DENSE_ROWS)]
    return _packed(params, stream, 4 * lanes.size)


def pack_blocks(params: LayerParams, encoding: Encoding | None) -> Packed:
    """Stream of pairs_dsp.h: blocks of 2x2 that hold a nonzero."""
    ready = _ready(params, PAIR_ROWS)
    return _pack_pairs(params, ready, pairs_next(ready.cols), lambda nonzero: np.unique(np.flatnonzero(nonzero) // 2))


def pack_nm(params: LayerParams, encoding: Encoding | None) -> Packed:
    """Stream of pairs_dsp.h: one pair of each four columns that hold a nonzero.

    Raises:
        EncodingError: four columns of two rows hold more than two nonzero columns.
    """
    ready = _ready(params, PAIR_ROWS)
    choices = iter(pair_choices(ready.kept()))
    return _pack_pairs(params, ready, pairs_six(ready.cols), lambda _: np.flatnonzero(next(choices)))


def _pack_pairs(
    params: LayerParams,
    ready: StreamRows,
    pairs: Pairs,
    used: Callable[[NDArray[np.bool_]], NDArray[np.int64]],
) -> Packed:
    """used: indices of the pairs that two rows list, by whether a column holds a nonzero of either."""
    lanes, starts = ready.lanes(pairs), ready.starts()
    stream, entries = [], 0
    for i, (words, kept) in enumerate(zip(lanes, ready.kept(), strict=True)):
        listed = used(kept).tolist()
        first, steps = steps_of(listed, words)
        stream += [pair_words(first, words[first], starts[i], steps), ready.requant(2 * i, PAIR_ROWS)]
        entries += 1 + len(steps)
    return _packed(params, stream, entries)


def steps_of(listed: Sequence[int], words: Words) -> tuple[int, list[tuple[int, int]]]:
    """The first pair, and distance and weights of each further step; long distances are bridged by weights of 0."""
    first, rest = (listed[0], listed[1:]) if listed and listed[0] <= MAX_FIRST else (0, listed)
    steps, at = [], first
    for index in rest:
        bridges = (index - at - 1) // MAX_GAP
        steps += [(MAX_GAP, 0)] * bridges
        steps.append((index - at - MAX_GAP * bridges, int(words[index])))
        at = index
    return first, steps


def pair_words(first: int, weights: np.uint32, start: Words, steps: Sequence[tuple[int, int]]) -> Words:
    """Two rows up to their multipliers. steps: distance and weights."""
    lacks = -len(steps) % TURN_STEPS if steps else TURN_STEPS
    gaps = [0] * (lacks % GROUP_STEPS) + [distance for distance, _ in steps]
    lanes = [0] * (lacks % GROUP_STEPS) + [word for _, word in steps]
    for end in range(len(gaps) - TURN_STEPS, 0, -TURN_STEPS):
        gaps[end - 1] += 128  # another turn follows
    words = [16 * first | lacks << 22, int(weights), *start.tolist()]
    for group in range(0, len(gaps), GROUP_STEPS):
        words += lanes[group : group + GROUP_STEPS][::-1]
        words.append(int.from_bytes(bytes(gaps[group : group + GROUP_STEPS][::-1]), "little"))
    return _words(words)


def _column(geometry: Geometry) -> int:
    """mp_column_bytes(): an im2col column in whole words, none for a pointwise convolution."""
    return 0 if geometry.pointwise else -(-geometry.cols // 4) * 4


def _dense_workspace(geometry: Geometry) -> int:
    return 8 * max(-(-geometry.cols // 2), 2) + _column(geometry)


def _pair_workspace(pair_bytes: int) -> Callable[[Geometry], int]:
    """mp_pair_workspace(). pair_bytes: of a tile, a pair of columns."""

    def workspace(geometry: Geometry) -> int:
        aside = 4 * geometry.rows if geometry.positions % 4 > 1 else 0
        return pair_bytes * -(-geometry.cols // 2) + _column(geometry) + aside

    return workspace


def _nm_obstacle(params: LayerParams) -> str | None:
    cols = params.geometry.cols
    return f"{cols} columns are no multiple of 4" if cols % 4 else _obstacle(PAIR_ROWS)(params)


_STRUCT = "mp_conv2d_s8_smlad"

KERNELS: tuple[Kernel, ...] = (
    Kernel(
        *("conv2d_s8", "dense", "dsp", _dense_workspace, _obstacle(DENSE_ROWS), pack_dense, tiles(2, 1)),
        *(in_place, _STRUCT),
    ),
    Kernel(
        *("conv2d_s8", "block2x2", "dsp", _pair_workspace(16), _obstacle(PAIR_ROWS), pack_blocks, tiles(4, 1)),
        *(in_place, _STRUCT),
    ),
    Kernel(
        *("conv2d_s8", "nm2x4x2", "dsp", _pair_workspace(48), _nm_obstacle, pack_nm, tiles(4, 1)),
        *(in_place, _STRUCT),
    ),
)
