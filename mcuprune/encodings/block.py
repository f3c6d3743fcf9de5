"""block RxC: blocks of R output channels by C columns that hold a nonzero; a distance each, then all their weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcuprune.encodings.gap import MAX_PAIRS
from mcuprune.encodings.gaps import gap_stream, positions_of
from mcuprune.encodings.table import Array, Encoded, Encoding, Rows
from mcuprune.errors import EncodingError


def _blocks(rows: Rows, height: int, width: int) -> Rows:
    """(row groups, column groups, height, width); ragged edges are padded with zeros."""
    down, across = -(-rows.shape[0] // height), -(-rows.shape[1] // width)
    padded = np.zeros((down * height, across * width), np.int8)
    padded[: rows.shape[0], : rows.shape[1]] = rows
    return padded.reshape(down, height, across, width).transpose(0, 2, 1, 3)


def encode(rows: Rows, height: int, width: int) -> Encoded:
    """rows: int8 (rows, cols); a block is height output channels by width columns.

    Raises:
        EncodingError: a group of rows has more than 65535 blocks.
    """
    blocks = _blocks(rows, height, width)
    kept: NDArray[np.bool_] = np.any(blocks, axis=(2, 3))
    stream = gap_stream(kept)
    if stream.counts.max(initial=0) > MAX_PAIRS:
        raise EncodingError(
            f"{height} rows have {stream.counts.max()} blocks, block holds {MAX_PAIRS}", hint="take dense"
        )
    values = np.zeros((len(stream.gaps), height, width), np.int8)
    values[stream.entry] = blocks[kept]
    return Encoded(
        block_name(height, width),
        (rows.shape[0], rows.shape[1]),
        (
            Array("row_blocks", "uint16_t", stream.counts.astype(np.uint16)),
            Array("gap", "uint8_t", stream.gaps),
            Array("values", "int8_t", values.reshape(-1)),
        ),
        {"block_rows": height, "block_cols": width},
    )


def decode(encoded: Encoded) -> Rows:
    """The rows again, int8 (rows, cols)."""
    height, width = encoded.scalars["block_rows"], encoded.scalars["block_cols"]
    blocks = _blocks(np.zeros(encoded.shape, np.int8), height, width).copy()
    values = encoded.array("values").reshape(-1, height, width)
    at = 0
    for group, count in zip(blocks, encoded.array("row_blocks").tolist(), strict=True):
        group[positions_of(encoded.array("gap")[at : at + count])] = values[at : at + count]
        at += count
    whole = blocks.transpose(0, 2, 1, 3).reshape(blocks.shape[0] * height, -1)
    return np.ascontiguousarray(whole[: encoded.shape[0], : encoded.shape[1]])


def block_name(height: int, width: int) -> str:
    """Name of the encoding: block2x2."""
    return f"block{height}x{width}"


def block_encoding(height: int, width: int) -> Encoding:
    """The row of the table for one size of block."""
    return Encoding(
        block_name(height, width),
        f"blocks of {height} output channels by {width} columns: 1 byte a block and {height * width} of values",
        lambda rows: encode(rows, height, width),
        decode,
        struct="block",
    )


BLOCKS = tuple(block_encoding(h, w) for h, w in ((2, 2), (2, 1), (1, 2), (4, 1), (1, 4), (1, 16)))
