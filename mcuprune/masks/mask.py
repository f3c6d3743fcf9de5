"""Keep-masks with exact counts: the least important weights go first, ties by index."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcuprune.errors import TrainingError, UsageError
from mcuprune.masks.patterns import NM, Block, Pattern, check_columns, sparsity_of

Mask = NDArray[np.bool_]
_GROUPS_AT_ONCE = 2**20  # N:M groups sorted together: bounds the memory that indices take


def mask(importance: NDArray[Any], pattern: Pattern, sparsity: float | None = None) -> Mask:
    """Which weights stay, as a bool matrix of the shape of `importance`.

    - unstructured: exactly round(size * sparsity) weights go.
    - N:M: the M - N least important weights of each M consecutive columns go; N:MxR: importance is summed over each R
      consecutive rows (the last rows may be fewer), which then share one choice.
    - block RxC: importance is summed over each block (a block at the edge is smaller, so is its sum), and exactly
      round(blocks * sparsity) blocks go.

    The least important go first; of equal ones the lower row-major index (of weight, column or block). round() is
    Python's: to the nearest, halves to even, of the product in double.

    Args:
        importance: real numbers, (rows, cols), the matrix of patterns.py; such as |weight|.
        sparsity: share of zeros in [0, 1); None for N:M, which implies it.
    Raises:
        UsageError: sparsity out of range, missing, or other than N:M implies; columns that N:M does not divide.
        TrainingError: importance is NaN somewhere.
    """
    if importance.ndim != 2:
        raise UsageError(f"importance is a matrix of (rows, cols), got shape {importance.shape}")
    nans = int(np.isnan(importance).sum())
    if nans:
        raise TrainingError(
            f"the importance of {nans} of {importance.size} weights is NaN", hint="did training diverge?"
        )
    if isinstance(pattern, NM):
        _check_implied(pattern, sparsity)
        check_columns(pattern, importance.shape[1])
        return _nm(importance, pattern)
    if sparsity is None:
        raise UsageError(f"pattern {pattern} needs a sparsity")
    if isinstance(pattern, Block):
        return _blocks(importance, pattern, sparsity)
    return _without_smallest(importance, zero_count(importance.size, sparsity))


def ramp_mask(importance: NDArray[Any], pattern: Pattern, sparsity: float) -> Mask:
    """A mask on the way to a pattern: at most as sparse as the goal, and N:M groups fill up with zeros gradually.

    As mask(), but N:M takes any sparsity up to the one that it implies: of the places that N:M would empty, the least
    important go, exactly round(size * sparsity) of them (of one row in each R for N:MxR, which then share them).

    Raises:
        UsageError: sparsity out of range or beyond N:M's; columns that N:M does not divide.
        TrainingError: importance is NaN somewhere.
    """
    implied = sparsity_of(pattern)
    if not isinstance(pattern, NM) or implied is None:
        return mask(importance, pattern, sparsity)
    if sparsity > implied + 1e-9:
        raise UsageError(f"{pattern} has at most {implied:g} zeros, got {sparsity:g}")
    final = mask(importance, pattern)
    pooled = _sum_rows(importance, pattern.rows).astype(np.float64)
    pooled[final[:: pattern.rows]] = np.inf
    count = min(zero_count(pooled.size, sparsity), pooled.size - int(np.count_nonzero(final[:: pattern.rows])))
    keep: Mask = np.repeat(_without_smallest(pooled, count), pattern.rows, axis=0)[: len(importance)]
    return keep


def zero_count(size: int, sparsity: float) -> int:
    """round(size * sparsity): to the nearest, halves to even, of the product in double.

    Raises:
        UsageError: sparsity is not in [0, 1).
    """
    if not 0.0 <= sparsity < 1.0:
        raise UsageError(f"sparsity {sparsity:g} is not in [0, 1)", hint="0.8 makes 80% of the weights zero")
    return round(size * sparsity)


def _check_implied(pattern: NM, sparsity: float | None) -> None:
    implied = sparsity_of(pattern)
    if implied is not None and sparsity is not None and abs(sparsity - implied) > 1e-9:
        raise UsageError(f"{pattern} implies its sparsity, {implied:g}; got {sparsity:g} beside it")


def _without_smallest(values: NDArray[Any], count: int) -> Mask:
    """All but the `count` smallest of `values`; of equal ones the lower row-major index goes first."""
    if count == 0:
        return np.ones(values.shape, np.bool_)
    flat = values.ravel()
    last = np.partition(flat, count - 1)[count - 1]
    keep: Mask = flat >= last
    ties = np.flatnonzero(flat == last)
    keep[ties[: count - (flat.size - int(np.count_nonzero(keep)))]] = False
    return keep.reshape(values.shape)


def _nm(importance: NDArray[Any], pattern: NM) -> Mask:
    rows, cols = importance.shape
    pooled = _sum_rows(importance, pattern.rows)
    groups = pooled.reshape(-1, pattern.m)
    keep = np.ones(groups.shape, np.bool_)
    for start in range(0, len(groups), _GROUPS_AT_ONCE):
        part = slice(start, start + _GROUPS_AT_ONCE)
        order = np.argsort(groups[part], axis=1, kind="stable")
        np.put_along_axis(keep[part], order[:, : pattern.m - pattern.n], False, axis=1)
    shared: Mask = np.repeat(keep.reshape(-1, cols), pattern.rows, axis=0)[:rows]
    return shared


def _blocks(importance: NDArray[Any], pattern: Block, sparsity: float) -> Mask:
    rows, cols = importance.shape
    pooled = _sum_rows(_sum_rows(importance, pattern.rows).T, pattern.cols).T
    keep = _without_smallest(pooled, zero_count(pooled.size, sparsity))
    return np.repeat(np.repeat(keep, pattern.rows, axis=0)[:rows], pattern.cols, axis=1)[:, :cols]


def _sum_rows(values: NDArray[Any], rows: int) -> NDArray[Any]:
    """Sums in double over each `rows` consecutive rows, the last of them fewer."""
    if rows == 1:
        return values
    total = values[::rows].astype(np.float64)
    for i in range(1, min(rows, len(values))):  # in this order everywhere, so that equal sums are equal everywhere
        part = values[i::rows]
        total[: len(part)] += part
    return total
