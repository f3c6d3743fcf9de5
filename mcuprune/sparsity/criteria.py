"""Importance: which weights a layer misses least."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from mcuprune.sparsity.weights import PrunableWeight

Array = NDArray[Any]


class Criterion(Protocol):
    """What says how important each weight is. Only the order within a layer counts, unless a budget compares layers."""

    def importance(self, model: Any, weights: Sequence[PrunableWeight]) -> list[Array]:
        """Numbers whose magnitudes count, (rows, cols) for each weight; weights that are zero are least important."""
        ...


class Magnitude:
    """|w|: the default."""

    def importance(self, model: Any, weights: Sequence[PrunableWeight]) -> list[Array]:
        return [weight.rows() for weight in weights]
