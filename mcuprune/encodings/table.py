"""What an encoding is: a way for the rows of a weight matrix to lie in flash.

Rows are output channels; columns are the weights of one output channel in the order of an im2col column. An encoding
turns int8 rows into arrays that the C struct of the same name points to, and back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Array:
    """A constant array in flash: integers, or records of a C struct.

    `member` is the field of the C struct that points to it.
    """

    member: str
    ctype: str
    data: NDArray[Any]

    @property
    def flash_bytes(self) -> int:
        return int(self.data.nbytes)


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Encoded rows: the arrays, and scalar members of the C struct.

    `shape` is (rows, cols) of the matrix that was encoded.
    """

    encoding: str
    shape: tuple[int, int]
    arrays: tuple[Array, ...]
    scalars: Mapping[str, int] = field(default_factory=dict)

    @property
    def flash_bytes(self) -> int:
        return sum(array.flash_bytes for array in self.arrays)

    def array(self, member: str) -> NDArray[Any]:
        """The data of one member."""
        return next(array.data for array in self.arrays if array.member == member)


@dataclass(frozen=True, slots=True)
class Encoding:
    """One row of the table of encodings. `struct` is the word that C kernels have for it; sizes of blocks share one."""

    name: str
    summary: str
    encode: Callable[[Rows], Encoded]
    decode: Callable[[Encoded], Rows]
    struct: str = ""

    @property
    def c_name(self) -> str:
        return self.struct or self.name
