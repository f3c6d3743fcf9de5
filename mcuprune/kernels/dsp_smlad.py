"""Weights of the SMLAD convolutions (dsp level): one stream of words, formats in firmware/kernels/*_dsp.[ch].

Two rows a, b share a word: 16-bit lanes 256 * a + b of the two columns of a pair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcuprune.kernels.dsp_requant import INT8_MIN, MAX_WIDE, Requant, reachable

Words = NDArray[np.uint32]
Pairs = Sequence[tuple[int, int]]
"""Columns that share a tile word, in the tile's order; a column past the last one is zeros."""

Used = Callable[[NDArray[np.bool_]], list[int]]
"""Indices of the pairs that two rows list, in order, by whether a column holds a nonzero of either."""

QUAD = 4
TURN_STEPS = 16
MAX_GAP = 127
MAX_FIRST = 4095

SIX = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))


def pairs_even_odd(cols: int) -> Pairs:
    """MP_EVEN_ODD of tile_s8_dsp.h, at least two pairs as the dense kernel has them."""
    found = [pair for g in range(0, cols - cols % 4, 4) for pair in ((g, g + 2), (g + 1, g + 3))]
    found += [(c, c + 1) for c in range(cols - cols % 4, cols, 2)]
    return found if len(found) > 1 else [*found, (cols, cols)]


def pairs_next(cols: int) -> Pairs:
    """MP_NEXT."""
    return [(c, c + 1) for c in range(0, cols, 2)]


