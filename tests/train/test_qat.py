"""Quantization-aware training: int8 computes what was trained, and zeros stay zeros."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mcuprune import quantization
from mcuprune.errors import DataError, ModelError, TrainingError, UsageError
from mcuprune.pruning import weight_rows
from mcuprune.quantization import QatOptions, QatResult, Quantized, qat
from mcuprune.quantization.convert import check_ranges, ranges, weight_scales
from mcuprune.quantization.fake_quant import fake_quantize_weights
from mcuprune.quantization.layers import QuantizedLayer
from mcuprune.sparsity import prunable_weights
from mcuprune.sparsity.training import Progress
from mcuprune.tflite.reference import ReferenceInterpreter
from tests.train.conftest import small_ds_cnn

pytestmark = pytest.mark.train

Samples = tuple[np.ndarray, np.ndarray]
layers = keras.layers


def empty(model: Any, share: float = 0.5) -> Any:
    """The model with the smallest weights of each kernel set to zero."""
    for layer in prunable_weights(model):
        rows = layer.rows()
        kept = np.abs(rows) > np.quantile(np.abs(rows), share)
        layer.variable.assign(layer.to_kernel(np.where(kept, rows, 0).astype(np.float32)))
    return model


def residual() -> Any:
    """Two branches, an Add with ReLU and one without, padding, ReLU6, a global pool, no bias here and there."""
    keras.utils.set_random_seed(6)
    inputs = keras.Input((64,), name="features")
    x = layers.Reshape((8, 8, 1))(inputs)
    x = layers.ZeroPadding2D(1, name="padding")(x)
    x = layers.Conv2D(6, 3, use_bias=False, name="stem")(x)
    x = trunk = layers.ReLU(6.0, name="stem_relu")(layers.BatchNormalization(name="stem_bn")(x))
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, activation="relu6", name="wide")(x)
    x = layers.Conv2D(6, 1, name="narrow")(x)
    x = layers.BatchNormalization(scale=False, name="narrow_bn")(x)
    x = layers.Activation("relu", name="sum_relu")(layers.Add(name="sum")([x, trunk]))
    x = layers.Add(name="again")([x, layers.Conv2D(6, 1, activation="relu", name="side")(x)])
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling2D(name="pool")(x))
    x = layers.Dense(8, use_bias=False, name="hidden")(x)
    x = layers.ReLU()(layers.BatchNormalization(center=False, name="hidden_bn")(x))
    outputs = layers.Softmax(name="end")(layers.Dense(4, name="fc")(x))
    return keras.Model(inputs, outputs, name="residual")


def fit(model: Any, samples: Samples, epochs: int = 3, eager: bool = False) -> Any:
    """The model after a short training; without a graph for one of few steps, which takes less time."""
    x, y = samples
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", run_eagerly=eager)
    model.fit(x[:200], y[:200], batch_size=50, epochs=epochs, verbose=0, shuffle=False)
    return model


def outputs_of(model: Any, x: np.ndarray) -> np.ndarray:
    """predict() without its tracing."""
    return np.asarray(model(x, training=False))


def largest_difference(model: Any, quantized: Quantized, x: np.ndarray) -> float:
    """Between the model's outputs and those of the reference interpreter, in codes (LSB)."""
    graph = quantized.graph
    first, last = (graph.tensor(i).quant for i in (graph.inputs[0], graph.outputs[0]))
    assert first is not None and last is not None
    codes = np.clip(np.round(x / first.scale) + first.zero_point, -128, 127).astype(np.int8)
    with ReferenceInterpreter(quantized.content) as reference:
        got = np.array([reference.run([row[None]])[0][0] for row in codes], np.float64)
    return float(np.abs(outputs_of(model, x) / last.scale + last.zero_point - got).max())


@pytest.fixture(scope="module", params=["small", "residual"])
def trained(request: pytest.FixtureRequest, samples: Samples) -> tuple[Any, Quantized]:
    """A pruned model after quantization-aware training by compile() and fit(), and its int8 file."""
    start = small_ds_cnn() if request.param == "small" else residual()
    model = fit(quantization.quantize_model(empty(start)), samples, eager=request.param == "residual")
    return model, quantization.convert_qat(model)


