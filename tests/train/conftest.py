"""Small Keras models and data for the tests of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="no TensorFlow: pip install -e '.[train]'")

from mcuprune.sparsity.runtime import require_tensorflow

require_tensorflow("run the tests of training")

import keras  # noqa: E402 - after its settings

CLASSES = 4


def small_ds_cnn(logits: bool = False) -> Any:
    """A DS-CNN of one block: 8x8 samples as 64 values, 4 classes."""
    keras.utils.set_random_seed(5)
    layers = keras.layers
    x = inputs = keras.Input((64,), name="features")
    x = layers.Reshape((8, 8, 1), name="reshape")(x)
    for name, layer in (
        ("conv_1", layers.Conv2D(8, (3, 3), (2, 1), padding="same", name="conv_1")),
        ("ds_1_dw", layers.DepthwiseConv2D((3, 3), padding="same", name="ds_1_dw")),
        ("ds_1_pw", layers.Conv2D(12, 1, name="ds_1_pw")),
    ):
        x = layer(x)
        x = layers.BatchNormalization(momentum=0.7, name=f"{name}_bn")(x)
        x = layers.ReLU(name=f"{name}_relu")(x)
    x = layers.AveragePooling2D((4, 8), name="avg_pool")(x)
    x = layers.Reshape((12,), name="squeeze")(x)
    x = layers.Dense(CLASSES, activation=None if logits else "softmax", name="fc")(x)
    return keras.Model(inputs, x, name="small")


@pytest.fixture
def model() -> Any:
    """A fresh small DS-CNN, always the same."""
    return small_ds_cnn()


@pytest.fixture(scope="session")
def samples() -> tuple[np.ndarray, np.ndarray]:
    """400 samples (n, 64) of 4 classes that can be told apart, and their labels."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, CLASSES, 400)
    templates = rng.normal(size=(CLASSES, 64))
    return (2 * templates[y] + rng.normal(size=(400, 64))).astype(np.float32), y


@pytest.fixture
def files(tmp_path: Path, model: Any, samples: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, entered, with dense.keras and data.npz (x, y, xv, yv)."""
    monkeypatch.chdir(tmp_path)
    model.save("dense.keras")
    x, y = samples
    np.savez("data.npz", x=x[:300], y=y[:300], xv=x[300:], yv=y[300:])
    return tmp_path
