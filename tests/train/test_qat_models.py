"""Which models can be trained for int8, which layers of them, and what is said of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mcuprune import quantization
from mcuprune.errors import McupruneError, ModelError, TrainingError
from mcuprune.quantization.accuracy import int8_predictions
from mcuprune.quantization.convert import ranges
from mcuprune.quantization.layers import QuantizeAnnotate, QuantizedLayer
from tests.train.conftest import small_ds_cnn
from tests.train.test_qat import Samples, empty, fit, largest_difference, outputs_of, residual

pytestmark = pytest.mark.train

layers = keras.layers


def quantized_names(model: Any) -> list[str]:
    return [layer.name for layer in model.layers if isinstance(layer, QuantizedLayer)]


def test_only_annotated_layers(samples: Samples) -> None:
    """Annotated layers alone are rounded; a conversion takes the others' ranges from samples, or asks for them."""
    start = empty(small_ds_cnn())
    marked = keras.models.clone_model(
        start,
        clone_function=lambda layer: (
            quantization.quantize_annotate_layer(layer) if layer.name in ("ds_1_pw", "fc") else layer
        ),
    )
    model = quantization.quantize_apply(marked)
    assert quantized_names(model) == ["ds_1_pw", "fc"] and len(ranges(model)) == 2
    assert "ds_1_dw_bn" in [layer.name for layer in model.layers]
    fit(model, samples, 1, eager=True)
    with pytest.raises(
        TrainingError, match=r"3 activations have no range yet, the first of 'quantized_input', 'conv_1'"
    ):
        quantization.convert_qat(model)
    result = quantization.convert_qat(model, samples[0], samples=100)
    trained = model.get_layer("ds_1_pw").output_range.range[1]
    op = next(op for op in result.graph.ops if op.name == "ds_1_pw")
    quant = result.graph.output_of(op).quant
    assert quant is not None and quant.scale == pytest.approx(trained / 255, rel=1e-6)
    assert largest_difference(model, result, samples[0][300:340]) <= 12  # the other layers are rounded only there


def test_annotated_models(samples: Samples) -> None:
    """quantize_annotate_model() marks all layers, computes the same, shares the weights, and survives a config."""
    start = small_ds_cnn()
    marked = quantization.quantize_annotate_model(start)
    kinds = [type(layer) for layer in marked.layers[1:]]
    assert set(kinds) == {QuantizeAnnotate} and marked.layers[2].layer is start.layers[2]
    x = samples[0][:10]
    np.testing.assert_array_equal(outputs_of(marked, x), outputs_of(start, x))
    with quantization.quantize_scope({"nothing": None}):
        again = keras.Model.from_config(marked.get_config())
    again.set_weights(marked.get_weights())
    model = quantization.quantize_apply(again)
    assert quantized_names(model) == ["conv_1", "ds_1_dw", "ds_1_pw", "fc"]
    np.testing.assert_array_equal(outputs_of(quantization.strip_quantization(model), x), outputs_of(start, x))


def test_sequential_with_annotated_layers(samples: Samples) -> None:
    """Layers marked where a model is written, the Add with its ReLU by the mark of the Add."""
    note = quantization.quantize_annotate_layer
    model = keras.Sequential([keras.Input((64,)), note(layers.Dense(8, activation="relu", name="a")), layers.Dense(4)])
    assert quantized_names(quantization.quantize_apply(model)) == ["a"]
    inputs = keras.Input((8, 8, 1))
    left, right = (layers.Conv2D(4, 3, name=name)(inputs) for name in ("left", "right"))
    x = layers.ReLU(name="relu")(note(layers.Add(name="sum"))([left, right]))
    model = quantization.quantize_apply(keras.Model(inputs, layers.Dense(4)(layers.Flatten()(x))))
    assert [layer.name for layer in ranges(model)] == ["relu_range"] and ranges(model)[0].nonnegative


def test_nested_models(samples: Samples) -> None:
    """Models in models are seen through; layers of one name get others."""
    inner = keras.Sequential([keras.Input((64,)), layers.Dense(8, activation="relu", name="fc")], name="inner")
    inputs = keras.Input((64,))
    model = empty(keras.Model(inputs, layers.Dense(4, name="fc")(inner(inputs)), name="outer"))
    trained = quantization.quantize_model(model)
    assert quantized_names(trained) == ["fc", "fc_2"]
    result = quantization.convert_qat(trained, samples[0])
    assert [layer.keras_zeros for layer in result.layers] == [256, 16]


