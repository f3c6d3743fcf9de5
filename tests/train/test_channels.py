"""Shrinking: channels leave, outputs stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.errors import ModelError
from mcuprune.quantization import quantize
from mcuprune.sparsity import ShrinkReport, load_model, prunable_weights, shrink_channels
from mcuprune.sparsity.evaluate import predict
from tests.train.conftest import small_ds_cnn

pytestmark = pytest.mark.train

L = keras.layers


def shake(model: Any, seed: int = 1) -> Any:
    """Every variable random, so that biases and statistics count."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        if variable.dtype == "float32":
            low, high = (0.5, 1.5) if variable.name in ("gamma", "moving_variance") else (-0.5, 0.5)
            variable.assign(rng.uniform(low, high, tuple(variable.shape)))
    return model


def kill(layer: Any, *channels: int) -> None:
    """Zero kernels for these output channels."""
    variable = getattr(layer, "pointwise_kernel", None)
    variable = layer.kernel if variable is None else variable
    kernel = np.array(keras.ops.convert_to_numpy(variable))
    if isinstance(layer, L.DepthwiseConv2D):
        kernel.reshape(*kernel.shape[:-2], -1)[..., list(channels)] = 0
    else:
        kernel[..., list(channels)] = 0
    variable.assign(kernel)


def shrunk(model: Any, **options: Any) -> tuple[Any, dict[str, Any]]:
    """The small model, whose outputs equal the old ones on random inputs, and the report by layer."""
    before = [np.array(v) for v in model.variables]
    small, report = shrink_channels(model, **options)
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(3, *tensor.shape[1:])).astype(np.float32) for tensor in model.inputs]
    if options.get("exact", True):
        for old, new in zip(outputs(model, x), outputs(small, x), strict=True):
            np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-5)
    assert report.parameters_after == small.count_params() and report.parameters_before == model.count_params()
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(np.array(variable), value)
    return small, {layer.name: layer for layer in report.layers}


def outputs(model: Any, x: list[np.ndarray]) -> list[np.ndarray]:
    found = model(x if len(x) > 1 else x[0])
    return [np.asarray(value) for value in (found if isinstance(found, list) else [found])]


def chain(*layers: Any, shape: tuple[int, ...] = (6, 6, 3)) -> Any:
    return shake(keras.Sequential([keras.Input(shape), *layers]))


@pytest.mark.parametrize(
    ("build", "counts"),
    [
        (lambda: chain(L.Conv2D(6, 3, name="a"), L.Conv2D(4, 3, name="b")), {"a": 2, "b": 0}),
        (
            lambda: chain(
                L.Conv2D(6, 3, use_bias=False, name="a"),
                L.BatchNormalization(),
                L.ReLU(),
                L.MaxPooling2D(padding="same"),
                L.Conv2D(4, 1, padding="same", use_bias=False, name="b"),
            ),
            {"a": 2, "b": 0},
        ),
        (
            lambda: chain(L.Conv2D(6, 3, activation="tanh", name="a"), L.Flatten(), L.Dense(5, name="b")),
            {"a": 2, "b": 0},
        ),
        (
            lambda: chain(
                L.Conv2D(6, 3, name="a"), L.DepthwiseConv2D(2, depth_multiplier=2, name="dw"), L.Conv2D(4, 1, name="b")
            ),
            {"a": 2, "dw": 4, "b": 0},
        ),
        (
            lambda: chain(
                L.SeparableConv2D(6, 3, name="a"), L.SeparableConv2D(4, 3, depth_multiplier=2, name="b"), L.Flatten()
            ),
            {"a": 2, "b": 0},
        ),
        (
            lambda: chain(
                L.Conv1D(6, 3, name="a"), L.Dropout(0.5), L.GlobalAveragePooling1D(), L.Dense(3, name="b"), shape=(9, 2)
            ),
            {"a": 2, "b": 0},
        ),
        (lambda: chain(L.Conv3D(6, 2, name="a"), L.Conv3D(2, 2, name="b"), shape=(4, 4, 4, 2)), {"a": 2, "b": 0}),
        (
            lambda: chain(L.Dense(6, activation="gelu", name="a"), L.Dense(3, "softmax", name="b"), shape=(5,)),
            {"a": 2, "b": 0},
        ),
        (
            lambda: chain(L.Conv2D(6, 3, name="a"), L.Reshape((4, 24)), L.Conv1D(3, 2, name="b")),
            {"a": 2, "b": 0},
        ),
    ],
)
def test_constants_go_into_biases(build: Callable[[], Any], counts: dict[str, int]) -> None:
    """Each kind of layer: two dead channels, not zero, leave the first one, and every consumer takes them up."""
    model = build()
    kill(model.layers[0], 1, 4)
    small, report = shrunk(model)
    assert {name: layer.removed for name, layer in report.items()} == counts
    assert report["a"].dead == 2 and small.layers[0].get_config().get("filters", 4) == 4
    assert small.count_params() < model.count_params() and not small.compiled


