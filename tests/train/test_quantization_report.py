"""The report on each layer, and the verb and the stage of a recipe that train for int8."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.errors import ModelError, UsageError
from mcuprune.quantization import Quantized, quantization_report, quantize
from mcuprune.recipe.recipe import read_recipe
from mcuprune.recipe.road import Road
from mcuprune.sparsity import load_model, save_model
from mcuprune.sparsity.training import Progress
from tests.train.test_qat import Samples, empty, fit, residual

pytestmark = pytest.mark.train

DATA = "data.npz:xv=xv,yv=yv"
TRAINING = ["--qat", "--epochs", "2", "--batch-size", "60", "--learning-rate", "0.01"]


@pytest.fixture(scope="module")
def converted(samples: Samples) -> tuple[Any, Quantized]:
    """A model, and its int8 file by quantization after training."""
    model = fit(residual(), samples, 1, eager=True)
    return model, quantize(model, samples[0], samples=200)


def test_report_of_a_quantized_model(converted: tuple[Any, Quantized], samples: Samples) -> None:
    """Every operator has its layer; errors are those of the rounding, and rise where values are clipped."""
    model, result = converted
    x = samples[0][300:]
    report = quantization_report(model, result, x, samples=20)
    names = ["input", "stem", "wide_dw", "narrow", "sum", "side", "again", "pool", "hidden", "fc", "softmax"]
    assert [layer.name for layer in report.layers] == names and report.samples == 20 and report.notes == ()
    assert all(layer.clipped <= 0.01 and 0.2 < layer.rms_lsb < 3 for layer in report.layers)
    assert all(layer.sqnr_db is not None and layer.sqnr_db > 20 for layer in report.layers)
    stem = next(layer for layer in report.layers if layer.name == "stem")
    quant = result.graph.output_of(result.graph.ops[stem.index or 0]).quant
    weights = result.graph.tensor(result.graph.ops[stem.index or 0].inputs[1]).quant
    assert quant is not None and weights is not None
    assert (stem.scale, stem.zero_point, stem.low) == (quant.scale, -128, 0.0) and stem.high == 255 * quant.scale
    assert stem.channels == 6 and stem.weight_scale == (min(weights.scales), max(weights.scales))
    clipped = quantization_report(model, result, x * 4, samples=20).layers
    assert clipped[0].clipped > 0.1 and clipped[0].rms_lsb > 10
    json.dumps(report.to_json(), allow_nan=False)


def test_report_on_another_model(converted: tuple[Any, Quantized], samples: Samples, model: Any) -> None:
    """A file that was not made from the model is refused, not reported on."""
    with pytest.raises(ModelError, match="made from another model"):
        quantization_report(model, converted[1], samples[0])


def test_verb_trains(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """quantize --qat keeps the zeros, tells its epochs, and reports as JSON."""
    save_model(empty(load_model(Path("dense.keras"))), Path("half.keras"))
    assert run(["quantize", "half.keras", "--data", DATA, *TRAINING, "--report", "--json", "-o", "m.tflite"]) == 0
    captured = capfd.readouterr()
    result = json.loads(captured.out)
    told = [line[:12] for line in captured.err.splitlines()]
    assert told == ["loading Tens", "the float mo", "epoch 1 of 2", "epoch 2 of 2", "converting"]
    assert all(layer["keras_zeros"] * 2 == layer["size"] for layer in result["layers"])
    training = result["training"]
    assert (training["steps"], training["epochs"], len(training["history"])) == (10, 2, 2)
    assert result["accuracy"]["samples"] == 100 and result["accuracy"]["float"] == training["val_accuracy"]["before"]
    names = ["input", "conv_1", "ds_1_dw", "ds_1_pw", "avg_pool", "fc", "softmax"]
    assert [layer["name"] for layer in result["report"]["layers"]] == names


@pytest.mark.full
def test_verb_and_recipe_train_alike(files: Path) -> None:
    """The verb and the stage of a recipe give the same bytes."""
    assert run(["quantize", "dense.keras", "--data", DATA, *TRAINING, "-o", "verb.tflite"]) == 0
    Path("recipe.toml").write_text(
        f'name = "m"\nmodel = "dense.keras"\nboard = "mps2-an386"\ndata = "{DATA}"\ntest = "data.npz"\n'
        "[quantize]\nqat_epochs = 2\nqat_batch_size = 60\nqat_learning_rate = 0.01\n"
    )
    stage = Road(read_recipe(Path("recipe.toml")), Path("results"), Quiet())._quantize()
    assert stage.work()["training"]["steps"] == 10
    assert Path("results/int8.tflite").read_bytes() == Path("verb.tflite").read_bytes()


class Quiet:
    """A console that shows nothing."""

    def say(self, text: str) -> None:
        pass

    def progress(self, label: str, total: int) -> Any:
        return nullcontext(lambda done: None)

    def training(self, epochs: int) -> Any:
        return nullcontext(Progress())


def test_verb_prints_the_report(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each layer, after training or without it, also where the model's ends are float."""
    assert run(["quantize", "dense.keras", "--data", "data.npz", "--io", "float", "--report", "-o", "m.tflite"]) == 0
    text = capsys.readouterr().out
    assert "the file against float on 30 samples" in text and "ds_1_pw" in text and " LSB" in text and " dB" in text


