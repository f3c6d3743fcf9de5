"""int8 by the TFLite converter: zeros stay zeros, names read well, and the road goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.data import load_dataset
from mcuprune.errors import ModelError, TrainingError, UsageError
from mcuprune.importers.tflite import import_bytes
from mcuprune.masks import parse_pattern
from mcuprune.pruning import weight_rows
from mcuprune.quantization import quantize, quantize_file
from mcuprune.quantization.zeros import check_zeros
from mcuprune.sparsity import TrainOptions, prunable_weights, prune
from mcuprune.tflite.reference import ReferenceInterpreter

pytestmark = pytest.mark.train

Samples = tuple[np.ndarray, np.ndarray]


def pruned_model(model: Any, samples: Samples, pattern: str = "unstructured") -> Any:
    """The model after a few steps, depthwise layer and classifier pruned too."""
    x, y = samples
    from mcuprune.masks import parse_rule

    rules = [
        parse_rule("*=0.5"),
        parse_rule(f"ds_1_pw=0.8,{pattern}" if pattern == "unstructured" else f"ds_1_pw={pattern}"),
    ]
    prune(model, x, y, rules=rules, pattern=parse_pattern("unstructured"), options=TrainOptions(3, 40, 1e-2))
    return model


def test_zeros_stay_zeros(model: Any, samples: Samples) -> None:
    """Each zero of each kernel is a zero code; operators and layers find each other."""
    result = quantize(pruned_model(model, samples), samples[0], samples=50)
    assert [layer.keras_name for layer in result.layers] == ["conv_1", "ds_1_dw", "ds_1_pw", "fc"]
    for layer, kernel in zip(result.layers, prunable_weights(model), strict=True):
        op = result.graph.ops[layer.index or 0]
        tensor = result.graph.tensor(op.inputs[1])
        assert tensor.data is not None
        codes, rows = weight_rows(op, tensor.data), kernel.rows()
        assert not codes[rows == 0].any() and layer.keras_zeros == (rows == 0).sum()
        assert layer.zeros == (codes == 0).sum() >= layer.keras_zeros and layer.size == rows.size
        assert layer.sparsity == layer.zeros / layer.size and op.name == layer.name
    assert result.layers[2].keras_zeros == 77 and result.samples == 50


def test_names_after_quantize(model: Any, samples: Samples) -> None:
    """Layers keep the names that they had in Keras."""
    names = [op.name for op in quantize(model, samples[0], samples=20).graph.ops]
    assert names == ["reshape", "conv_1", "ds_1_dw", "ds_1_pw", "avg_pool", "fc", "softmax"]


def test_names_of_nested_models(samples: Samples) -> None:
    """So do layers of nested and sequential models; those that Keras named are numbered by their place."""
    layers = keras.layers
    inner = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(4, 3, name="edge_3"), layers.ReLU()], name="stem")
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            inner,
            layers.DepthwiseConv2D(3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(4, 1),
            layers.GlobalAveragePooling2D(),
            layers.Dense(6, activation="relu"),
            layers.Dense(4, name="classes"),
        ]
    )
    result = quantize(model, samples[0], samples=20)
    assert [op.name for op in result.graph.ops] == ["edge_3", "ds_1_dw", "ds_1_pw", "mean", "fc", "classes"]
    assert result.notes == ("samples (64,) reshaped row-major to the model input's (8, 8, 1)",)


@pytest.mark.parametrize("io", ["int8", "float"])
def test_input_and_output(model: Any, samples: Samples, io: str) -> None:
    """int8 ends, or float ones with QUANTIZE and DEQUANTIZE; either runs."""
    result = quantize(model, samples[0], samples=20, int8_io=io == "int8")
    graph = result.graph
    kinds = [op.kind for op in graph.ops]
    assert ("QUANTIZE" in kinds) == ("DEQUANTIZE" in kinds) == (io == "float")
    tensor = graph.tensor(graph.inputs[0])
    assert tensor.dtype.value == {"int8": "int8", "float": "float32"}[io] and tensor.shape == (1, 64)
    with ReferenceInterpreter(result.content) as reference:
        assert reference.run([np.zeros((1, 64), tensor.dtype.numpy)])[0].shape == (1, 4)


def test_a_lost_zero_is_an_error(model: Any, samples: Samples) -> None:
    """A zero that became something else is found, and named."""
    model = pruned_model(model, samples)
    graph = import_bytes(quantize(model, samples[0], samples=20).content, "m")
    op = next(op for op in graph.ops if op.name == "ds_1_pw")
    data = graph.tensor(op.inputs[1]).data
    assert data is not None
    changed = data.copy()
    channel, column = (int(i) for i in np.argwhere(changed.reshape(12, 8) == 0)[0])
    changed.reshape(12, 8)[channel, column] = 1
    object.__setattr__(graph.tensor(op.inputs[1]), "data", changed)
    with pytest.raises(TrainingError, match=f"1 zeros were lost .* output channel {channel}, weight {column}: code 1"):
        check_zeros(model, graph, "m")


def test_layers_of_one_shape(samples: Samples) -> None:
    """Layers of equal shape are told apart by their weights, wherever the converter puts them."""
    layers = keras.layers
    inputs = keras.Input((64,))
    first, second = layers.Dense(16, name="left")(inputs), layers.Dense(16, name="right")(inputs)
    model = keras.Model(inputs, layers.Dense(4, name="fc")(layers.Add()([second, first])))
    x, y = samples
    prune(model, x, y, sparsity=0.75, options=TrainOptions(1))
    result = quantize(model, x, samples=20)
    assert {layer.keras_name: layer.name for layer in result.layers} == {n: n for n in ("left", "right", "fc")}
    assert [layer.keras_zeros for layer in result.layers] == [768, 768, 0]


def test_models_that_cannot_be_quantized(model: Any, samples: Samples, capfd: pytest.CaptureFixture[str]) -> None:
    """NaN weights, an operator that is not supported, no samples: one error each, and TensorFlow is silent."""
    with pytest.raises(UsageError, match="0 samples"):
        quantize(model, samples[0], samples=0)
    odd = keras.Sequential([keras.Input((64,)), keras.layers.Dense(4), keras.layers.Lambda(keras.ops.erf)])
    with pytest.raises((ModelError, TrainingError), match=r"converted model cannot be used|converter failed"):
        quantize(odd, samples[0], samples=5)
    model.layers[2].kernel.assign(np.full(model.layers[2].kernel.shape, np.nan))
    with pytest.raises(TrainingError, match="72 of 72 values are not finite"):
        quantize(model, samples[0], samples=5)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


# the verb


def test_the_road_from_keras_to_host(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """prune, quantize, verify: every layer equals the reference, and stderr says nothing of TensorFlow."""
    data = ["--data", "data.npz:xv=xv,yv=yv"]
    prune_options = ["--sparsity", "0.8", "--layer", "conv_1=0.5", "--epochs", "2", "-o", "pruned.keras", "--json"]
    assert run(["prune", "dense.keras", *data, *prune_options]) == 0
    after = json.loads(capfd.readouterr().out)["val_accuracy"]["after"]
    assert run(["quantize", "pruned.keras", *data, "--samples", "100", "-o", "out/int8.tflite", "--json"]) == 0
    captured = capfd.readouterr()
    result = json.loads(captured.out)
    assert captured.err.splitlines() == ["loading TensorFlow", "quantizing with 100 samples"]
    assert result["accuracy"]["float"] == pytest.approx(after) and result["accuracy"]["samples"] == 100
    assert abs(result["accuracy"]["int8"] - after) <= 0.05
    layers = {layer["name"]: layer for layer in result["layers"]}
    assert layers["ds_1_pw"]["keras_zeros"] == 77 <= layers["ds_1_pw"]["zeros"]
    assert run(["verify", "out/int8.tflite", "--data", "data.npz", "--samples", "5", "--json"]) == 0
    verified = json.loads(capfd.readouterr().out)
    assert verified["equal"] and verified["model_sha256"] == result["model_sha256"]


def test_verb_and_recipe_give_one_file(files: Path) -> None:
    """The verb and the stage of a recipe calibrate on the same samples."""
    assert run(["quantize", "dense.keras", "--data", "data.npz", "--samples", "20", "-o", "verb.tflite"]) == 0
    quantize_file(Path("dense.keras"), load_dataset("data.npz"), Path("stage.tflite"), samples=20)
    assert Path("verb.tflite").read_bytes() == Path("stage.tflite").read_bytes()


def test_verb_prints_a_table(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Layers and both accuracies; without labels no accuracy."""
    assert run(["quantize", "dense.keras", "--data", "data.npz", "--io", "float", "-o", "m.tflite"]) == 0
    text = capsys.readouterr().out
    assert "accuracy on 30 validation samples: float" in text and "zeros of the Keras model are zeros" in text
    np.savez("unlabelled.npz", x=np.load("data.npz")["x"])
    assert run(["quantize", "dense.keras", "--data", "unlabelled.npz", "-o", "m.tflite"]) == 0
    assert "accuracy" not in capsys.readouterr().out


def test_verb_errors(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another kind of file, a missing one, data that do not fit: nothing is written."""
    assert run(["quantize", "m.tflite", "--data", "data.npz", "-o", "out/m.tflite"]) == 2
    assert run(["quantize", "none.keras", "--data", "data.npz", "-o", "out/m.tflite"]) == 3
    assert run(["quantize", "dense.keras", "--data", "data.npz:x=y", "-o", "out/m.tflite"]) == 2
    assert "a sample has 1 values" in capsys.readouterr().err and not Path("out").exists()
