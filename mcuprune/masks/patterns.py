"""Patterns: how zeros are placed in the weights of a layer.

A pattern lies on a matrix of rows = output channels and columns = the weights of one output channel in the order of an
im2col column (H, W, I, the input channel running fastest). For 1x1 kernels and fully connected layers the columns are
the input channels; for larger kernels, and for one input channel, consecutive columns run along H*W*I. So one matrix
serves every kernel: weights OHWI are reshaped to (O, H*W*I), depthwise weights 1HWC are turned to (C, H*W).

Groups of N:M and blocks along the columns of a KxK kernel lie within the input channels of one pixel where M (or C)
divides I. Where M divides H*W*I alone, groups run on from one pixel's channels to the next pixel's: still N of each M
consecutive weights of an im2col column, which is what kernels read. Where M does not divide H*W*I it is an error: no
group is shorter, and nothing is filled up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from mcuprune.errors import UsageError

Pooling = Literal["avg", "max", "l2"]
"""How the importance of a block comes from its weights': mean (as sum), largest, L2 norm."""

MAX_SIZE = 2**16 - 1  # of a group or a block: no layer of the firmware has more channels

_HINT = "unstructured, N:M (2:4), N:MxR (2:4x2), block:RxC (block:4x1, block:2x2:max, block:2x2:l2) or channels"
_NM = re.compile(r"([0-9]{1,9}):([0-9]{1,9})(?:x([0-9]{1,9}))?")
_BLOCK = re.compile(r"block:([0-9]{1,9})x([0-9]{1,9})(?::(avg|max|l2))?")


@dataclass(frozen=True, slots=True)
class Unstructured:
    """Zeros anywhere."""

    def __str__(self) -> str:
        return "unstructured"


@dataclass(frozen=True, slots=True)
class NM:
    """At most `n` nonzeros in each `m` consecutive columns, in the same places for `rows` consecutive rows."""

    n: int
    m: int
    rows: int = 1

    def __post_init__(self) -> None:
        _check_sizes(self, self.n, self.m, self.rows)
        if self.n > self.m:
            raise UsageError(f"pattern {self}: {self.n} nonzeros do not fit in a group of {self.m}", hint=_HINT)

    def __str__(self) -> str:
        return f"{self.n}:{self.m}" + (f"x{self.rows}" if self.rows != 1 else "")


@dataclass(frozen=True, slots=True)
class Block:
    """Zeros in whole blocks of `rows` consecutive rows by `cols` consecutive columns, smaller at the edge.

    Blocks with the least mean (`avg`), largest (`max`) or L2 norm (`l2`) of |weight| go. What a block at the edge lacks
    counts as zeros: its mean is over rows * cols places, since a kernel spends as much on it as on a whole block.
    """

    rows: int
    cols: int
    pooling: Pooling = "avg"

    def __post_init__(self) -> None:
        _check_sizes(self, self.rows, self.cols)
        if self.pooling not in get_args(Pooling):
            raise UsageError(
                f"pooling {self.pooling!r} of a block is not known", hint=f"one of: {', '.join(get_args(Pooling))}"
            )

    def __str__(self) -> str:
        return f"block:{self.rows}x{self.cols}" + (f":{self.pooling}" if self.pooling != "avg" else "")


@dataclass(frozen=True, slots=True)
class Channels:
    """Zeros in whole rows: output channels with the least L2 norm go."""

    def __str__(self) -> str:
        return "channels"


Pattern = Unstructured | NM | Block | Channels


def parse_pattern(text: str) -> Pattern:
    """Pattern of a text: `unstructured`, `N:M`, `N:MxR`, `block:RxC[:avg|:max|:l2]` or `channels`; str() gives it back.

    Raises:
        UsageError: no such pattern, a size of 0, or N larger than M.
    """
    if text == "unstructured":
        return Unstructured()
    if text == "channels":
        return Channels()
    if found := _NM.fullmatch(text):
        n, m, rows = found.groups(default="1")
        return NM(int(n), int(m), int(rows))
    if found := _BLOCK.fullmatch(text):
        pooling: Pooling = "max" if found[3] == "max" else "l2" if found[3] == "l2" else "avg"
        return Block(int(found[1]), int(found[2]), pooling)
    raise UsageError(f"{text!r} is no pattern", hint=_HINT)


def sparsity_of(pattern: Pattern) -> float | None:
    """The sparsity that a pattern implies: 1 - N/M; None where it is free."""
    return 1 - pattern.n / pattern.m if isinstance(pattern, NM) else None


def unit_count(pattern: Pattern, rows: int, cols: int) -> int:
    """How many things a pattern drops one by one from a matrix: weights, whole blocks, or channels; N:M as weights."""
    if isinstance(pattern, Block):
        return -(-rows // pattern.rows) * -(-cols // pattern.cols)
    return rows if isinstance(pattern, Channels) else rows * cols


def check_columns(pattern: Pattern, cols: int, what: str = "columns") -> None:
    """Check that a pattern fits rows of `cols` weights; `what` says what is counted, for the error.

    Raises:
        UsageError: N:M groups would leave a rest.
    """
    if isinstance(pattern, NM) and cols % pattern.m:
        raise UsageError(f"{pattern} sparsity needs {what} divisible by {pattern.m}, got {cols}")


def _check_sizes(pattern: Pattern, *sizes: int) -> None:
    if not all(1 <= size <= MAX_SIZE for size in sizes):
        raise UsageError(f"pattern {pattern}: every size lies in 1..{MAX_SIZE}", hint=_HINT)
