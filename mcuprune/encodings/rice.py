"""rice: Golomb-Rice codes of the gaps, within a few hundredths of a bit of their entropy, and one byte a nonzero.

A gap is the number of zeros before a nonzero. Its code: gap >> k bits of 0, a 1, the low k bits of gap, highest first;
the codes of all rows follow each other without a break, the first bit of a byte being its highest. With k = 0 that is
two bits a nonzero at density 1/2, as a bitmap; with k = 2 or 3 it is smaller than one from 60% zeros on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcuprune.encodings.table import Array, Encoded, Encoding, Rows
from mcuprune.errors import EncodingError

MAX_NONZEROS = 65535  # of a row: its count is 16 bits
MAX_K = 7


def skips(rows: Rows) -> NDArray[np.int64]:
    """Zeros before each nonzero of its row, row by row."""
    row, col = np.nonzero(rows)
    before = np.full_like(col, -1)
    same = row[1:] == row[:-1]
    before[1:][same] = col[:-1][same]
    return col - before - 1


def encode(rows: Rows) -> Encoded:
    """rows: int8 (rows, cols). k is the one that gives the fewest bits.

    Raises:
        EncodingError: a row has more than 65535 nonzeros.
    """
    counts = np.count_nonzero(rows, axis=1)
    if counts.max(initial=0) > MAX_NONZEROS:
        raise EncodingError(
            f"a row has {counts.max()} nonzeros, rice holds {MAX_NONZEROS}", hint="take dense or bitmap"
        )
    gaps = skips(rows)
    k = min(range(MAX_K + 1), key=lambda k: int((gaps >> k).sum()) + len(gaps) * (1 + k))
    ones = np.cumsum((gaps >> k) + 1 + k) - 1 - k  # where each code's 1 stands
    bits = np.zeros(int(ones[-1]) + 1 + k if len(ones) else 0, np.uint8)
    bits[ones] = 1
    for i in range(k):
        bits[ones + 1 + i] = gaps >> (k - 1 - i) & 1
    return Encoded(
        "rice",
        (rows.shape[0], rows.shape[1]),
        (
            Array("row_nnz", "uint16_t", counts.astype(np.uint16)),
            Array("bits", "uint8_t", np.packbits(bits)),
            Array("nz", "int8_t", rows[rows != 0]),
        ),
        {"k": k},
    )


def decode(encoded: Encoded) -> Rows:
    """The rows again, int8 (rows, cols)."""
    rows = np.zeros(encoded.shape, np.int8)
    bits, k = np.unpackbits(encoded.array("bits")).tolist(), encoded.scalars["k"]
    values = iter(encoded.array("nz").tolist())
    at = 0
    for row, count in zip(rows, encoded.array("row_nnz").tolist(), strict=True):
        col = -1
        for _ in range(count):
            one = bits.index(1, at)
            low = int("".join(map(str, bits[one + 1 : one + 1 + k])) or "0", 2)
            col += (one - at << k) + low + 1
            row[col] = next(values)
            at = one + 1 + k
    return rows


RICE = Encoding("rice", "Golomb-Rice codes of the gaps and 1 byte a nonzero: the smallest", encode, decode)