@pytest.mark.parametrize(
    "case", ["channels", "layer", *(pytest.param(case, marks=pytest.mark.full) for case in ("output", "tiny"))]
)
def test_dead_and_tiny(case: str, samples: Samples) -> None:
    """Whatever is all zero or next to it has a scale that is not zero; int8 computes what the model does."""
    model = small_ds_cnn()
    pointwise, norm = (model.get_layer(name) for name in ("ds_1_pw", "ds_1_dw_bn"))
    if case == "channels":  # without weights, with next to none, switched off by batch norm
        factors = np.ones(12, np.float32)
        factors[[0, 3, 5]] = 0, 1e-6, 0
        pointwise.kernel.assign(pointwise.kernel.numpy() * factors)
        norm.gamma.assign([0, 0, 1, 1, 0, 1, 1, 1])
        norm.beta.assign(np.full(8, 0.7))  # equal biases: the converter needs help
    elif case == "layer":
        model.get_layer("ds_1_dw").kernel.assign(np.zeros((3, 3, 8, 1)))
        norm.beta.assign(np.linspace(-1, 1, 8))
        model.get_layer("fc").kernel.assign(model.get_layer("fc").kernel.numpy() * [0, 1, 1, 0])
    elif case == "output":
        norm.beta.assign(np.full(8, -100.0))
    else:
        norm.gamma.assign(np.full(8, 1e-5))
    trained = quantization.quantize_model(model)
    quantization.calibrate(trained, samples[0][:100])
    result = quantization.convert_qat(trained)
    assert all(min(t.quant.scales) > 0 for t in result.graph.tensors if t.quant is not None)
    assert largest_difference(trained, result, samples[0][300:320]) <= 2


def test_maximum_pooling(samples: Samples) -> None:
    """It trains, and converts for TFLite's interpreter with zeros and scales; qat() refuses it before it trains."""
    inputs = keras.Input((8, 8, 1))
    x = layers.MaxPooling2D(name="pool")(layers.Conv2D(6, 3, activation="relu", name="conv")(inputs))
    start = empty(keras.Model(inputs, layers.Dense(4, activation="softmax", name="fc")(layers.Flatten()(x))))
    x, y = samples[0].reshape(-1, 8, 8, 1), samples[1]
    with pytest.raises(ModelError, match=r"'pool'.*generate") as caught:
        quantization.qat(start, x, y)
    assert "convert_qat_for_tflite" in str(caught.value)
    model = fit(quantization.quantize_model(start), (x, y), 1, eager=True)
    with pytest.raises(ModelError, match=r"'pool'.*generate"):
        quantization.convert_qat(model)
    file = quantization.convert_qat_for_tflite(model)
    assert not file.unchecked and [layer.keras_zeros for layer in file.layers] == [27, 108]
    assert np.abs(file.predict(x[300:320]) - outputs_of(model, x[300:320])).max() <= 2.5 / 256


def with_layer(*middle: Any, shape: tuple[int, ...] = (8, 8, 3)) -> Any:
    """A classifier with these layers in it, untouched where they give a tensor of two dimensions."""
    x = inputs = keras.Input(shape)
    for layer in middle:
        x = layer(x)
    if len(x.shape) > 2:
        x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(4)(x), name="classifier")


def plus() -> Any:
    inputs = keras.Input((8,))
    return keras.Model(inputs, layers.Dense(4)(layers.Dense(8)(inputs) + inputs))


def shared() -> Any:
    inputs, dense = keras.Input((8,)), layers.Dense(8, name="dense")
    return keras.Model(inputs, layers.Dense(4)(dense(dense(inputs))))