def pairs_six(cols: int) -> Pairs:
    """MP_SIX."""
    return [(g + a, g + b) for g in range(0, cols, 4) for a, b in SIX]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Rows in the order of the stream, in groups of 2 or 4; a first group that is not full begins with rows of zeros.

    weights: int64 (rows, cols + 2), the last two zero; bias, mult, half, right: int64, one a row. signed: as in Requant.
    """

    weights: NDArray[np.int64]
    bias: NDArray[np.int64]
    mult: NDArray[np.int64]
    half: NDArray[np.int64]
    right: NDArray[np.int64]
    signed: bool
    ends: frozenset[int]  # first rows of the groups that are the last ones of a call

    @property
    def cols(self) -> int:
        return self.weights.shape[1] - 2


def layer(rows: NDArray[np.int8], bias: NDArray[np.integer], requant: Requant, group: int) -> Layer | str:
    """Rows made ready for a stream, or why they cannot share words.

    rows: int8 (rows, cols); bias: folded; group: rows that go together, 2 or 4.
    """
    rest = len(rows) % group
    order = np.concatenate([np.full(-len(rows) % group, -1), np.arange(len(rows) - rest, len(rows)), np.arange(len(rows) - rest)])

    def taken(values: NDArray[np.integer], otherwise: int) -> NDArray[np.int64]:
        return np.where(order < 0, otherwise, values[order])

    known = ~requant.constant
    weights = np.zeros((len(order), rows.shape[1] + 2), np.int64)
    weights[:, :-2] = np.where((order < 0)[:, None], 0, (rows * known[:, None])[order])
    sums = taken(bias * known, 0)
    upper, lower = weights[0::2], weights[1::2]
    if (256 * upper + lower).min(initial=0) < -(2**15):
        return f"a weight of {INT8_MIN} lies beside a negative one"
    low, high = reachable(weights[0::2], sums[0::2])
    worst = int(np.maximum(-low, high + 1).max(initial=0))
    if worst > MAX_WIDE:
        return f"an accumulator can reach {worst}, the kernel holds {MAX_WIDE}"
    mult, half, right = taken(requant.mult, 0), taken(requant.half, 1), taken(requant.right, 1)
    if not requant.signed:
        half[0::2] = 256 * half[0::2] + 128
        right[0::2] += 8
    ends = frozenset({0, len(order) - group} if rest else {len(order) - group})
    return Layer(weights, sums, mult, half, right, requant.signed, ends)


def _words(values: NDArray[np.int64] | list[int]) -> Words:
    return (np.asarray(values, np.int64) & 0xFFFFFFFF).astype(np.uint32)


def _lanes(layer: Layer, pairs: Pairs) -> Words:
    """Weight words (row pairs, pairs)."""
    both = (256 * layer.weights[0::2] + layer.weights[1::2]) & 0xFFFF
    low, high = np.array(pairs).T
    return _words(both[:, low] | both[:, high] << 16)


def _starts(layer: Layer) -> Words:
    """(row pairs, 2): doubled sums that the accumulators begin with."""
    upper, lower = layer.bias[0::2], layer.bias[1::2]
    return np.stack([_words(2 * (256 * upper + lower)), _words(2 * lower)], axis=1)


def _requant(layer: Layer, row: int, group: int) -> Words:
    """mult, half of the first row, shifts, mult and half of the others."""
    shifts = int(layer.right[row]) | int(row in layer.ends) << 8 | int(layer.signed) << 31
    for i in range(1, group):
        shifts |= int(layer.right[row + i]) << (1 + 8 * i)
    numbers = [layer.mult[row], layer.half[row], shifts]
    for i in range(row + 1, row + group):
        numbers += [layer.mult[i], layer.half[i]]
    return _words([int(n) for n in numbers])


def pack_dense(layer: Layer) -> Words:
    """Stream of conv2d_s8_dense_dsp.c."""
    lanes, starts = _lanes(layer, pairs_even_odd(layer.cols)), _starts(layer)
    stream = []
    for i in range(0, len(lanes), 2):
        both = lanes[i : i + 2].T.reshape(-1)
        stream += [both[:2], starts[i : i + 2].reshape(-1), both[2:], _requant(layer, 2 * i, 4)]
    return np.concatenate(stream)


def pack_pairs(layer: Layer, pairs: Pairs, used: Used) -> Words:
    """Stream of pairs_dsp.h. used: indices of the pairs that two rows list, by whether a column holds a nonzero."""
    lanes, starts = _lanes(layer, pairs), _starts(layer)
    return np.concatenate([_pair_row(layer, i, lanes[i], starts[i], used) for i in range(len(lanes))])


def _pair_row(layer: Layer, i: int, lanes: Words, start: Words, used: Used) -> Words:
    listed = used(layer.weights[2 * i : 2 * i + 2, : layer.cols].any(axis=0))
    first, rest = (listed[0], listed[1:]) if listed and listed[0] <= MAX_FIRST else (0, listed)
    steps: list[tuple[int, int]] = []  # distance, weights
    at = first
    for index in rest:
        for _ in range((index - at - 1) // MAX_GAP):
            steps.append((MAX_GAP, 0))
            at += MAX_GAP
        steps.append((index - at, int(lanes[index])))
        at = index
    lacks = -len(steps) % TURN_STEPS if steps else TURN_STEPS
    for end in range(TURN_STEPS - lacks, len(steps), TURN_STEPS):
        steps[end - 1] = (steps[end - 1][0] + 128, steps[end - 1][1])
    steps = [(0, 0)] * (lacks % 4) + steps
    words = [16 * first | lacks << 22, int(lanes[first]), *start.tolist()]
    for group in range(0, len(steps), 4):
        reverse = steps[group : group + 4][::-1]
        words += [w for _, w in reverse]
        words.append(int.from_bytes(bytes(gap for gap, _ in reverse), "little"))
    return np.concatenate([_words(words), _requant(layer, 2 * i, 2)])


def used_next(nonzero: NDArray[np.bool_]) -> list[int]:
    """Pairs of pairs_next() that hold a nonzero column."""
    return np.unique(np.flatnonzero(nonzero) // 2).tolist()


def used_six(nonzero: NDArray[np.bool_]) -> list[int]:
    """One pair of pairs_six() for each group of four columns that holds nonzeros, at most two."""
    found = []
    for group in np.unique(np.flatnonzero(nonzero) // 4).tolist():
        columns = set(np.flatnonzero(nonzero[4 * group : 4 * group + 4]).tolist())
        found.append(6 * group + next(i for i, pair in enumerate(SIX) if columns <= set(pair)))
    return found