def test_int8_computes_what_was_trained(trained: tuple[Any, Quantized], samples: Samples) -> None:
    """The reference interpreter gives the trained model's outputs but for roundings, by the trained scales."""
    model, result = trained
    assert largest_difference(model, result, samples[0][300:360]) <= 2.5
    ops = {entry.keras_name: result.graph.ops[entry.index or 0] for entry in result.layers}
    for layer in model.layers:
        if isinstance(layer, QuantizedLayer):
            op = ops[layer.name]
            weights, output = result.graph.tensor(op.inputs[1]).quant, result.graph.output_of(op).quant
            assert weights is not None and output is not None
            low, high = layer.output_range.range
            np.testing.assert_allclose(weights.scales, weight_scales(layer), rtol=1e-6)
            np.testing.assert_allclose(output.scale, (high - low) / 255, rtol=1e-6)


def test_zeros_stay_zeros(trained: tuple[Any, Quantized]) -> None:
    """Half of each kernel is zero after training, in the plain model that it strips to, and in the file."""
    model, result = trained
    kernels = prunable_weights(quantization.strip_quantization(model))
    assert [layer.keras_name for layer in result.layers] == [layer.name for layer in kernels]
    for kernel, entry in zip(kernels, result.layers, strict=True):
        op = result.graph.ops[entry.index or 0]
        data, empty_places = result.graph.tensor(op.inputs[1]).data, kernel.rows() == 0
        assert data is not None and empty_places.sum() == entry.keras_zeros == round(kernel.size / 2)
        assert not weight_rows(op, data)[empty_places].any()


def test_ranges_that_are_lost_are_noticed(trained: tuple[Any, Quantized], samples: Samples) -> None:
    """A file with other scales, or other biases, than those of the training is refused."""
    model, result = trained
    again = quantization.quantize_model(quantization.strip_quantization(model))
    quantization.calibrate(again, samples[0] * 3)
    with pytest.raises(TrainingError, match=r"scales of its output are .* in the file"):
        check_ranges(again, result.graph, result.layers, "m")
    name = next(layer.name for layer in model.layers if isinstance(layer, QuantizedLayer) and layer.layer.use_bias)
    bias = model.get_layer(name).layer.bias
    before = bias.numpy()
    bias.assign(before + 0.5)
    with pytest.raises(TrainingError, match="its biases are") as caught:
        check_ranges(model, result.graph, result.layers, "m")
    bias.assign(before)
    assert f"'{name}'" in str(caught.value)


