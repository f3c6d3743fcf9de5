"""How many weights of a Keras model are zero, and whether they have m zeros in each n; a model pruned at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras

from mcuprune.errors import ModelError
from mcuprune.masks import Budget, Pattern, Rule
from mcuprune.sparsity.files import why_not
from mcuprune.sparsity.pruner import Pruner
from mcuprune.sparsity.schedule import ConstantSparsity
from mcuprune.sparsity.tfmot.prune_model import prune_scope
from mcuprune.sparsity.train import LayerReport, report_layer
from mcuprune.sparsity.weights import assign_weight_goals, prunable_weights


def kernel_rows(path: Path) -> Iterator[tuple[str, tuple[int, ...], Any]]:
    """(name, shape, lines of consecutive input channels) of each kernel of a `.keras` file.

    Raises:
        ModelError: the file is missing, broken, or has classes that Keras does not know, or no kernels.
    """
    if not path.is_file():
        raise ModelError(f"there is no file {path.name}", where=str(path), hint="name a .keras file")
    try:
        with prune_scope():
            model = keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever its parts raise
        first = str(error).strip().split("\n")[0][:300]
        raise ModelError(
            f"Keras cannot load the model: {type(error).__name__}: {first}", where=str(path), hint=why_not(path)
        ) from error
    for weight in prunable_weights(model):
        inputs = [n for axis, n in enumerate(weight.shape) if axis not in weight.output_axes]
        yield weight.name, weight.shape, weight.rows().reshape(-1, inputs[-1] if inputs else 1)


def prune_once(
    model: Any, sparsity: float | None, pattern: Pattern, rules: Sequence[Rule], budget: Budget
) -> tuple[LayerReport, ...]:
    """Prune a built model without training: for what-if size and speed. What became of each layer.

    Kernels that nothing here can prune are no part of it: other_kernels() names them.

    Raises:
        ModelError, UsageError: as Pruner.attach().
    """
    pruner = Pruner(sparsity, pattern, rules=rules, budget=budget, schedule=ConstantSparsity(0.0, 0))
    weights = prunable_weights(model)
    pruner.attach_goals(model, weights, assign_weight_goals(weights, sparsity, pattern, rules, model.name, budget))
    pruner.step(0)
    pruner.finish(0)
    return tuple(report_layer(weight, goal) for weight, goal in zip(pruner.weights, pruner.goals, strict=True))
