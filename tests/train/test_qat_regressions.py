"""Failures of TensorFlow Model Optimization that must not be ours; numbers are of its issues and pull requests."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from mcuprune import quantization
from mcuprune.pruning import weight_rows
from mcuprune.sparsity import Pruner, prunable_weights
from tests.train.conftest import small_ds_cnn
from tests.train.test_qat import Samples, empty, fit

pytestmark = pytest.mark.train

layers = keras.layers


def kernels(model: Any) -> dict[str, np.ndarray]:
    return {weight.name: weight.rows() for weight in prunable_weights(model)}


def test_979_pointwise_kernels_do_not_become_zero(samples: Samples) -> None:
    """A 1x1 convolution keeps its weights, zeros aside, in the model and in the file."""
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(16, 1, activation="relu", name="conv2d")(inputs)
    x = layers.Conv2D(8, 1, name="second")(x)
    model = empty(keras.Model(inputs, layers.Dense(4, name="dense")(layers.Flatten()(x))))
    before = kernels(model)
    trained = fit(quantization.quantize_model(model), (samples[0].reshape(-1, 8, 8, 1), samples[1]), eager=True)
    result = quantization.convert_qat(trained)
    for name, rows in kernels(quantization.strip_quantization(trained)).items():
        np.testing.assert_array_equal(rows == 0, before[name] == 0)
    for entry in result.layers:
        assert entry.keras_zeros <= entry.zeros <= entry.keras_zeros + 0.1 * entry.size


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adamw"])
def test_720_zeros_do_not_drift(samples: Samples, optimizer: str) -> None:
    """Zeros are exact after every update, under momentum, weight decay and L2, and after the last one."""
    start = empty(small_ds_cnn())
    start.get_layer("ds_1_pw").kernel_regularizer = keras.regularizers.L2(1e-3)
    model = quantization.quantize_model(start)
    rule = {
        "adam": keras.optimizers.Adam(1e-2),
        "sgd": keras.optimizers.SGD(1e-2, momentum=0.9, nesterov=True),
        "adamw": keras.optimizers.AdamW(1e-2, weight_decay=0.1),
    }[optimizer]
    model.compile(rule, "sparse_categorical_crossentropy", run_eagerly=True)
    wanted = {name: rows == 0 for name, rows in kernels(model).items()}
    for i in range(4):
        model.train_on_batch(samples[0][i * 50 : i * 50 + 50], samples[1][i * 50 : i * 50 + 50])
        for name, rows in kernels(model).items():
            assert not rows[wanted[name]].any()
            assert np.count_nonzero(rows) == np.count_nonzero(~wanted[name])


def test_batch_norm_folds_per_channel_without_moving_zeros(samples: Samples) -> None:
    """Factors of very different sizes and signs: every zero is a zero code, whole channels of them, too."""
    model = empty(small_ds_cnn())
    rng = np.random.default_rng(4)
    for norm, channels in (("conv_1_bn", 8), ("ds_1_dw_bn", 8), ("ds_1_pw_bn", 12)):
        layer = model.get_layer(norm)
        layer.gamma.assign(rng.choice([-1, 1], channels) * 10.0 ** rng.uniform(-2, 1, channels))
        layer.beta.assign(rng.normal(size=channels))
        layer.moving_mean.assign(rng.normal(size=channels))
        layer.moving_variance.assign(10.0 ** rng.uniform(-2, 2, channels))
    kernel = model.get_layer("ds_1_pw").kernel
    kernel.assign(kernel.numpy() * (np.arange(12) != 7))
    trained = quantization.quantize_model(model)
    quantization.calibrate(trained, samples[0])
    result = quantization.convert_qat(trained)
    for weight, entry in zip(prunable_weights(model), result.layers, strict=True):
        data = result.graph.tensor(result.graph.ops[entry.index or 0].inputs[1]).data
        assert data is not None and not weight_rows(result.graph.ops[entry.index or 0], data)[weight.rows() == 0].any()


@pytest.mark.full
def test_pruning_during_training_for_int8(samples: Samples) -> None:
    """The pruner sees the kernels of a model in training; what it empties is empty in the file."""
    model = quantization.quantize_model(small_ds_cnn())
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    x, y = samples
    model.fit(x[:200], y[:200], batch_size=50, epochs=2, verbose=0, callbacks=[Pruner(0.5)])
    result = quantization.convert_qat(model)
    found = {entry.keras_name: entry for entry in result.layers}
    assert found["ds_1_pw"].keras_zeros == 48 <= found["ds_1_pw"].zeros
    assert found["conv_1"].keras_zeros == 36 <= found["conv_1"].zeros
