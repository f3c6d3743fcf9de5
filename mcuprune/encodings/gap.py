"""gap: a stream of pairs, distance to the next nonzero and its value, one byte each."""

from __future__ import annotations

import numpy as np

from mcuprune.encodings.gaps import gap_stream, positions_of
from mcuprune.encodings.table import Array, Encoded, Encoding, Rows
from mcuprune.errors import EncodingError

MAX_PAIRS = 65535  # of a row: its count is 16 bits


def encode(rows: Rows) -> Encoded:
    """rows: int8 (rows, cols).

    Raises:
        EncodingError: a row has more than 65535 pairs.
    """
    stream = gap_stream(rows != 0)
    if stream.counts.max(initial=0) > MAX_PAIRS:
        raise EncodingError(
            f"a row has {stream.counts.max()} pairs, gap holds {MAX_PAIRS}", hint="take dense or bitmap"
        )
    pairs = np.zeros((len(stream.gaps), 2), np.uint8)
    pairs[:, 0] = stream.gaps
    pairs[stream.entry, 1] = rows[rows != 0].view(np.uint8)
    return Encoded(
        "gap",
        (rows.shape[0], rows.shape[1]),
        (
            Array("row_nnz", "uint16_t", stream.counts.astype(np.uint16)),
            Array("pairs", "uint8_t", pairs.reshape(-1)),
        ),
    )


def decode(encoded: Encoded) -> Rows:
    """The rows again, int8 (rows, cols)."""
    rows = np.zeros(encoded.shape, np.int8)
    pairs = encoded.array("pairs").reshape(-1, 2)
    at = 0
    for row, count in zip(rows, encoded.array("row_nnz").tolist(), strict=True):
        part = pairs[at : at + count]
        row[positions_of(part[:, 0])] = part[:, 1].view(np.int8)
        at += count
    return rows


GAP = Encoding("gap", "2 bytes a nonzero: distance and value", encode, decode)
