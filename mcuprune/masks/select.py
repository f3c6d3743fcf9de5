"""The smallest numbers of matrices, exactly and without a copy of them: histograms of their bits, part by part.

Bits of floats that are not negative are in the order of the floats, so that clearing the sign bit gives magnitudes.
A part is some 2**18 numbers; beyond its result a selection takes memory for a few parts and for a histogram a matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Part = tuple[slice, slice]

_PART = 2**18  # numbers that are looked at together
_DIGITS = (8, 16)  # bits that a histogram tells apart, of few numbers and of many
_MANY = 2**18
_BITS: dict[str, Any] = {"float16": np.uint16, "bfloat16": np.uint16, "float32": np.uint32, "float64": np.uint64}


def parts(values: NDArray[Any], rows: int = 1, cols: int = 1) -> Iterator[Part]:
    """Slices that cover a matrix in the order of its memory, each of whole blocks of (rows, cols) but at the edges.

    The columns of a row come in their order, whatever the layout.
    """
    unit = (rows, cols)
    outer, inner = (0, 1) if abs(values.strides[0]) >= abs(values.strides[1]) else (1, 0)
    run = min(values.shape[inner], max(_PART // unit[outer], unit[inner]))
    run = max(-(-run // unit[inner]) * unit[inner], 1)
    lines = max(_PART // (run * unit[outer]), 1) * unit[outer]
    for i in range(0, values.shape[outer], lines):
        for j in range(0, values.shape[inner], run):
            places = (slice(i, i + lines), slice(j, j + run))
            yield (places[outer], places[inner])


def magnitudes(values: NDArray[Any]) -> NDArray[Any]:
    """|values|; of integers as int64, so that -128 has one."""
    found: NDArray[Any] = np.abs(values.astype(np.int64) if values.dtype.kind in "biu" else values)
    return found


def count_nans(values: NDArray[Any]) -> int:
    """How many numbers of a matrix are NaN."""
    if values.dtype.kind in "biu":
        return 0
    return sum(int(np.count_nonzero(np.isnan(values[part]))) for part in parts(values))


def without_smallest(values: NDArray[Any], count: int, *, magnitude: bool = False, among: Mask | None = None) -> Mask:
    """All but the `count` smallest of a matrix without NaN; of equal ones the lower row-major index goes first.

    The result has the layout of `values`, so that the mask of a transposed kernel is a transposed view as well.

    Args:
        magnitude: |values| count.
        among: only these places can go; there are at least `count`.
    """
    keep: Mask = np.empty_like(values, np.bool_)
    keep.fill(True)
    if count == 0:
        return keep
    keys = _Keys(values, magnitude, among)
    last, below, equal = _select([keys], count, np.array([0]), np.array([values.size]), np.array([1]))
    ties = count - int(below[0])
    compare = np.greater if ties == equal[0] else np.greater_equal
    for part, found in keys.parts():
        compare(found, last, out=keep[part])
    if ties < equal[0]:
        _drop_first(keys, last, ties, keep)
    return keep


def smallest_counts(
    matrices: Sequence[NDArray[Any]],
    total: int,
    lows: NDArray[np.int64],
    highs: NDArray[np.int64],
    prices: NDArray[np.int64],
    *,
    magnitude: bool = False,
) -> tuple[int, ...]:
    """How many of each matrix's numbers lie below one threshold for all of them, with bounds for each matrix.

    The smallest go, of equal ones those of earlier matrices first, as long as the sum of prices * counts stays at most
    `total`; with prices of 1 it is reached exactly.

    Args:
        lows, highs: (matrices,) bounds of the counts, sum(prices * lows) <= total <= sum(prices * highs).
        prices: (matrices,) what a number of a matrix counts, such as the weights of a channel.
    """
    common = np.result_type(*matrices)
    keys = [_Keys(values, magnitude, None, common) for values in matrices]
    _, below, equal = _select(keys, total, lows, highs, prices)
    counts = np.clip(below, lows, highs)
    more = np.clip(below + equal, lows, highs) - counts
    rest = total - int(prices @ counts)
    for i, price in enumerate(prices):
        taken = min(int(more[i]), rest // int(price))
        counts[i] += taken
        rest -= taken * int(price)
    return tuple(int(n) for n in counts)


class _Keys:
    """A matrix as unsigned integers in the order of its numbers, made part by part."""

    def __init__(self, values: NDArray[Any], magnitude: bool, among: Mask | None, dtype: Any = None) -> None:
        self.values, self.magnitude, self.among = values, magnitude, among
        dtype = np.dtype(values.dtype if dtype is None else dtype)
        if dtype.kind not in "biu" and (dtype.name not in _BITS or not dtype.isnative):
            dtype = np.dtype(np.float64)
        self.dtype = dtype
        self.kind = _BITS.get(dtype.name, np.uint64)
        self.bits = 8 * np.dtype(self.kind).itemsize

    def parts(self) -> Iterator[tuple[Part, NDArray[Any]]]:
        """Places and their keys; what lies outside of `among` has the largest key of all."""
        for part in parts(self.values):
            found = self._keys(self.values[part].astype(self.dtype, copy=False))
            if self.among is not None:
                np.copyto(found, np.iinfo(self.kind).max, where=~self.among[part])
            yield part, found

    def histogram(self, prefix: int, shift: int, digit: int) -> NDArray[np.int64]:
        """How many keys with this prefix have each digit: `digit` bits from `shift` on, the prefix lies above them."""
        counts = np.zeros(2**digit, np.int64)
        for _, found in self.parts():
            flat = found.ravel(order="K")
            if shift + digit < self.bits:
                flat = flat[flat >> self.kind(shift + digit) == self.kind(prefix)]
            flat = flat >> self.kind(shift) if shift else flat
            counts += np.bincount((flat & self.kind(2**digit - 1)).astype(np.intp), minlength=2**digit)
        return counts

    def _keys(self, values: NDArray[Any]) -> Any:
        sign = self.kind(1 << (self.bits - 1))
        if self.dtype.kind in "biu":
            if self.dtype == np.uint64:
                return values.copy()
            wide = values.astype(np.int64)
            return np.abs(wide).view(np.uint64) if self.magnitude else wide.view(np.uint64) ^ sign
        if self.magnitude:
            return values.view(self.kind) & ~sign
        bits = (values + values.dtype.type(0)).view(self.kind)  # -0.0 becomes 0.0
        return np.where(bits & sign, ~bits, bits | sign)


def _select(
    keys: Sequence[_Keys], total: int, lows: NDArray[np.int64], highs: NDArray[np.int64], prices: NDArray[np.int64]
) -> tuple[Any, NDArray[np.int64], NDArray[np.int64]]:
    """The least key up to which bounded counts reach `total`; how many keys of each matrix lie below it and equal it.

    One histogram of all keys for each 8 or 16 bits: the first finds the upper bits of the key, the next those below.
    """
    prefix, bits = 0, keys[0].bits
    width = _DIGITS[max(one.values.size for one in keys) > _MANY]
    below = np.zeros(len(keys), np.int64)
    equal = below
    for shift in range(bits - width, -1, -width):
        counts = np.stack([one.histogram(prefix, shift, width) for one in keys])
        reached = below[:, None] + np.cumsum(counts, axis=1)
        digit = int(np.searchsorted(prices @ np.clip(reached, lows[:, None], highs[:, None]), total))
        equal = counts[:, digit]
        below = reached[:, digit] - equal
        prefix = prefix << width | digit
    return keys[0].kind(prefix), below, equal


def _drop_first(keys: _Keys, last: Any, count: int, keep: Mask) -> None:
    """Take the first `count` places, by row-major index, whose key is `last` out of a mask."""
    ties = np.zeros(len(keep), np.int64)
    for part, found in keys.parts():
        ties[part[0]] += np.count_nonzero(found == last, axis=1)
    reached = np.cumsum(ties)
    split = int(np.searchsorted(reached, count, side="right"))  # rows before this one lose all of theirs
    rest = count - int(reached[split - 1] if split else 0)
    for part, found in keys.parts():
        rows, kept = part[0], keep[part]
        whole = max(split - rows.start, 0)
        kept[:whole] &= found[:whole] != last
        if rest and 0 <= split - rows.start < len(kept):
            places = np.flatnonzero(found[split - rows.start] == last)[:rest]
            kept[split - rows.start, places] = False
            rest -= len(places)
