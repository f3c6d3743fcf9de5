"""What goes together: importance of blocks and of channels, and masks of them spread over their weights."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mcuprune.masks.patterns import Block, Channels, Pooling
from mcuprune.masks.select import Mask, magnitudes, parts

_RUN = 4096  # columns that are summed at once: always the same ones, so that equal rows have equal norms


def pool_rows(values: NDArray[Any], rows: int, pooling: Pooling = "avg") -> NDArray[Any]:
    """Sums in double (avg, l2) or maxima over each `rows` consecutive rows, the last of them fewer."""
    if rows == 1:
        return values
    pooled = values[::rows].astype(values.dtype if pooling == "max" else np.float64)
    for i in range(1, min(rows, len(values))):  # in this order everywhere, so that equal sums are equal everywhere
        part = values[i::rows]
        if pooling == "max":
            np.maximum(pooled[: len(part)], part, out=pooled[: len(part)])
        else:
            pooled[: len(part)] += part
    return pooled


def pool_blocks(values: NDArray[Any], pattern: Block, magnitude: bool) -> NDArray[Any]:
    """Importance of blocks: (ceil(rows / R), ceil(cols / C)), sums (avg), maxima, or sums of squares (l2).

    A block at the edge counts as if zeros filled it up: kernels spend as much on it as on a whole one.
    """
    rows, cols = pattern.rows, pattern.cols
    order: Literal["C", "F"] = "F" if values.flags.f_contiguous else "C"
    dtype: Any = np.float64 if pattern.pooling != "max" else np.int64 if values.dtype.kind in "biu" else values.dtype
    pooled: NDArray[Any] = np.empty((-(-values.shape[0] // rows), -(-values.shape[1] // cols)), dtype, order)
    for part in parts(values, rows, cols):
        found = magnitudes(values[part]) if magnitude else values[part]
        if pattern.pooling == "l2":
            found = np.square(found, dtype=np.float64)
        found = pool_rows(pool_rows(found, rows, pattern.pooling).T, cols, pattern.pooling).T
        pooled[part[0].start // rows :, part[1].start // cols :][: found.shape[0], : found.shape[1]] = found
    return pooled


def pool_channels(values: NDArray[Any]) -> NDArray[np.float64]:
    """The root mean square of each row, (rows, 1): in the order of L2 norms, and comparable between layers."""
    total = np.zeros(len(values))
    step = max(2**18 // _RUN, 1)
    for i in range(0, len(values), step):
        for j in range(0, values.shape[1], _RUN):
            found = np.ascontiguousarray(values[i : i + step, j : j + _RUN], np.float64)
            total[i : i + step] += np.square(found).sum(axis=1)
    norms: NDArray[np.float64] = np.sqrt(total / max(values.shape[1], 1))
    return norms[:, None]


def unit_importance(values: NDArray[Any], pattern: Block | Channels, magnitude: bool) -> NDArray[Any]:
    """Importance of what the pattern drops as a whole, a matrix of blocks or (rows, 1) of channels."""
    return pool_channels(values) if isinstance(pattern, Channels) else pool_blocks(values, pattern, magnitude)


def spread(units: Mask, like: NDArray[Any], rows: int, cols: int) -> Mask:
    """A mask of blocks as one of weights, of the shape and layout of `like`."""
    keep: Mask = np.empty_like(like, np.bool_)
    for part in parts(like, rows, cols):
        kept = keep[part]
        some = units[part[0].start // rows : -(-part[0].stop // rows), part[1].start // cols : -(-part[1].stop // cols)]
        wide = np.repeat(some, rows, axis=0)[: kept.shape[0]]
        kept[:] = np.repeat(wide, cols, axis=1)[:, : kept.shape[1]]
    return keep
