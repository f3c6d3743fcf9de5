"""Sensitivity: each layer pruned alone, and the model as it was afterwards."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.errors import DataError, ModelError, TrainingError, UsageError
from mcuprune.masks import mask, parse_pattern
from mcuprune.sparsity import Sensitivity, prunable_weights, read_sensitivity, sensitivity
from mcuprune.sparsity.evaluate import accuracy_of, predict
from mcuprune.sparsity.sensitivity_plot import svg

pytestmark = pytest.mark.train

Samples = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def trained(samples: Samples) -> Any:
    """The small DS-CNN after a short training: it knows its classes. Nobody may change it."""
    from tests.train.conftest import small_ds_cnn

    model = small_ds_cnn()
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    model.fit(samples[0], samples[1], epochs=8, batch_size=40, verbose=0)
    return model


def weights_of(model: Any) -> list[np.ndarray]:
    return [np.array(variable) for variable in model.variables]


@pytest.mark.parametrize("pattern", ["unstructured", "block:2x2", "channels"])
def test_each_layer_alone(trained: Any, samples: Samples, pattern: str) -> None:
    """Each figure is that of the model with this one layer pruned at once; the weights come back bit for bit."""
    x, y = samples
    before = weights_of(trained)
    seen: list[tuple[int, int]] = []
    found = sensitivity(trained, x, y, sparsities=(0.9, 0.5), pattern=pattern, progress=lambda *done: seen.append(done))
    for old, new in zip(before, weights_of(trained), strict=True):
        np.testing.assert_array_equal(new, old)
    assert found.sparsities == (0.5, 0.9) and found.samples == 400 and found.metric == "accuracy"
    assert found.dense == accuracy_of(trained, x, y) > 0.9
    assert seen == [(n, 9) for n in range(2, 10)]
    assert [layer.name for layer in found.layers] == ["conv_1", "ds_1_dw", "ds_1_pw", "fc"]
    for weight, layer in zip(prunable_weights(trained), found.layers, strict=True):
        rows = weight.rows().copy()
        for sparsity, value in zip(found.sparsities, layer.values, strict=True):
            most = (len(rows) - 1) / len(rows) if pattern == "channels" else 1.0  # one channel stays
            keep = mask(np.abs(rows), parse_pattern(pattern), min(sparsity, most))
            weight.variable.assign(weight.to_kernel(np.where(keep, rows, 0)))
            assert value == accuracy_of(trained, x, y)
        weight.variable.assign(weight.to_kernel(rows))


def test_loss_and_choice_of_layers(trained: Any, samples: Samples) -> None:
    """The loss is the mean cross-entropy; layers by glob, index or name; N:M says its sparsity, and where it fits."""
    x, y = samples
    found = sensitivity(trained, x, y, pattern="2:4", layers=("ds_*", "0"), metric="loss", samples=100)
    assert found.sparsities == (0.5,) and found.samples == 100
    picked = np.sort(np.random.default_rng(1).permutation(400)[:100])
    right = predict(trained, x[picked])[np.arange(100), y[picked]]
    assert found.dense == pytest.approx(-np.log(np.maximum(right, 1e-7)).mean(), rel=1e-5)
    values = {layer.name: (layer.values[0] is None, layer.note) for layer in found.layers}
    assert values == {
        "conv_1": (True, "2:4 sparsity needs weights of an output channel divisible by 4, got 9"),
        "ds_1_dw": (True, "2:4 sparsity needs weights of an output channel divisible by 4, got 9"),
        "ds_1_pw": (False, ""),
    }
    logits = keras.Model(trained.inputs, keras.ops.log(trained.outputs[0]) + 3.0)
    assert sensitivity(logits, x, y, metric="loss", layers=("fc",)).dense == pytest.approx(
        sensitivity(trained, x, y, metric="loss", layers=("fc",)).dense, rel=1e-4
    )


@pytest.mark.parametrize("fault", [KeyboardInterrupt, RuntimeError])
def test_weights_come_back(trained: Any, samples: Samples, fault: type[BaseException]) -> None:
    """Interrupted in the middle of a layer, the model has its weights back bit for bit."""
    before = weights_of(trained)

    def interrupt(done: int, total: int) -> None:
        if done == 7:
            assert np.count_nonzero(np.array(trained.get_layer("ds_1_dw").kernel)) < 72
            raise fault

    with pytest.raises(fault):
        sensitivity(trained, *samples, progress=interrupt)
    for old, new in zip(before, weights_of(trained), strict=True):
        np.testing.assert_array_equal(new, old)


def test_subclassed_models(samples: Samples) -> None:
    """A built model without a graph is measured, too."""

    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = keras.layers.Dense(8, "relu", name="first"), keras.layers.Dense(4, name="last")

        def call(self, x: Any) -> Any:
            return self.last(self.first(x))

    model = Own()
    model(samples[0][:1])
    found = sensitivity(model, *samples, sparsities=[0.5], layers=("first",))
    assert [(layer.name, layer.op, layer.size) for layer in found.layers] == [("first", "Dense", 512)]


def test_errors(trained: Any, samples: Samples) -> None:
    """What makes no sense is one error that says what to do."""
    x, y = samples
    for arguments, words in (
        ({"sparsities": (0.0, 0.5)}, "lie in"),
        ({"sparsities": ()}, "lie in"),
        ({"sparsities": (1.0,)}, "not in"),
        ({"sparsities": (0.8,), "pattern": "2:4"}, "implies its sparsity"),
        ({"pattern": "3:2"}, "do not fit"),
        ({"metric": "recall"}, "not known"),
        ({"layers": ("none",)}, "no layer with weights matches 'none'"),
        ({"samples": 0}, "too few"),
    ):
        with pytest.raises(UsageError, match=words):
            sensitivity(trained, x, y, **arguments)
    with pytest.raises(DataError, match="400 samples and 399 labels"):
        sensitivity(trained, x, y[1:])
    with pytest.raises(DataError):
        sensitivity(trained, x, y + 9)
    wide = keras.Sequential([keras.Input((64,)), keras.layers.Reshape((8, 8)), keras.layers.Dense(3)])
    with pytest.raises(ModelError, match="one score for each class"):
        sensitivity(wide, x, y)
    broken = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(4, bias_initializer=keras.initializers.Constant(np.nan))]
    )
    with pytest.raises(TrainingError, match="not numbers"):
        sensitivity(broken, x, y)


def test_json_and_picture(trained: Any, samples: Samples, tmp_path: Path) -> None:
    """What is written is read again as it was; the picture is XML with a line and a name for each layer."""
    found = sensitivity(trained, *samples, sparsities=(0.5, 0.9))
    path = tmp_path / "s.json"
    path.write_text(json.dumps(found.to_json()), encoding="utf-8")
    assert read_sensitivity(path) == found
    tree = ElementTree.fromstring(svg(found, "small <1>"))
    space = {"s": "http://www.w3.org/2000/svg"}
    assert len(tree.findall(".//s:polyline", space)) == 4
    text = " ".join(element.text or "" for element in tree.iter())
    assert "small <1>" in text and all(layer.name in text for layer in found.layers)
    for content, words in (("{", "no.*JSON"), ("[]", "holds no sensitivity"), ('{"sparsities": [2]}', "holds no")):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(UsageError, match=words):
            read_sensitivity(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_sensitivity(tmp_path / "none.json")


def test_costs(trained: Any) -> None:
    """Accuracy that is lost, or loss that came on top; the worst of all; curves for a budget, with the dense model."""
    from mcuprune.sparsity.curves import LayerSensitivity

    layers = (
        LayerSensitivity(0, "a", "Conv2D", 9, (0.8, 0.4)),
        LayerSensitivity(1, "b", "Dense", 9, (None, None), "does not fit"),
    )
    found = Sensitivity("accuracy", "unstructured", (0.5, 0.9), 0.9, 10, layers)
    assert found.costs(layers[0]) == pytest.approx((0.1, 0.5)) and found.costs(layers[1]) == (None, None)
    worst = found.worst()
    assert worst is not None and worst[0] is layers[0] and worst[1:] == (0.9, pytest.approx(0.5))
    assert dict(found.budget().curves["a"]) == pytest.approx({0.0: 0.0, 0.5: 0.1, 0.9: 0.5})
    assert list(found.budget().curves) == ["a"] and found.budget().kind == "sensitivity"
    assert Sensitivity("loss", "2:4", (0.5,), 0.9, 10, ()).worst() is None


def test_verb(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table, a picture, JSON; on the validation part."""
    assert run(["sensitivity", "dense.keras", "--data", "data.npz:xv=xv,yv=yv", "--plot", "out/s.svg"]) == 0
    captured = capsys.readouterr()
    assert "accuracy on 100 samples" in captured.out and "the most sensitive layer is" in captured.out
    assert captured.err == "loading TensorFlow\n" and Path("out/s.svg").read_text().startswith("<svg")
    options = ["--sparsities", "0.6", "--layer", "ds_*", "--metric", "loss", "--samples", "9", "--json"]
    assert run(["sensitivity", "dense.keras", "--data", "data.npz", *options]) == 0
    Path("s.json").write_text(capsys.readouterr().out)
    assert [layer.name for layer in read_sensitivity(Path("s.json")).layers] == ["ds_1_dw", "ds_1_pw"]
    for wrong in (["--sparsities", "x"], ["--sparsities", "1.5"], ["--pattern", "x"], ["--layer", "x"]):
        assert run(["sensitivity", "dense.keras", "--data", "data.npz", *wrong]) == 2
