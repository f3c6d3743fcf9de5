"""What a layer costs: executed instructions of each kernel, as a linear model with measured coefficients.

costs.toml holds the coefficients and how they were measured. A prediction is for comparing encodings of one layer, not
a time: instructions of different kernels take different cycles.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from mcuprune.encodings import Encoded
from mcuprune.kernels.catalog import Kernel
from mcuprune.kernels.params import Geometry

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of a kernel on a core: coefficients of features(), the largest relative error of a prediction
    by them, and the bytes of its code."""

    coefficients: Mapping[str, float]
    error: float
    code_bytes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """Executed instructions, predicted, between what the measured error allows."""

    instructions: float
    low: float
    high: float


NO_COST = Cost(0.0, 0.0, 0.0)
"""Of layers that have one kernel only: there is nothing to compare."""


def features(kernel: Kernel, geometry: Geometry, encoded: Encoded) -> dict[str, float]:
    """What the coefficients multiply.

    layer: 1. row: rows times walks along the weights. output: rows times positions. walk: stored nonzeros (pairs,
    blocks, weights) times walks. entry: the same times positions. tail_row, tail_walk: row and walk of a short last
    tile. mask: bytes of a bitmap times walks. gather, pack: weights of an im2col column times positions, for layers
    whose columns are gathered and for all.
    """
    positions, (walks, tails) = geometry.positions, kernel.passes(geometry)
    rows, cols = encoded.shape
    stored = {"dense": "weights", "bitmap": "nz", "gap": "pairs"}.get(encoded.encoding, "gap")
    entries = encoded.array(stored).size / (2 if stored == "pairs" else 1)
    return {
        "layer": 1.0,
        "row": float(rows * walks),
        "output": float(rows * positions),
        "walk": entries * walks,
        "entry": entries * positions,
        "tail_row": float(rows * tails),
        "tail_walk": entries * tails,
        "mask": float(encoded.array("mask").size * walks) if encoded.encoding == "bitmap" else 0.0,
        "gather": 0.0 if geometry.pointwise else float(cols * positions),
        "pack": float(cols * positions),
    }


@cache
def _table() -> dict[str, dict[str, dict[str, float]]]:
    text = files("mcuprune.kernels").joinpath("costs.toml").read_text(encoding="utf-8")
    cores: dict[str, dict[str, dict[str, float]]] = tomllib.loads(text)["cores"]
    return cores


def measured(kernel: Kernel, core: str, encoding: str) -> Measured | None:
    """What is known of a kernel; a core that was not measured has the figures of the Cortex-M3. None: nothing."""
    table = _table()
    keys = (f"{kernel.symbol}:{encoding}", kernel.symbol)  # sizes of blocks have coefficients of their own
    for name in (core, "cortex-m3"):
        for key in keys:
            if key in table.get(name, {}):
                values = dict(table[name][key])
                return Measured(values, values.pop("error"), int(values.pop("code_bytes")))
    return None


def predict(kernel: Kernel, core: str, geometry: Geometry, encoded: Encoded) -> Cost:
    """Executed instructions of one inference of a layer; zeros for kernels without an alternative."""
    known = measured(kernel, core, encoded.encoding)
    if known is None:
        return NO_COST
    values = features(kernel, geometry, encoded)
    count = sum(value * values[name] for name, value in known.coefficients.items())
    return Cost(count, count * (1 - known.error), count * (1 + known.error))
