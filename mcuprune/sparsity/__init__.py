"""Pruning of Keras 3 models by training: masks on the variables, a schedule, exact counts.

Importing this package is cheap; TensorFlow and Keras come with the first use of a name that needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mcuprune.sparsity.curves import Sensitivity, read_sensitivity
from mcuprune.sparsity.options import TrainOptions
from mcuprune.sparsity.schedule import ConstantSparsity, PolynomialDecay, PruningSchedule
from mcuprune.sparsity.tfmot.m_by_n import is_pruned_m_by_n

if TYPE_CHECKING:
    from mcuprune.sparsity.checkpoint import PruningCheckpoint
    from mcuprune.sparsity.criteria import Criterion, Magnitude, Taylor
    from mcuprune.sparsity.distill import distilled
    from mcuprune.sparsity.files import load_model, save_model
    from mcuprune.sparsity.layerwise import sensitivity
    from mcuprune.sparsity.pruner import Pruner
    from mcuprune.sparsity.shrink.channels import ShrinkReport, shrink_channels
    from mcuprune.sparsity.tfmot.callbacks import PruningSummaries, UpdatePruningStep
    from mcuprune.sparsity.tfmot.policy import PruneForLatencyOnXNNPack, PruningPolicy
    from mcuprune.sparsity.tfmot.prune_model import (
        prune_for_benchmark,
        prune_low_magnitude,
        prune_scope,
        strip_pruning,
    )
    from mcuprune.sparsity.tfmot.wrapper import PruneLowMagnitude, collect_prunable_layers
    from mcuprune.sparsity.train import PruneResult, fine_tune, prune
    from mcuprune.sparsity.weights import PrunableLayer, PrunableWeight, prunable_weights

__all__ = [
    "ConstantSparsity",
    "Criterion",
    "Magnitude",
    "PolynomialDecay",
    "PrunableLayer",
    "PrunableWeight",
    "PruneForLatencyOnXNNPack",
    "PruneLowMagnitude",
    "PruneResult",
    "Pruner",
    "PruningCheckpoint",
    "PruningPolicy",
    "PruningSchedule",
    "PruningSummaries",
    "Sensitivity",
    "ShrinkReport",
    "Taylor",
    "TrainOptions",
    "UpdatePruningStep",
    "collect_prunable_layers",
    "distilled",
    "fine_tune",
    "is_pruned_m_by_n",
    "load_model",
    "prunable_weights",
    "prune",
    "prune_for_benchmark",
    "prune_low_magnitude",
    "prune_scope",
    "read_sensitivity",
    "save_model",
    "sensitivity",
    "shrink_channels",
    "strip_pruning",
]

_HOMES = {
    "Criterion": "criteria",
    "Magnitude": "criteria",
    "PrunableLayer": "weights",
    "PrunableWeight": "weights",
    "PruneForLatencyOnXNNPack": "tfmot.policy",
    "PruneLowMagnitude": "tfmot.wrapper",
    "PruneResult": "train",
    "Pruner": "pruner",
    "PruningCheckpoint": "checkpoint",
    "PruningPolicy": "tfmot.policy",
    "PruningSummaries": "tfmot.callbacks",
    "ShrinkReport": "shrink.channels",
    "Taylor": "criteria",
    "UpdatePruningStep": "tfmot.callbacks",
    "collect_prunable_layers": "tfmot.wrapper",
    "distilled": "distill",
    "fine_tune": "train",
    "load_model": "files",
    "prunable_weights": "weights",
    "prune": "train",
    "prune_for_benchmark": "tfmot.prune_model",
    "prune_low_magnitude": "tfmot.prune_model",
    "prune_scope": "tfmot.prune_model",
    "save_model": "files",
    "sensitivity": "layerwise",
    "shrink_channels": "shrink.channels",
    "strip_pruning": "tfmot.prune_model",
}
"""Modules of the names that need Keras."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mcuprune.sparsity.runtime import require_keras

    require_keras("prune by training")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
