"""The least that sparse weights need: where the nonzeros are, as entropy, and a byte for each of them."""

from __future__ import annotations

import math

import numpy as np

from mcuprune.encodings.table import Rows


def bound_bytes(rows: Rows) -> int:
    """H(density) bits a weight and 8 bits a nonzero, in whole bytes.

    rows: int8 (rows, cols). Masks with a structure (N:M, blocks) have less entropy than a free one of their density, so
    an encoding for them may lie below it.
    """
    nonzeros = int(np.count_nonzero(rows))
    return math.ceil((rows.size * binary_entropy(nonzeros / max(rows.size, 1)) + 8 * nonzeros) / 8)


def binary_entropy(p: float) -> float:
    """Bits that one coin needs that shows heads with probability p."""
    return 0.0 if p in (0.0, 1.0) else -p * math.log2(p) - (1 - p) * math.log2(1 - p)
