"""dense: every weight, one byte each."""

from __future__ import annotations

import numpy as np

from mcuprune.encodings.table import Array, Encoded, Encoding, Rows


def encode(rows: Rows) -> Encoded:
    """Rows as they are. rows: int8 (rows, cols)."""
    return Encoded("dense", (rows.shape[0], rows.shape[1]), (Array("weights", "int8_t", rows.reshape(-1)),))


def decode(encoded: Encoded) -> Rows:
    """The rows again, int8 (rows, cols)."""
    return encoded.array("weights").astype(np.int8).reshape(encoded.shape)


DENSE = Encoding("dense", "every weight, 1 byte each", encode, decode)
