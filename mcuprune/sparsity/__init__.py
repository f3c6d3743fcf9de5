"""Pruning of Keras 3 models by training: masks on the variables, a schedule, exact counts.

Importing this package is cheap; TensorFlow and Keras come with the first use of a name that needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mcuprune.sparsity.curves import Sensitivity, read_sensitivity
from mcuprune.sparsity.options import TrainOptions
from mcuprune.sparsity.schedule import ConstantSparsity, PolynomialDecay, PruningSchedule

if TYPE_CHECKING:
    from mcuprune.sparsity.channels import ShrinkReport, shrink_channels
    from mcuprune.sparsity.checkpoint import PruningCheckpoint
    from mcuprune.sparsity.criteria import Criterion, Magnitude, Taylor
    from mcuprune.sparsity.distill import distilled
    from mcuprune.sparsity.files import load_model, save_model
    from mcuprune.sparsity.layerwise import sensitivity
    from mcuprune.sparsity.pruner import Pruner
    from mcuprune.sparsity.train import PruneResult, fine_tune, prune
    from mcuprune.sparsity.weights import PrunableLayer, PrunableWeight, prunable_weights

__all__ = [
    "ConstantSparsity",
    "Criterion",
    "Magnitude",
    "PolynomialDecay",
    "PrunableLayer",
    "PrunableWeight",
    "PruneResult",
    "Pruner",
    "PruningCheckpoint",
    "PruningSchedule",
    "Sensitivity",
    "ShrinkReport",
    "Taylor",
    "TrainOptions",
    "distilled",
    "fine_tune",
    "load_model",
    "prunable_weights",
    "prune",
    "read_sensitivity",
    "save_model",
    "sensitivity",
    "shrink_channels",
]

_HOMES = {
    "Criterion": "criteria",
    "Magnitude": "criteria",
    "PrunableLayer": "weights",
    "PrunableWeight": "weights",
    "PruneResult": "train",
    "Pruner": "pruner",
    "PruningCheckpoint": "checkpoint",
    "ShrinkReport": "channels",
    "Taylor": "criteria",
    "distilled": "distill",
    "fine_tune": "train",
    "load_model": "files",
    "prunable_weights": "weights",
    "prune": "train",
    "save_model": "files",
    "sensitivity": "layerwise",
    "shrink_channels": "channels",
}
"""Modules of the names that need Keras."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mcuprune.sparsity.runtime import require_keras

    require_keras("prune by training")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