def early_softmax() -> Any:
    inputs = keras.Input((8,))
    return keras.Model(inputs, layers.Dense(4)(layers.Dense(8, activation="softmax", name="gate")(inputs)))


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: with_layer(layers.LSTM(8, name="lstm"), shape=(8, 3)), r"'lstm' \(LSTM\).*kind is not supported"),
        (lambda: with_layer(layers.Conv2DTranspose(4, 3, name="up")), r"'up' \(Conv2DTranspose\).*kind"),
        (lambda: with_layer(layers.SeparableConv2D(4, 3, name="sep")), r"'sep' \(SeparableConv2D\).*kind"),
        (lambda: with_layer(layers.Conv2D(6, 3, groups=3, name="g")), "'g'.*3 groups"),
        (lambda: with_layer(layers.Conv2D(4, 3, activation="gelu", name="c")), "'c'.*its activation is not supported"),
        (lambda: with_layer(layers.Conv2D(4, 3), layers.LeakyReLU(name="leaky")), "'leaky'.*kind is not supported"),
        (lambda: with_layer(layers.ReLU(negative_slope=0.1, name="leaky")), "'leaky'.*its activation"),
        (lambda: with_layer(layers.BatchNormalization(name="first")), "'first'.*does not follow a layer"),
        (
            lambda: with_layer(layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization(name="bn")),
            "'bn'.*does not follow a layer",
        ),
        (lambda: with_layer(layers.Dense(4, name="d")), "'d'.*its input has 4 dimensions"),
        (plus, r"\(Add\).*a function, not a layer"),
        (shared, "'dense'.*called more than once"),
        (early_softmax, "'gate'.*softmax is not the end"),
    ],
)
def test_layers_that_cannot_be_trained(make: Any, complaint: str) -> None:
    """One error that names the layer, and what to do; nothing is silently left float."""
    with pytest.raises(ModelError, match=complaint) as caught:
        quantization.quantize_model(make())
    assert caught.value.where and caught.value.hint


def test_layers_that_are_not_annotated_may_be_anything(samples: Samples) -> None:
    """An LSTM beside an annotated layer trains as float; the conversion names it."""
    model = with_layer(
        layers.LSTM(8, name="lstm"), quantization.quantize_annotate_layer(layers.Dense(8, name="d")), shape=(8, 8)
    )
    model = quantization.quantize_apply(model)
    fit(model, (samples[0].reshape(-1, 8, 8), samples[1]), 1, eager=True)
    with pytest.raises(ModelError, match=r"'lstm' \(LSTM\)"):
        quantization.convert_qat(model, samples[0])


class Own(keras.Model):  # type: ignore[misc]
    def call(self, inputs: Any) -> Any:
        return inputs


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: quantization.quantize_apply(small_ds_cnn()), "no layer is annotated"),
        (lambda: quantization.quantize_model(quantization.quantize_model(small_ds_cnn())), "training already"),
        (lambda: quantization.quantize_apply(quantization.quantize_model(small_ds_cnn())), "training already"),
        (lambda: quantization.quantize_annotate_layer(small_ds_cnn()), "no layer that can be annotated"),
        (lambda: quantization.quantize_model(Own()), "no Sequential or Functional model"),
    ],
)
def test_misuse(call: Any, complaint: str) -> None:
    """One error each, with what to do."""
    with pytest.raises(McupruneError, match=complaint) as caught:
        call()
    assert caught.value.hint


def test_zeros_are_free_where_told(samples: Samples) -> None:
    """preserve_sparsity=False lets zeros grow back, and a dense model has no masks at all."""
    model = quantization.quantize_model(empty(residual()), preserve_sparsity=False)
    fit(model, samples, 1, eager=True)
    kernel = model.get_layer("narrow").layer.kernel
    assert kernel.constraint is None and np.count_nonzero(kernel) > kernel.numpy().size * 0.9
    dense = quantization.quantize_model(residual())
    assert all(layer.layer.kernel.constraint is None for layer in dense.layers if isinstance(layer, QuantizedLayer))


@pytest.mark.full
def test_the_example_model() -> None:
    """On the spoken words that are here, training for int8 is no worse than quantizing, and int8 decides as it did."""
    example = Path(__file__).parents[2] / "examples" / "spoken-words"
    model = keras.models.load_model(example / "dense.keras", compile=False)
    with np.load(example / "small_test.npz") as data:
        x, y = data["x"].astype(np.float32), data["y"].astype(np.int64)
    plain = quantization.quantize(model, x)
    options = quantization.QatOptions(epochs=2, batch_size=40, learning_rate=1e-4)
    trained = quantization.qat(model, x[:80], y[:80], x[80:], y[80:], options=options)
    before, after = (int8_predictions(made.content, made.graph, x, "x") for made in (plain, trained.quantized))
    assert (after == y).mean() >= (before == y).mean() - 0.02
    assert (after == outputs_of(trained.model, x).argmax(axis=1)).mean() >= 0.97