def test_zero_padding() -> None:
    """A constant that is not zero stays where zeros are padded, with the reason; one that ReLU makes zero leaves."""

    def build(bias: float) -> Any:
        model = chain(L.Conv2D(6, 3, activation="relu", name="a"), L.Conv2D(4, 3, padding="same", name="b"))
        kill(model.layers[0], 1, 4)
        model.layers[0].bias.assign(np.full(6, bias))
        return model

    assert shrunk(build(-0.3))[1]["a"].removed == 2
    _, report = shrunk(build(0.25))
    assert (
        report["a"].removed == 0
        and report["a"].note == "2 dead stay: 'b' pads with zeros, and the constant is not zero"
    )
    small, report = shrunk(build(0.25), exact=False)
    assert report["a"].removed == 2
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype(np.float32)
    inner = (slice(None), slice(1, -1), slice(1, -1))
    old, new = (np.asarray(m(x)) for m in (build(0.25), small))
    np.testing.assert_allclose(new[inner], old[inner], rtol=1e-4, atol=1e-5)
    assert np.abs(new - old).max() > 1e-3  # the border


def test_depthwise_of_the_small_ds_cnn(model: Any) -> None:
    """Constants go through BatchNormalization, ReLU and depthwise layers, where padding lets them; two paths block."""
    shake(model)
    kill(model.get_layer("conv_1"), 0, 3)
    model.get_layer("conv_1_bn").beta.assign(np.full(8, -9.0))  # ReLU makes them zero
    kill(model.get_layer("ds_1_dw"), 5)  # its channel need not be made either
    kill(model.get_layer("ds_1_pw"), 2, 7, 11)
    small, report = shrunk(model)
    assert [(n, layer.dead, layer.removed) for n, layer in report.items()] == [
        ("conv_1", 2, 3),
        ("ds_1_dw", 1, 3),
        ("ds_1_pw", 3, 3),
        ("fc", 0, 0),
    ]
    assert small.get_layer("squeeze").target_shape == (9,) and small.get_layer("ds_1_dw").kernel.shape == (3, 3, 5, 1)
    assert [layer.name for layer in small.layers] == [layer.name for layer in model.layers]


def residual(kind: str) -> Any:
    """Two branches of one input, joined."""
    inputs = keras.Input((6, 6, 3))
    stem = L.Conv2D(5, 1, name="stem")(inputs)
    left, right = L.Conv2D(5, 1, name="left")(stem), L.Conv2D(5, 3, padding="same", name="right")(inputs)
    if kind == "+":
        joined = left + right
    else:
        joined = L.Concatenate()([left, right]) if kind == "concat" else getattr(L, kind)()([left, right])
    return shake(keras.Model(inputs, L.Conv2D(2, 3, name="last")(L.ReLU()(joined))))


@pytest.mark.parametrize("kind", ["Add", "+", "Subtract", "Multiply", "Maximum", "Average", "concat"])
def test_joined_branches(kind: str) -> None:
    """Through a sum a channel leaves where it is dead in all branches; a product is dead with one factor that is zero;
    concatenated channels are free."""
    model = residual(kind)
    kill(model.get_layer("left"), 1, 2)
    kill(model.get_layer("right"), 2, 3)
    model.get_layer("left").bias.assign([0.3, 0.0, 0.2, 0.5, 0.1])
    _, report = shrunk(model)
    removed = {"concat": 2, "Multiply": 2}.get(kind, 1)
    assert report["left"].removed == report["right"].removed == removed
    if kind == "Add":
        assert "joins it with a channel that lives" in report["left"].note


def test_broadcast_product() -> None:
    """Squeeze and excite: one factor a channel, and one map for all channels, which stays."""
    inputs = keras.Input((6, 6, 3))
    x = L.Conv2D(6, 3, name="a")(inputs)
    gate = L.Dense(6, "sigmoid", name="gate")(L.GlobalAveragePooling2D(keepdims=True)(x))
    spot = L.Conv2D(1, 1, name="spot")(x)
    model = shake(keras.Model(inputs, L.Conv2D(2, 3, name="last")(L.Multiply()([x, gate, spot]))))
    kill(model.get_layer("a"), 0, 5)
    model.get_layer("a").bias.assign(np.zeros(6))
    _, report = shrunk(model)
    assert [report[name].removed for name in ("a", "gate", "spot")] == [2, 2, 0]


def test_nested_and_shared_models() -> None:
    """Layers of nested models shrink; a layer that is called twice keeps what either call needs."""
    inner = keras.Sequential([keras.Input((6, 6, 3)), L.Conv2D(6, 3, name="deep"), L.ReLU()], name="inner")
    inputs = keras.Input((6, 6, 3))
    other = L.Conv2D(3, 1, name="other")(inputs)
    joined = L.Concatenate()([inner(inputs), inner(other)])
    model = shake(keras.Model(inputs, L.Conv2D(2, 3, name="last")(joined)))
    kill(model.get_layer("inner").get_layer("deep"), 1)
    kernel = np.array(model.get_layer("last").kernel)
    kernel[:, :, 2] = 0  # channel 2 of the first call alone is not read
    model.get_layer("last").kernel.assign(kernel)
    small, report = shrunk(model)
    assert report["deep"].removed == 1 and small.get_layer("inner").get_layer("deep").filters == 5


