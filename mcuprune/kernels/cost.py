"""What a layer costs on a core: a linear model of each kernel with measured coefficients.

costs.toml holds the coefficients, for executed instructions and, where a timing model of the core is documented, for
modelled cycles. A prediction is for comparing kernels and encodings of one layer.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from mcuprune.kernels.kernel import Kernel, Packed
from mcuprune.kernels.params import Geometry

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


LIKE: Mapping[str, str] = {
    "host": "cortex-m3",
    "cortex-m7": "cortex-m4f",
    "cortex-m33": "cortex-m4f",
}
"""Cores that have the figures of another one."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of a kernel on a core.

    instructions, cycles: coefficients of features(); `cycles` is empty where the core has no timing model.
    error: the largest relative error of a prediction by them. code: bytes of each source file that
    the kernel brings along.
    """

    instructions: Mapping[str, float]
    cycles: Mapping[str, float]
    error: float
    code: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Cost:
    """Predicted instructions and modelled cycles of one inference; cycles are 0 where the core has no timing model."""

    instructions: float = 0.0
    cycles: float = 0.0
    error: float = 0.0

    @property
    def effort(self) -> float:
        """What choices compare: cycles where they are known, else instructions."""
        return self.cycles or self.instructions

    @property
    def unit(self) -> str:
        return "cycles" if self.cycles else "instructions"

    @property
    def low(self) -> float:
        """The least effort that the measured error allows."""
        return self.effort * (1 - self.error)

    @property
    def high(self) -> float:
        return self.effort * (1 + self.error)


NO_COST = Cost()
"""Of kernels that were not measured: there is nothing to compare."""


def features(kernel: Kernel, geometry: Geometry, packed: Packed) -> dict[str, float]:
    """What the coefficients multiply.

    layer: 1. tile: walks along the weights. row: rows times walks. output: rows times positions. walk: stored entries
    (weights, nonzeros, blocks) times walks. entry: the same times positions. short_row, short_walk: row and walk of a
    short last tile. mask: bytes of a bitmap times walks. once: stored entries. column, gather: positions, and
    weights of an im2col column times positions, of layers whose columns are gathered. pack: the latter for all.
    """
    positions, (walks, short) = geometry.positions, kernel.walks(geometry)
    rows, cols, entries = geometry.rows, geometry.cols, packed.entries
    return {
        "layer": 1.0,
        "tile": float(walks),
        "row": float(rows * walks),
        "output": float(rows * positions),
        "walk": float(entries * walks),
        "entry": float(entries * positions),
        "short_row": float(rows * short),
        "short_walk": float(entries * short),
        "mask": float(packed.mask_bytes * walks),
        "once": float(entries),
        "column": 0.0 if geometry.pointwise else float(positions),
        "gather": 0.0 if geometry.pointwise else float(cols * positions),
        "pack": float(cols * positions),
    }


@cache
def _table() -> dict[str, Any]:
    text = files("mcuprune.kernels").joinpath("costs.toml").read_text(encoding="utf-8")
    cores: dict[str, Any] = tomllib.loads(text)["cores"]
    return cores


def measured(kernel: Kernel, core: str, encoding: str) -> Measured | None:
    """What is known of a kernel on a core, or on the one it is like. None: nothing."""
    table = _table().get(LIKE.get(core, core), {})
    for key in (f"{kernel.symbol}:{encoding}", kernel.symbol):  # sizes of blocks have coefficients of their own
        if key in table:
            known = table[key]
            return Measured(known["instructions"], known.get("cycles", {}), known["error"], known["code"])
    return None


def predict(kernel: Kernel, core: str, encoding: str, geometry: Geometry, packed: Packed) -> Cost:
    """What one inference of a layer costs; NO_COST for kernels that were not measured."""
    known = measured(kernel, core, encoding)
    if known is None:
        return NO_COST
    values = features(kernel, geometry, packed)

    def total(coefficients: Mapping[str, float]) -> float:
        return sum(value * values[name] for name, value in coefficients.items())

    return Cost(total(known.instructions), total(known.cycles), known.error)
