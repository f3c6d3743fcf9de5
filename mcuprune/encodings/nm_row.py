"""nm2x4: at most two nonzeros in four consecutive columns of each row."""

from __future__ import annotations

import numpy as np

from mcuprune.encodings.nm import PAIRS_OF_FOUR, pair_choices
from mcuprune.encodings.table import Array, Encoded, Encoding, Rows
from mcuprune.errors import EncodingError


def encode(rows: Rows) -> Encoded:
    """rows: int8 (rows, cols). `places`: an index of PAIRS_OF_FOUR, or 6 where all are 0, for each four columns of a
    row; `values`: the two weights there.

    Raises:
        EncodingError: the rows have another pattern.
    """
    if rows.shape[1] % 4:
        raise EncodingError(f"2:4 needs columns in fours, got {rows.shape[1]}", hint="take gap")
    most = int(np.count_nonzero(rows.reshape(len(rows), -1, 4), axis=2).max(initial=0))
    if most > 2:
        raise EncodingError(f"a row has {most} nonzeros in four columns, 2:4 holds 2", hint="prune with 2:4")
    chosen = pair_choices(rows != 0).reshape(len(rows), -1, len(PAIRS_OF_FOUR))
    places = np.where(chosen.any(axis=2), chosen.argmax(axis=2), len(PAIRS_OF_FOUR))
    which = np.array([*PAIRS_OF_FOUR, (0, 1)])[places]
    values = np.take_along_axis(rows.reshape(len(rows), -1, 4), which, axis=2)
    return Encoded(
        "nm2x4",
        (rows.shape[0], rows.shape[1]),
        (
            Array("places", "uint8_t", places.astype(np.uint8).reshape(-1)),
            Array("values", "int8_t", values.reshape(-1)),
        ),
    )


def decode(encoded: Encoded) -> Rows:
    """The rows again, int8 (rows, cols)."""
    groups = np.zeros((encoded.shape[0], encoded.shape[1] // 4, 4), np.int8)
    which = np.array([*PAIRS_OF_FOUR, (0, 1)])[encoded.array("places").reshape(groups.shape[:2])]
    np.put_along_axis(groups, which, encoded.array("values").reshape(*groups.shape[:2], 2), axis=2)
    return groups.reshape(encoded.shape)


NM_ROW = Encoding("nm2x4", "2 of 4 columns of a row: 1.5 bytes a kept weight", encode, decode)
