"""Keep-masks with exact counts: the least important weights go first, ties by index."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcuprune.errors import TrainingError, UsageError
from mcuprune.masks.patterns import (
    NM,
    Block,
    Channels,
    Pattern,
    Unstructured,
    check_columns,
    sparsity_of,
    unit_count,
)
from mcuprune.masks.pooling import pool_rows, spread, unit_importance
from mcuprune.masks.select import Mask, count_nans, magnitudes, parts, without_smallest


def mask(importance: NDArray[Any], pattern: Pattern, sparsity: float | None = None, *, magnitude: bool = False) -> Mask:
    """Which weights stay, as a bool matrix of the shape of `importance`.

    - unstructured: exactly round(size * sparsity) weights go.
    - N:M: the M - N least important weights of each M consecutive columns go; N:MxR: importance is summed over each R
      consecutive rows (the last rows may be fewer), which then share one choice.
    - block RxC: importance is pooled over each block (mean, largest or L2 norm; a block at the edge as if filled up by
      zeros), and exactly round(blocks * sparsity) blocks go.
    - channels: exactly round(rows * sparsity) rows go, those with the least L2 norm.

    The least important go first; of equal ones the lower row-major index (of weight, column, block or row). round() is
    Python's: to the nearest, halves to even, of the product in double. More sparsity takes what less took and more, and
    the mask of masked weights is the mask again.

    Memory: the mask, which has the layout of `importance`, and parts of some MB; for blocks also a number for each.

    Args:
        importance: real numbers, (rows, cols), the matrix of patterns.py, of any type and layout; such as a transposed
            view of a kernel.
        sparsity: share of zeros in [0, 1); None for N:M, which implies it.
        magnitude: `importance` are weights, whose magnitudes count; no copy of |weight| is made.
    Raises:
        UsageError: sparsity out of range, missing, or other than N:M implies; columns that N:M does not divide.
        TrainingError: importance is NaN somewhere.
    """
    check_numbers(importance)
    if isinstance(pattern, NM):
        _check_implied(pattern, sparsity)
        check_columns(pattern, importance.shape[1])
        return _nm(importance, pattern, magnitude)
    if sparsity is None:
        raise UsageError(f"pattern {pattern} needs a sparsity")
    if isinstance(pattern, Unstructured) or pattern in (Block(1, 1), Block(1, 1, "max")):
        return without_smallest(importance, zero_count(importance.size, sparsity), magnitude=magnitude)
    pooled = unit_importance(importance, pattern, magnitude)
    keep = without_smallest(pooled, zero_count(pooled.size, sparsity))
    rows, cols = (1, max(importance.shape[1], 1)) if isinstance(pattern, Channels) else (pattern.rows, pattern.cols)
    return spread(keep, importance, rows, cols)


def ramp_mask(importance: NDArray[Any], pattern: Pattern, sparsity: float, *, magnitude: bool = False) -> Mask:
    """A mask on the way to a pattern: at most as sparse as the goal, and N:M groups fill up with zeros gradually.

    As mask(), but N:M takes any sparsity up to the one that it implies: of the places that N:M would empty, the least
    important go, exactly round(size * sparsity) of them (of one row in each R for N:MxR, which then share them).

    Raises:
        UsageError: sparsity out of range or beyond N:M's; columns that N:M does not divide.
        TrainingError: importance is NaN somewhere.
    """
    implied = sparsity_of(pattern)
    if not isinstance(pattern, NM) or implied is None:
        return mask(importance, pattern, sparsity, magnitude=magnitude)
    if sparsity > implied + 1e-9:
        raise UsageError(f"{pattern} has at most {implied:g} zeros, got {sparsity:g}")
    gone = np.logical_not(mask(importance, pattern, magnitude=magnitude)[:: pattern.rows])
    pooled = importance
    if pattern.rows > 1:
        pooled, magnitude = unit_importance(importance, Block(pattern.rows, 1), magnitude), False
    count = min(zero_count(pooled.size, sparsity), int(np.count_nonzero(gone)))
    keep = without_smallest(pooled, count, magnitude=magnitude, among=gone)
    return keep if pattern.rows == 1 else spread(keep, importance, pattern.rows, 1)


def zero_count(size: int, sparsity: float) -> int:
    """round(size * sparsity): to the nearest, halves to even, of the product in double.

    Raises:
        UsageError: sparsity is not in [0, 1).
    """
    if not 0.0 <= sparsity < 1.0:
        raise UsageError(f"sparsity {sparsity:g} is not in [0, 1)", hint="0.8 makes 80% of the weights zero")
    return round(size * sparsity)


def check_blocks(pattern: Pattern, rows: int, cols: int, sparsity: float) -> None:
    """Check that of the blocks on a matrix one goes and one stays: a layer is neither left dense nor emptied.

    Raises:
        UsageError: the share that was asked for is none of the blocks, or all of them.
    """
    if not isinstance(pattern, Block) or pattern in (Block(1, 1), Block(1, 1, "max")) or not sparsity:
        return
    blocks = unit_count(pattern, rows, cols)
    count = zero_count(blocks, sparsity)
    if not 0 < count < blocks:
        raise UsageError(
            f"{pattern} at sparsity {sparsity:g} takes {count} of {blocks} blocks of a matrix of {rows}x{cols}",
            hint="smaller blocks or another sparsity for this layer, or leave it dense",
        )


def check_numbers(importance: NDArray[Any]) -> None:
    """Check that something is a matrix without NaN.

    Raises:
        UsageError: another rank, or complex numbers.
        TrainingError: NaN somewhere.
    """
    if importance.ndim != 2:
        raise UsageError(f"importance is a matrix of (rows, cols), got shape {importance.shape}")
    if importance.dtype.kind in "cOSUMm":
        raise UsageError(f"importance is real numbers, got {importance.dtype}")
    nans = count_nans(importance)
    if nans:
        raise TrainingError(
            f"the importance of {nans} of {importance.size} weights is NaN", hint="did training diverge?"
        )


def _check_implied(pattern: NM, sparsity: float | None) -> None:
    implied = sparsity_of(pattern)
    if implied is not None and sparsity is not None and abs(sparsity - implied) > 1e-9:
        raise UsageError(f"{pattern} implies its sparsity, {implied:g}; got {sparsity:g} beside it")


def _nm(importance: NDArray[Any], pattern: NM, magnitude: bool) -> Mask:
    keep: Mask = np.empty_like(importance, np.bool_)
    for part in parts(importance, pattern.rows, pattern.m):
        found = magnitudes(importance[part]) if magnitude else importance[part]
        pooled = pool_rows(found, pattern.rows)
        groups = pooled.reshape(-1, pattern.m)
        kept = np.ones(groups.shape, np.bool_)
        order = np.argsort(groups, axis=1, kind="stable")
        np.put_along_axis(kept, order[:, : pattern.m - pattern.n], False, axis=1)
        keep[part] = np.repeat(kept.reshape(pooled.shape), pattern.rows, axis=0)[: len(found)]
    return keep
