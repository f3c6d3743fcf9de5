"""What a layer costs: executed instructions of each kernel, as a linear model with measured coefficients.

costs.toml holds the coefficients and how they were measured. A prediction is for comparing encodings of one layer, not
a time: instructions of different kernels take different cycles.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.resources import files

from mcuprune.encodings import Encoded
from mcuprune.kernels.catalog import Kernel
from mcuprune.kernels.params import Geometry

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def features(kernel: Kernel, geometry: Geometry, encoded: Encoded) -> dict[str, float]:
    """What the coefficients multiply.

    layer: 1. row: rows of the matrix (groups of rows of blocks) times walks along the weights. output: rows times
    positions. walk: stored nonzeros (pairs, blocks, weights) times walks. entry: the same times positions. mask: bytes
    of a bitmap times walks. gather, pack: weights of an im2col column times positions, for layers whose columns are
    gathered and for all.
    """
    positions, passes = geometry.positions, kernel.passes(geometry)
    rows, cols = encoded.shape
    groups = len(encoded.array("row_blocks")) if "block_rows" in encoded.scalars else rows
    stored = {"dense": "weights", "bitmap": "nz", "gap": "pairs"}.get(encoded.encoding, "gap")
    entries = encoded.array(stored).size / (2 if stored == "pairs" else 1)
    return {
        "layer": 1.0,
        "row": float(groups * passes),
        "output": float(rows * positions),
        "walk": entries * passes,
        "entry": entries * positions,
        "mask": float(encoded.array("mask").size * passes) if encoded.encoding == "bitmap" else 0.0,
        "gather": 0.0 if geometry.pointwise else float(cols * positions),
        "pack": float(cols * positions),
    }


@cache
def _coefficients() -> dict[str, dict[str, dict[str, float]]]:
    text = files("mcuprune.kernels").joinpath("costs.toml").read_text(encoding="utf-8")
    cores: dict[str, dict[str, dict[str, float]]] = tomllib.loads(text)["cores"]
    return cores


def instructions(kernel: Kernel, core: str, geometry: Geometry, encoded: Encoded) -> float:
    """Executed instructions of one inference of a layer, predicted.

    Args:
        core: name of the core; one that was not measured uses the figures of the Cortex-M3.
    """
    table = _coefficients()
    keys = (f"{kernel.symbol}:{encoded.encoding}", kernel.symbol)  # sizes of blocks have coefficients of their own
    found = [table[name][key] for name in (core, "cortex-m3") if name in table for key in keys if key in table[name]]
    values = features(kernel, geometry, encoded)
    return sum(value * values[name] for name, value in found[0].items()) if found else 0.0
