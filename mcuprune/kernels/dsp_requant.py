"""Numbers of firmware/kernels/requant_dsp.h: multiplier, half and right shift of a row, exact for all its sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcuprune import numerics

MAX_RIGHT = 22
MAX_RIGHT_WIDE = 14
MAX_SUM = 2**30

INT8_MIN, INT8_MAX = -128, 127


@dataclass(frozen=True, slots=True)
class Requant:
    """Requantization of all rows. out = ssat8((smmlar(2 * acc, mult, half) - (acc < 0)) >> right); see requant_dsp.h.

    mult, half, right: int64, one a row. signed: whether the (acc < 0) may matter. constant: rows whose bytes are all
    the same; their sums do not matter.
    """

    mult: NDArray[np.int64]
    half: NDArray[np.int64]
    right: NDArray[np.int64]
    constant: NDArray[np.bool_]
    signed: bool


def reachable(rows: NDArray[np.integer], bias: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Smallest and largest accumulator of each row over all int8 inputs. rows: (rows, cols); bias: folded."""
    w = rows.astype(np.int64)
    up, down = np.maximum(w, 0).sum(axis=1), np.minimum(w, 0).sum(axis=1)
    return bias + INT8_MIN * up + INT8_MAX * down, bias + INT8_MAX * up + INT8_MIN * down


def requant_rows(
    rows: NDArray[np.int8],
    bias: NDArray[np.integer],
    mult: NDArray[np.integer],
    shift: NDArray[np.integer],
    out_zp: int,
    act_min: int,
    act_max: int,
) -> Requant | str:
    """Requantization of every row, or why it cannot be done this way.

    rows: int8 (rows, cols); bias: folded; mult, shift: of each row; out_zp, act_min, act_max: of the layer.
    """
    low, high = reachable(rows, bias)

    def output(acc: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.clip(numerics.requantize(acc, mult, shift) + out_zp, act_min, act_max)

    first = output(low)
    constant = first == output(high)  # outputs never fall where accumulators rise
    right = -shift.astype(np.int64)
    for row in np.flatnonzero(~constant):
        if not 1 <= right[row] <= MAX_RIGHT:
            return f"row {row} shifts by {shift[row]}, the kernel by -1 to -{MAX_RIGHT}"
        if max(-low[row], high[row]) >= MAX_SUM:
            return f"an accumulator of row {row} can reach {max(-low[row], high[row])}, the kernel holds {MAX_SUM - 1}"
    right = np.where(constant, 1, right)
    half = np.where(constant, 1 + 2 * first, (1 << (right - 1)) + (out_zp << right))
    signed = act_min < out_zp or bool(np.any(right > MAX_RIGHT_WIDE))
    return Requant(np.where(constant, 0, mult.astype(np.int64)), half, right, constant, signed)
