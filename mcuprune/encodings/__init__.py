"""How weights lie in flash: a table of encodings, each with encode, decode and a size."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune.encodings.bitmap import BITMAP
from mcuprune.encodings.block import BLOCKS
from mcuprune.encodings.dense import DENSE
from mcuprune.encodings.gap import GAP
from mcuprune.encodings.nm import NM
from mcuprune.encodings.nm_row import NM_ROW
from mcuprune.encodings.rice import RICE
from mcuprune.encodings.table import Array, Encoded, Encoding, Rows

_ALL = (DENSE, BITMAP, RICE, GAP, *BLOCKS, NM, NM_ROW)

ENCODINGS: Mapping[str, Encoding] = {encoding.name: encoding for encoding in _ALL}
"""Encodings by name."""

__all__ = ["ENCODINGS", "Array", "Encoded", "Encoding", "Rows"]
