"""bitmap: one bit a weight says whether it is there; then the nonzeros, one byte each."""

from __future__ import annotations

import numpy as np

from mcuprune.encodings.table import Array, Encoded, Encoding, Rows


def encode(rows: Rows) -> Encoded:
    """rows: int8 (rows, cols). Bit i of byte j of a row's mask is column 8 * j + i; a row starts on a byte."""
    kept = rows != 0
    return Encoded(
        "bitmap",
        (rows.shape[0], rows.shape[1]),
        (
            Array("mask", "uint8_t", np.packbits(kept, axis=1, bitorder="little").reshape(-1)),
            Array("nz", "int8_t", rows[kept]),
        ),
    )


def decode(encoded: Encoded) -> Rows:
    """The rows again, int8 (rows, cols)."""
    count, cols = encoded.shape
    mask = encoded.array("mask").astype(np.uint8).reshape(count, -1)
    kept = np.unpackbits(mask, axis=1, count=cols, bitorder="little").astype(bool)
    rows = np.zeros(encoded.shape, np.int8)
    rows[kept] = encoded.array("nz")
    return rows


BITMAP = Encoding("bitmap", "1 bit a weight and 1 byte a nonzero", encode, decode)