def test_verify_against_float(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """verify --float: layers equal the reference, and stand beside the float model's; another model is refused."""
    assert run(["quantize", "dense.keras", "--data", "data.npz", "-o", "m.tflite"]) == 0
    command = ["verify", "m.tflite", "--data", "data.npz", "--samples", "9", "--json", "--float"]
    capsys.readouterr()
    assert run([*command, "dense.keras"]) == 0
    result = json.loads(capsys.readouterr().out)
    layers = {layer["name"]: layer for layer in result["float"]["layers"]}
    assert result["equal"] and result["float"]["samples"] == 9
    assert 0.98 < layers["ds_1_pw"]["cosine"] < 1 and layers["ds_1_pw"]["max_lsb"] >= layers["ds_1_pw"]["rms_lsb"] > 0
    other = load_model(Path("dense.keras"))
    for variable in other.trainable_variables:
        variable.assign(np.random.default_rng(5).normal(size=variable.shape))
    save_model(other, Path("other.keras"))
    assert run([*command, "other.keras"]) == 3
    assert "no operator of the file has the weights" in capsys.readouterr().err
    assert run(["verify", "m.tflite", "--float", "dense.keras"]) == 2
    assert "--float compares on real inputs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--epochs", "3"], "--epochs has no use without --qat"),
        (["--qat", "--samples", "10"], "--samples has no use with --qat"),
        (["--qat", "--learning-rate", "0"], "--learning-rate"),
        (["--qat"], "no key 'y'"),
    ],
)
def test_verb_errors(files: Path, capsys: pytest.CaptureFixture[str], options: list[str], complaint: str) -> None:
    """Options that do not go together, and data without labels: nothing is written."""
    np.savez("bare.npz", x=np.load("data.npz")["x"])
    assert run(["quantize", "dense.keras", "--data", "bare.npz", *options, "-o", "out/m.tflite"]) == 2
    assert complaint in capsys.readouterr().err and not Path("out").exists()


def test_recipe_errors(tmp_path: Path) -> None:
    """Options of the training are checked when the recipe is read."""
    path = tmp_path / "recipe.toml"
    path.write_text(
        'name = "m"\nmodel = "m.keras"\nboard = "b"\ndata = "d.npz"\ntest = "d.npz"\n[quantize]\nqat_epochs = 0\n'
    )
    with pytest.raises(UsageError, match=r"\[quantize\] epochs 0 is less than 1"):
        read_recipe(path)