def test_what_is_not_read_leaves() -> None:
    """Channels whose consumers have zero weights leave, live as they are, and so does what they alone read."""
    model = chain(L.Conv2D(6, 3, name="a"), L.Conv2D(4, 3, name="b"), L.Conv2D(2, 1, name="c"))
    kernel = np.array(model.layers[2].kernel)
    kernel[:, :, 3] = 0
    model.layers[2].kernel.assign(kernel)
    kernel = np.array(model.layers[1].kernel)
    kernel[:, :, 5, :3] = 0  # channel 5 of a is read by channel 3 of b alone
    model.layers[1].kernel.assign(kernel)
    _, report = shrunk(model)
    assert [(layer.dead, layer.removed) for layer in report.values()] == [(0, 1), (0, 1), (0, 0)]


def test_one_channel_stays() -> None:
    """A layer that is dead throughout keeps a channel; inputs and outputs of the model keep all."""
    model = chain(L.Conv2D(6, 3, name="a"), L.ReLU(), L.Conv2D(4, 3, name="b"))
    kill(model.layers[0], *range(6))
    kill(model.layers[2], 0)
    small, report = shrunk(model)
    assert report["a"].removed == 5 and report["a"].note == "1 dead stay: one channel stays"
    assert report["b"].removed == 0 and "output of the model" in report["b"].note and small.output_shape[-1] == 4


def test_unknown_layers_keep_their_channels() -> None:
    """A layer that this does not know needs every channel in front of it and says so; what follows shrinks on."""
    model = chain(
        L.Conv2D(6, 3, name="a"),
        L.LayerNormalization(name="norm"),
        L.Conv2D(6, 1, groups=2, name="grouped"),
        L.Conv2D(5, 1, name="b"),
        L.Conv2D(2, 3, name="c"),
    )
    for layer in (model.layers[0], model.layers[3]):
        kill(layer, 1)
    _, report = shrunk(model)
    assert report["a"].removed == 0 and report["a"].note == (
        "1 dead stay: 'norm' (LayerNormalization) needs every channel"
    )
    assert report["b"].removed == 1 and "grouped" not in report


def test_the_road_with_channels(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pruned by channels, shrunk, quantized: smaller at each step, and as accurate as before it shrank."""
    data = ["--data", "data.npz:xv=xv,yv=yv"]
    options = ["--sparsity", "0.5", "--pattern", "channels", "--epochs", "1", "--batch-size", "30"]
    assert run(["prune", "dense.keras", *data, *options, "-o", "pruned.keras", "--json"]) == 0
    pruned = json.loads(capsys.readouterr().out)
    assert [layer["zeros"] for layer in pruned["layers"]] == [4 * 9, 0, 6 * 8, 0]
    assert run(["shrink", "pruned.keras", "-o", "small.keras", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["parameters_after"] < report["parameters_before"] == 8 * 10 + 8 * 10 + 12 * 9 + 4 * 28 + 52
    x = np.load("data.npz")["xv"]
    old, new = load_model(Path("pruned.keras")), load_model(Path("small.keras"))
    np.testing.assert_allclose(predict(new, x), predict(old, x), rtol=1e-4, atol=1e-5)
    assert new.get_layer("ds_1_pw").filters == 6  # its constants go into the classifier's bias
    result = quantize(new, x, samples=20)
    codes = sum(t.data.size for t in result.graph.tensors if t.data is not None and t.data.dtype == np.int8)
    assert codes == sum(w.size for w in prunable_weights(new)) < sum(w.size for w in prunable_weights(old))
    assert run(["shrink", "pruned.keras", "--inexact", "-o", "smaller.keras"]) == 0
    assert "parameters are left" in capsys.readouterr().out
    assert load_model(Path("smaller.keras")).get_layer("conv_1").filters == 4
    assert run(["shrink", "pruned.keras", "-o", "small.h5"]) == 2 and run(["shrink", "x.keras", "-o", "y.keras"]) == 3


def test_models_without_a_graph() -> None:
    """A subclassed model, or one that is not built, gets an error that says so."""

    class Own(keras.Model):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    for model in (Own(), keras.Sequential([L.Dense(3)])):
        with pytest.raises(ModelError, match="has no graph of layers"):
            shrink_channels(model)


def test_report_to_json(model: Any) -> None:
    """Plain numbers and texts."""
    report = shrink_channels(model)[1]
    assert isinstance(report, ShrinkReport) and report.removed == 0
    found = report.to_json()
    assert found["parameters_before"] == found["parameters_after"] == small_ds_cnn().count_params()
    assert found["layers"][0] == {
        "name": "conv_1", "op": "Conv2D", "channels": 8, "dead": 0, "removed": 0, "note": ""
    }  # fmt: skip