def test_round_trip(model: Any, samples: Samples) -> None:
    """Stripped without training, a model is what it was: layers, names, weights; and it stays as it was."""
    for start in (model, residual()):
        before = [w.copy() for w in start.get_weights()]
        again = quantization.strip_quantization(quantization.quantize_model(start))
        assert [layer.name for layer in again.layers] == [layer.name for layer in start.layers]
        for old, new, now in zip(before, again.get_weights(), start.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
            np.testing.assert_array_equal(old, now)
        x = samples[0][:20]
        np.testing.assert_array_equal(outputs_of(again, x), outputs_of(start, x))


def test_saved_and_loaded(trained: tuple[Any, Quantized], samples: Samples, tmp_path: Path) -> None:
    """A model in training is saved as .keras, computes the same, and still holds its zeros when it trains on."""
    model, _ = trained
    model.save(tmp_path / "q.keras")
    with quantization.quantize_scope():
        again = keras.models.load_model(tmp_path / "q.keras", compile=False)
    x = samples[0][:20]
    np.testing.assert_array_equal(outputs_of(again, x), outputs_of(model, x))
    assert [layer.range for layer in ranges(again)] == [layer.range for layer in ranges(model)]
    fit(again, samples, 1, eager=True)
    assert np.abs(outputs_of(again, x) - outputs_of(model, x)).max() > 0
    for kernel in prunable_weights(again):
        assert (kernel.rows() == 0).sum() == round(kernel.size / 2)


def train_whole(start: Any, samples: Samples, **more: Any) -> QatResult:
    """qat() in 8 steps."""
    x, y = samples
    options = QatOptions(epochs=2, batch_size=50, learning_rate=5e-3)
    return qat(start, x[:200], y[:200], x[300:], y[300:], options=options, **more)


def test_qat(samples: Samples) -> None:
    """The training as a whole: zeros kept, the start model left alone, its progress told."""
    heard: list[str] = []
    progress = Progress(
        heard.append, lambda steps: heard.append(str(steps)), lambda step, sparsity, loss: heard.append(f"{sparsity:g}")
    )
    start = empty(fit(small_ds_cnn(), samples, 6))
    before = [w.copy() for w in start.get_weights()]
    result = train_whole(start, samples, progress=progress)
    assert heard == ["the float model's answers", "8", *["0.5"] * 8, "converting"]
    assert result.steps == 8 and result.val_samples == 100 and result.content == result.quantized.content
    assert [report.epoch for report in result.history] == [1, 2] and result.history[0].sparsity == 0.5
    assert result.val_after >= result.val_before - 0.03 > 0.5
    assert all(layer.keras_zeros * 2 == layer.size for layer in result.quantized.layers)
    for old, now in zip(before, start.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)
    assert all(layer.calibrated for layer in ranges(result.model))


@pytest.mark.full
def test_seeds_repeat(samples: Samples) -> None:
    """Equal seeds give equal bytes."""
    first, second = (train_whole(empty(small_ds_cnn()), samples) for _ in range(2))
    assert first.content == second.content


@pytest.mark.parametrize(
    "settings", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0}, {"distill": 1.1}, {"seed": -1}]
)
def test_options_out_of_range(settings: dict[str, Any]) -> None:
    """Options that make no sense are refused when they are made."""
    with pytest.raises(UsageError):
        QatOptions(**settings)


def test_without_ranges(model: Any, samples: Samples) -> None:
    """A model that saw nothing needs samples to be converted; it stays without ranges."""
    quantized = quantization.quantize_model(model)
    with pytest.raises(TrainingError, match=r"5 activations have no range yet, the first of 'quantized_input'"):
        quantization.convert_qat(quantized)
    with pytest.raises(UsageError, match="0 samples are too few"):
        quantization.convert_qat(quantized, samples[0], samples=0)
    with pytest.raises(DataError, match="no samples"):
        quantization.convert_qat(quantized, samples[0][:0])
    result = quantization.convert_qat(quantized, samples[0], samples=80)
    assert result.samples == 80 and not any(layer.calibrated for layer in ranges(quantized))
    with pytest.raises(ModelError, match="the model is a float model"):
        quantization.convert_qat(model, samples[0])


@pytest.mark.parametrize("per_channel", [True, False])
def test_weights_are_rounded_to_codes(per_channel: bool) -> None:
    """Values are whole multiples of range / 127, zeros exactly zero, the largest of a channel exact; gradients pass."""
    import tensorflow as tf

    rng = np.random.default_rng(2)
    kernel = rng.normal(size=(3, 3, 4, 6)).astype(np.float32) * 10.0 ** rng.uniform(-3, 1, 6).astype(np.float32)
    kernel[rng.random(kernel.shape) < 0.5] = 0
    kernel[..., 2] = 0
    with tf.GradientTape() as tape:
        value = tf.Variable(kernel)
        rounded = fake_quantize_weights(value, per_channel)
    top = np.abs(kernel).max(axis=(0, 1, 2)) if per_channel else np.abs(kernel).max()
    codes = rounded.numpy() / np.where(top > 0, top, 1) * 127
    np.testing.assert_allclose(codes, np.round(codes), atol=2e-3)
    assert not rounded.numpy()[kernel == 0].any() and np.abs(codes).max() <= 127.001
    np.testing.assert_allclose(np.abs(rounded.numpy()).max(), np.abs(kernel).max(), rtol=1e-6)
    np.testing.assert_array_equal(tape.gradient(rounded, value), np.ones_like(kernel))
