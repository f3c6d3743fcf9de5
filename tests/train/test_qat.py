"""Quantization-aware training: int8 computes what was trained, and zeros stay zeros."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mcuprune import quantization
from mcuprune.errors import ModelError, TrainingError, UsageError
from mcuprune.pruning import weight_rows
from mcuprune.quantization import QatOptions, Quantized, qat
from mcuprune.quantization.convert import ranges, weight_scales
from mcuprune.quantization.layers import QuantizedLayer
from mcuprune.sparsity import prunable_layers
from mcuprune.tflite.reference import ReferenceInterpreter
from tests.train.conftest import small_ds_cnn

pytestmark = pytest.mark.train

Samples = tuple[np.ndarray, np.ndarray]
layers = keras.layers


def empty(model: Any, share: float = 0.5) -> Any:
    """The model with the smallest weights of each kernel set to zero."""
    for layer in prunable_layers(model):
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


def fit(model: Any, samples: Samples, epochs: int = 3) -> Any:
    x, y = samples
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    model.fit(x[:200], y[:200], batch_size=50, epochs=epochs, verbose=0, shuffle=False)
    return model


def largest_difference(model: Any, quantized: Quantized, x: np.ndarray) -> float:
    """Between the model's outputs and those of the reference interpreter, in codes (LSB)."""
    graph = quantized.graph
    first, last = (graph.tensor(i).quant for i in (graph.inputs[0], graph.outputs[0]))
    assert first is not None and last is not None
    codes = np.clip(np.round(x / first.scale) + first.zero_point, -128, 127).astype(np.int8)
    with ReferenceInterpreter(quantized.content) as reference:
        got = np.array([reference.run([row[None]])[0][0] for row in codes], np.float64)
    outputs = model.predict(x, verbose=0)
    return float(np.abs(outputs / last.scale + last.zero_point - got).max())


@pytest.fixture(scope="module", params=["small", "residual"])
def trained(request: pytest.FixtureRequest, samples: Samples) -> Any:
    """A pruned model after quantization-aware training by compile() and fit()."""
    start = small_ds_cnn() if request.param == "small" else residual()
    return fit(quantization.quantize_model(empty(start)), samples)


def test_int8_computes_what_was_trained(trained: Any, samples: Samples) -> None:
    """The reference interpreter gives the trained model's outputs but for roundings, by the trained scales."""
    result = quantization.convert_qat(trained)
    assert largest_difference(trained, result, samples[0][300:340]) <= 4
    ops = {entry.keras_name: result.graph.ops[entry.index or 0] for entry in result.layers}
    for layer in trained.layers:
        if isinstance(layer, QuantizedLayer):
            op = ops[layer.name]
            weights, output = result.graph.tensor(op.inputs[1]).quant, result.graph.output_of(op).quant
            assert weights is not None and output is not None
            low, high = layer.output_range.range
            np.testing.assert_allclose(weights.scales, weight_scales(layer), rtol=1e-6)
            np.testing.assert_allclose(output.scale, (high - low) / 255, rtol=1e-6)


def test_zeros_stay_zeros(trained: Any, samples: Samples) -> None:
    """Half of each kernel is zero after training, in the plain model that it strips to, and in the file."""
    plain = quantization.strip_quantization(trained)
    result = quantization.convert_qat(trained)
    kernels = prunable_layers(plain)
    assert [layer.keras_name for layer in result.layers] == [layer.name for layer in kernels]
    for kernel, entry in zip(kernels, result.layers, strict=True):
        op = result.graph.ops[entry.index or 0]
        data = result.graph.tensor(op.inputs[1]).data
        assert data is not None
        assert (kernel.rows() == 0).sum() == round(kernel.size / 2) and not weight_rows(op, data)[
            kernel.rows() == 0
        ].any()


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
        np.testing.assert_array_equal(again.predict(x, verbose=0), start.predict(x, verbose=0))


def test_saved_and_loaded(trained: Any, samples: Samples, tmp_path: Path) -> None:
    """A model in training is saved as .keras, computes the same, and still holds its zeros when it trains on."""
    trained.save(tmp_path / "q.keras")
    with quantization.quantize_scope():
        again = keras.models.load_model(tmp_path / "q.keras")
    x = samples[0][:20]
    np.testing.assert_array_equal(again.predict(x, verbose=0), trained.predict(x, verbose=0))
    assert quantization.convert_qat(again).content == quantization.convert_qat(trained).content
    fit(again, samples, 1)
    for kernel in prunable_layers(again):
        assert (kernel.rows() == 0).sum() == round(kernel.size / 2)


def test_qat(model: Any, samples: Samples) -> None:
    """The training as a whole: zeros kept, the start model left alone, equal seeds give equal bytes."""
    x, y = samples
    empty(fit(model, samples, 6))
    before = [w.copy() for w in model.get_weights()]
    options = QatOptions(epochs=2, batch_size=50, learning_rate=5e-3)
    first, second = (qat(model, x[:200], y[:200], x[300:], y[300:], options=options) for _ in range(2))
    assert first.content == second.content and first.steps == 8 and first.val_samples == 100
    assert [report.epoch for report in first.history] == [1, 2] and first.history[0].sparsity == 0.5
    assert first.val_after >= first.val_before - 0.03 > 0.5
    assert all(layer.keras_zeros * 2 == layer.size for layer in first.quantized.layers)
    for old, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)
    assert all(layer.calibrated for layer in ranges(first.model))


@pytest.mark.parametrize(
    "settings", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0}, {"distill": 1.1}, {"seed": -1}]
)
def test_options_out_of_range(settings: dict[str, Any]) -> None:
    """Options that make no sense are refused when they are made."""
    with pytest.raises(UsageError):
        QatOptions(**settings)


def test_without_ranges(model: Any, samples: Samples) -> None:
    """A model that saw nothing needs samples to be converted; values pass unrounded until then."""
    quantized = quantization.quantize_model(model)
    with pytest.raises(TrainingError, match=r"5 activations have no range yet, the first of 'quantized_input'"):
        quantization.convert_qat(quantized)
    x = samples[0]
    result = quantization.convert_qat(quantized, x, samples=80)
    assert result.samples == 80 and not any(layer.calibrated for layer in ranges(quantized))
    with pytest.raises(ModelError, match="the model is a float model"):
        quantization.convert_qat(model, x)
