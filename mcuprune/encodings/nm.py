"""nm2x4x2: at most two nonzeros in four consecutive columns, in the same places for two consecutive rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcuprune.encodings.table import Array, Encoded, Encoding, Rows
from mcuprune.errors import EncodingError

PAIRS_OF_FOUR = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
"""Places of two nonzeros in four columns, by index."""


def pair_choices(kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of PAIRS_OF_FOUR hold the kept columns: bool (rows, cols // 4 * 6), at most one for each four columns.

    Args:
        kept: bool (rows, cols), cols a multiple of 4.
    Raises:
        EncodingError: four columns hold more than two.
    """
    groups = kept.reshape(len(kept), -1, 4)
    most = int(groups.sum(axis=2).max(initial=0))
    if most > 2:
        raise EncodingError(f"two rows have {most} nonzeros in four columns, 2:4x2 holds 2", hint="prune with 2:4x2")
    covers = np.stack([~np.delete(groups, pair, axis=2).any(axis=2) for pair in PAIRS_OF_FOUR], axis=2)
    first = np.zeros_like(covers)
    np.put_along_axis(first, covers.argmax(axis=2)[:, :, None], True, axis=2)
    chosen: NDArray[np.bool_] = first & groups.any(axis=2, keepdims=True)
    return chosen.reshape(len(kept), -1)


def _row_pairs(rows: Rows) -> Rows:
    """(row pairs, groups of columns, 2, 4); a row of zeros below an odd last one."""
    if rows.shape[1] % 4:
        raise EncodingError(f"2:4x2 needs columns in fours, got {rows.shape[1]}", hint="take block2x2")
    padded = np.zeros((len(rows) + len(rows) % 2, rows.shape[1]), np.int8)
    padded[: len(rows)] = rows
    return padded.reshape(-1, 2, rows.shape[1] // 4, 4).transpose(0, 2, 1, 3)


def encode(rows: Rows) -> Encoded:
    """rows: int8 (rows, cols). `places`: an index of PAIRS_OF_FOUR, or 6 where all are 0, for each two rows and four
    columns; `values`: both weights of the first row, then of the second one.

    Raises:
        EncodingError: the rows have another pattern.
    """
    groups = _row_pairs(rows)
    chosen = pair_choices(groups.any(axis=2).reshape(len(groups), -1)).reshape(*groups.shape[:2], 6)
    places = np.where(chosen.any(axis=2), chosen.argmax(axis=2), 6)
    which = np.array([*PAIRS_OF_FOUR, (0, 1)])[places]
    values = np.take_along_axis(groups, which[:, :, None, :], axis=3)
    shape = (rows.shape[0], rows.shape[1])
    arrays = (
        Array("places", "uint8_t", places.astype(np.uint8).reshape(-1)),
        Array("values", "int8_t", values.reshape(-1)),
    )
    return Encoded(NM.name, shape, arrays)


def decode(encoded: Encoded) -> Rows:
    """The rows again, int8 (rows, cols)."""
    rows, cols = encoded.shape
    groups = np.zeros((-(-rows // 2), cols // 4, 2, 4), np.int8)
    places = encoded.array("places").reshape(groups.shape[:2])
    which = np.array([*PAIRS_OF_FOUR, (0, 1)])[places]
    values = encoded.array("values").astype(np.int8).reshape(*groups.shape[:3], 2)
    np.put_along_axis(groups, np.broadcast_to(which[:, :, None, :], values.shape), values, axis=3)
    return np.ascontiguousarray(groups.transpose(0, 2, 1, 3).reshape(-1, cols)[:rows])


NM = Encoding("nm2x4x2", "2 of 4 columns, shared by 2 rows: 1.25 bytes a kept weight", encode, decode, struct="nm2x4x2")
