"""Which samples calibrate and which compare: those that validated the pruning never calibrate."""

from __future__ import annotations

from mcuprune.data import Array, Dataset
from mcuprune.sparsity.samples import hold_out

SAMPLES = 500
"""Samples that the ranges of the activations are taken from, unless told."""


def training_part(data: Dataset, seed: int) -> Array:
    """Samples to calibrate on: all but what validates."""
    return data.x[hold_out(len(data), seed)[0]] if _splits(data) else data.x


def validation_part(data: Dataset, seed: int) -> tuple[Array, Array] | None:
    """Samples and labels to compare on: the data's own part, or the tenth that pruning by this seed holds out.

    None where there are no labels, or too few samples.
    """
    if data.xv is not None and data.yv is not None:
        return data.xv, data.yv
    if data.y is None or not _splits(data):
        return None
    held = hold_out(len(data), seed)[1]
    return data.x[held], data.y[held]


def _splits(data: Dataset) -> bool:
    return data.xv is None and data.y is not None and len(data) >= 2
