"""Patterns: how zeros are placed in the weights of a layer.

A pattern lies on a matrix of rows = output channels and columns = the weights of one output channel in the order of an
im2col column (H, W, I, the input channel running fastest). For 1x1 kernels and fully connected layers the columns are
the input channels; for larger kernels, and for one input channel, consecutive columns run along H*W*I. So one matrix
serves every kernel: weights OHWI are reshaped to (O, H*W*I), depthwise weights 1HWC are turned to (C, H*W).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mcuprune.errors import UsageError

MAX_SIZE = 2**16 - 1  # of a group or a block: no layer of the firmware has more channels

_HINT = "unstructured, N:M (2:4), N:MxR (2:4x2) or block:RxC (block:4x1)"
_NM = re.compile(r"([0-9]{1,9}):([0-9]{1,9})(?:x([0-9]{1,9}))?")
_BLOCK = re.compile(r"block:([0-9]{1,9})x([0-9]{1,9})")


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
    """Zeros in whole blocks of `rows` consecutive rows by `cols` consecutive columns, smaller at the edge."""

    rows: int
    cols: int

    def __post_init__(self) -> None:
        _check_sizes(self, self.rows, self.cols)

    def __str__(self) -> str:
        return f"block:{self.rows}x{self.cols}"


Pattern = Unstructured | NM | Block


def parse_pattern(text: str) -> Pattern:
    """Pattern of a text: `unstructured`, `N:M`, `N:MxR` or `block:RxC`; str() of the result gives it back.

    Raises:
        UsageError: no such pattern, a size of 0, or N larger than M.
    """
    if text == "unstructured":
        return Unstructured()
    if found := _NM.fullmatch(text):
        n, m, rows = found.groups(default="1")
        return NM(int(n), int(m), int(rows))
    if found := _BLOCK.fullmatch(text):
        return Block(int(found[1]), int(found[2]))
    raise UsageError(f"{text!r} is no pattern", hint=_HINT)


def sparsity_of(pattern: Pattern) -> float | None:
    """The sparsity that a pattern implies: 1 - N/M; None where it is free."""
    return 1 - pattern.n / pattern.m if isinstance(pattern, NM) else None


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
