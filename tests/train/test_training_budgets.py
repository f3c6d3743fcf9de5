"""Budgets in training: one threshold that moves with the weights, and shares by measured sensitivity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.errors import UsageError
from mcuprune.masks import Budget, parse_pattern, parse_rule
from mcuprune.recipe.recipe import PruneOptions, read_recipe
from mcuprune.sparsity import PolynomialDecay, Pruner, TrainOptions, prunable_weights, prune, sensitivity

pytestmark = pytest.mark.train

Samples = tuple[np.ndarray, np.ndarray]


def two_layers() -> Any:
    """Two hidden layers of 64 weights each, and a classifier."""
    layers = [
        keras.layers.Dense(8, name="first"),
        keras.layers.Dense(8, name="second"),
        keras.layers.Dense(4, name="fc"),
    ]
    return keras.Sequential([keras.Input((8,)), *layers])


def fill(model: Any, first: float, second: float) -> None:
    """Magnitudes of the two layers: rising around these means, without ties."""
    for name, mean in (("first", first), ("second", second)):
        model.get_layer(name).kernel.assign(mean * np.linspace(0.9, 1.1, 64).reshape(8, 8))


def zeros(model: Any) -> dict[str, int]:
    return {weight.name: int((weight.rows() == 0).sum()) for weight in prunable_weights(model)}


def test_the_threshold_moves_with_the_weights() -> None:
    """Each mask compares the layers anew: what training changed since the first one counts."""
    model = two_layers()
    fill(model, 0.1, 1.0)
    pruner = Pruner(0.5, budget="global", schedule=PolynomialDecay(0, 0.5, 0, 4, power=1, frequency=2))
    pruner.attach(model)
    pruner.step(0)
    assert sum(zeros(model).values()) == 0
    pruner.step(2)
    assert zeros(model) == {"first": 32, "second": 0, "fc": 0}  # a quarter of 128, all of the smaller layer
    model.get_layer("first").kernel.assign(20 * np.asarray(model.get_layer("first").kernel))
    pruner.step(4)
    assert zeros(model) == {"first": 32, "second": 32, "fc": 0}  # the zeros stay, the next 32 come from the other
    assert [goal.sparsity for goal in pruner.goals] == [0.5, 0.5, 0.0]
    assert pruner.goals[1].note == "by --budget global"
    pruner.finish(5)


def test_bounds_hold_at_the_end_and_on_the_way() -> None:
    """No layer gets more than its bound at any time; the lower bound rises with the sparsity."""
    model = two_layers()
    fill(model, 0.1, 1.0)
    schedule = PolynomialDecay(0, 0.5, 0, 8, frequency=1)
    pruner = Pruner(0.5, budget="global:0.375..0.625", schedule=schedule)
    pruner.attach(model)
    for step in range(9):
        pruner.step(step)
        found = zeros(model)
        assert found["first"] + found["second"] == round(128 * schedule.sparsity_at(step, 0.5))
        assert found["first"] <= 40 and found["second"] >= 0.7 * 64 * 0.375 * schedule.sparsity_at(step, 0.5) / 0.5 - 1
    assert found == {"first": 40, "second": 24, "fc": 0}
    pruner.finish(9)


@pytest.mark.parametrize("pattern", ["block:2x2", "channels"])
def test_global_budget_in_fit(pattern: str, samples: Samples) -> None:
    """Through fit(), by units of a pattern, beside a rule of its own; the counts are exact and checked."""
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(16, "relu", name="first"),
            keras.layers.Dense(16, "relu", name="second"),
            keras.layers.Dense(16, name="third"),
            keras.layers.Dense(4, name="fc"),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    pruner = Pruner(0.5, pattern, budget="global", rules=["third=0.25,unstructured"])
    model.fit(*samples, epochs=2, batch_size=100, verbose=0, callbacks=[pruner])
    found = zeros(model)
    assert found["third"] == 64 and found["fc"] == 0
    together = found["first"] + found["second"]
    assert together == 640 if pattern == "block:2x2" else 640 - 64 < together <= 640
    rows = prunable_weights(model)[0].rows() == 0
    if pattern == "channels":
        assert set(rows.sum(axis=1)) <= {0, 64}
    else:
        assert set(rows.reshape(8, 2, 32, 2).sum(axis=(1, 3)).ravel()) <= {0, 4}


@pytest.mark.parametrize(("sparsity", "gone", "note"), [(0.8, 6, ""), (0.95, 7, "one channel stays")])
def test_no_channel_less_than_one(sparsity: float, gone: int, note: str) -> None:
    """Exactly round(rows * S) channels go, but one of each layer stays, and the goal says so."""
    model = two_layers()
    pruner = Pruner(sparsity, "channels", schedule=PolynomialDecay(0, 0.5, 0, 0))
    pruner.attach(model)
    pruner.step(0)
    assert zeros(model) == {"first": 8 * gone, "second": 8 * gone, "fc": 0}
    assert [goal.note for goal in pruner.goals[:2]] == [note, note]
    pruner.finish()


def test_by_sensitivity(samples: Samples) -> None:
    """The layer that costs more is pruned less; measured before training, or given; rules and N:M are seen to."""
    x, y = samples
    settings: Any = {"options": TrainOptions(epochs=1, batch_size=100), "sparsity": 0.6}
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((64,)), *(keras.layers.Dense(16, "relu", name=name) for name in "abc"), keras.layers.Dense(4)]
    )
    result = prune(model, x, y, budget="sensitivity", rules=[parse_rule("c=0.25")], **settings)
    first, second, third, _ = result.layers
    assert first.zeros + second.zeros == round((64 + 16) * 16 * 0.6) and first.sparsity != second.sparsity
    assert third.zeros == 64 and first.note == "by --budget sensitivity"
    assert "sensitivity measured on 40 validation samples" in result.notes
    given = Budget(
        "sensitivity", curves={"a": {0.0: 0.0, 0.9: 9.0}, "b": {0.0: 0.0, 0.9: 0.0}, "c": {0.0: 0.0, 0.9: 0.1}}
    )
    pruner = Pruner(0.6, budget=given, schedule=PolynomialDecay(0, 0.6, 0, 9))
    pruner.attach(model)
    sizes = [round(goal.sparsity * weight.size) for goal, weight in zip(pruner.goals, pruner.weights, strict=True)]
    assert sizes == [round(1536 * 0.6) - 460, 230, 230, 0]  # two as far as was measured, the rest is the first one's
    pruner.detach()
    found = sensitivity(model, x, y, sparsities=(0.5, 0.9), metric="loss")
    assert Pruner(0.5, budget=found).budget == found.budget()
    with pytest.raises(UsageError, match="needs measurements"):
        Pruner(0.5, budget="sensitivity")
    settings["sparsity"] = None
    with pytest.raises(UsageError, match="nothing to share"):
        prune(model, x, y, budget="sensitivity", pattern=parse_pattern("2:4"), **settings)
    settings["sparsity"] = 0.5
    with pytest.raises(UsageError, match="no layer is left"):
        prune(model, x, y, budget="sensitivity", rules=[parse_rule("*=0.5")], **settings)


def test_verb(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """prune measures by itself, or reads what `sensitivity --json` printed, which a .tflite needs."""
    data, options = ["--data", "data.npz"], ["--sparsity", "0.6", "--budget", "sensitivity"]
    train = ["prune", "dense.keras", *data, *options, "--epochs", "1", "-o", "out.keras", "--json"]
    assert run(train) == 0
    captured = capsys.readouterr()
    first = json.loads(captured.out)
    assert "measuring the sensitivity" in captured.err and first["shrink"] is None
    assert run(["sensitivity", "dense.keras", *data, "--metric", "loss", "--json"]) == 0
    Path("s.json").write_text(capsys.readouterr().out)
    assert run([*train, "--sensitivity", "s.json", "--shrink"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert second["shrink"]["parameters_after"] <= second["shrink"]["parameters_before"] == 432
    for found in (first, second):
        shared = [layer for layer in found["layers"] if layer["pattern"]]
        assert [layer["name"] for layer in shared] == ["conv_1", "ds_1_pw"]
        assert sum(layer["zeros"] for layer in shared) == round(168 * 0.6)
    assert run(["quantize", "dense.keras", *data, "--samples", "20", "-o", "m.tflite"]) == 0
    one_shot = ["prune", "m.tflite", "--one-shot", *options, "-o", "p.tflite"]
    assert run(one_shot) == 2 and run([*one_shot, "--sensitivity", "s.json"]) == 0
    assert run([*train, "--sensitivity", "none.json"]) == 2
    assert run(["prune", "dense.keras", *data, "--sparsity", "0.5", "--sensitivity", "s.json", "-o", "x.keras"]) == 2
    assert "--sensitivity has no use for --budget uniform" in capsys.readouterr().err


def test_recipe(tmp_path: Path) -> None:
    """Recipes have the same keys; what needs a Keras model is refused at a .tflite."""
    text = 'name = "m"\nmodel = "m.{}"\nboard = "host"\ntest = "t.npz"\ndata = "t.npz"\n[prune]\nsparsity = 0.5\n{}\n'
    path = tmp_path / "r.toml"
    path.write_text(text.format("keras", 'budget = "sensitivity"\nshrink = true'))
    found = read_recipe(path).prune
    assert found == PruneOptions(0.5, budget="sensitivity", shrink=True) and found.parsed_budget == "sensitivity"
    for line, words in (
        ('budget = "sensitivity"', "needs a .keras model"),
        ("shrink = true", "needs a .keras model"),
        ("shrink = 1", "needs a bool"),
        ("epochs = true", "needs a int"),
        ('budget = "fair"', "no budget"),
    ):
        path.write_text(text.format("tflite", line))
        with pytest.raises(UsageError, match=words):
            read_recipe(path)
