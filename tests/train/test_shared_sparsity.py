"""Budgets and patterns of whole channels in training, and the sizes of what Keras saves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.errors import UsageError
from mcuprune.masks import Budget, Channels, parse_budget
from mcuprune.sizes import model_size
from mcuprune.sparsity import PolynomialDecay, TrainOptions, prunable_weights, prune
from mcuprune.sparsity.pruner import Pruner

pytestmark = pytest.mark.train

Samples = tuple[np.ndarray, np.ndarray]
FEW = TrainOptions(epochs=1, batch_size=50)


@pytest.mark.parametrize("budget", ["global", "erk", "global:0.4..0.7"])
def test_the_layers_share(model: Any, samples: Samples, budget: str) -> None:
    """Together the layers have the zeros that were asked for, not each; the classifier is none of them."""
    x, y = samples
    result = prune(model, x[:150], y[:150], x[150:], y[150:], sparsity=0.6, budget=parse_budget(budget), options=FEW)
    shared = [layer for layer in result.layers if layer.pattern]
    assert len(shared) == 2 and len({layer.sparsity for layer in shared}) == 2
    assert sum(layer.zeros for layer in shared) == round(sum(layer.size for layer in shared) * 0.6)
    limits = parse_budget(budget)
    assert all(limits.low <= layer.sparsity <= limits.high for layer in shared)


def test_channels(model: Any, samples: Samples) -> None:
    """Whole output channels are empty, exactly round(channels * s)."""
    x, y = samples
    prune(model, x[:150], y[:150], x[150:], y[150:], sparsity=0.5, pattern=Channels(), options=FEW)
    for weight in prunable_weights(model)[::2][:2]:
        rows = weight.rows()
        empty = ~rows.any(axis=1)
        assert empty.sum() == round(len(rows) * 0.5) and (rows[~empty] != 0).all()


def test_a_pruner_keeps_its_goals(model: Any) -> None:
    """Attached again, a global budget is not shared anew: weights that are sparse by then would change it."""
    pruner = Pruner(0.5, budget="global", schedule=PolynomialDecay(0, 0.5, 0, 4, frequency=1))
    pruner.attach(model)
    goals = pruner.goals
    assert len({goal.sparsity for goal in goals if goal.pattern}) == 2
    pruner.detach()
    for weight in pruner.weights:
        weight.variable.assign(np.ones(weight.shape))
    pruner.attach(model)
    assert pruner.goals == goals
    pruner.detach()
    with pytest.raises(UsageError, match="no budget"):
        Pruner(0.5, budget="fair")
    curves = {weight.name: {0.0: 0.0, 0.9: 1.0} for weight in pruner.weights}
    other = Pruner(0.5, budget=Budget("sensitivity", curves=curves), schedule=PolynomialDecay(0, 0.5, 0, 4))
    other.attach(model)
    zeros = [entry.goal.sparsity * entry.weight.size for entry in other.masked]
    assert sum(zeros) == round(sum(w.size for w, g in zip(pruner.weights, goals, strict=True) if g.pattern) * 0.5)
    other.detach()


def test_size_of_a_saved_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Parameters are the model's own, with or without an optimizer's state and random generators in the file."""
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(8), layers.Dropout(0.5, seed=1), layers.BatchNormalization(), layers.Dense(2)]
    )
    model.save(tmp_path / "plain.keras")
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(np.ones((8, 6)), np.ones((8, 2)), verbose=0)
    model.save(tmp_path / "trained.keras")
    for name in ("plain", "trained"):
        size = model_size(tmp_path / f"{name}.keras")
        weights = [w for w in model.weights if "seed" not in w.path]
        assert size.parameters == sum(int(np.prod(w.shape)) for w in weights)
    assert size.nonzero == sum(int(np.count_nonzero(w)) for w in weights)
    assert run(["size", str(tmp_path / "plain.keras"), str(tmp_path / "trained.keras"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["files"]
    assert rows[1]["bytes_ratio"] < 1 and rows[1]["zipped"] == "weights"
