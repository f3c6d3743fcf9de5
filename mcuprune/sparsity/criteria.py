"""Importance: which weights a layer misses least."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mcuprune.sparsity.weights import PrunableWeight

Array = NDArray[Any]


class Criterion(Protocol):
    """What says how important each weight is. Only the order within a layer counts, unless a budget compares layers."""

    def importance(self, model: Any, weights: Sequence[PrunableWeight]) -> list[Array]:
        """Numbers of 0 or more, (rows, cols) for each weight; weights that are zero are least important."""
        ...


class Magnitude:
    """|w|: the default."""

    def importance(self, model: Any, weights: Sequence[PrunableWeight]) -> list[Array]:
        return [np.abs(weight.rows()) for weight in weights]
