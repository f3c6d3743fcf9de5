"""Models as TensorFlow's converter quantizes them to int16 activations and int8 weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.importers.tflite import import_tflite

pytestmark = pytest.mark.train

layers = keras.layers


def converted(model: Any) -> bytes:
    """16x8, float at the edges, ranges of random samples."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    shape = (1, *model.inputs[0].shape[1:])
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([rng.standard_normal(shape).astype(np.float32)] for _ in range(20))
    int16 = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.target_spec.supported_ops = [int16]
    return converter.convert()


def image(x: Any) -> Any:
    """Operators on images: windows, pairs, joins, borders, another size, reductions."""
    largest, mean = layers.MaxPooling2D(2)(x), layers.AveragePooling2D(2)(x)
    pairs = [layers.Multiply(), layers.Subtract(), layers.Maximum(), layers.Minimum()]
    x = layers.Concatenate()([largest, mean, *(pair([largest, mean]) for pair in pairs)])
    x = layers.UpSampling2D(2, interpolation="bilinear")(layers.ZeroPadding2D(1)(x))
    x = layers.LeakyReLU(0.1)(layers.Conv2D(6, 3)(layers.Cropping2D(1)(x)))
    x = layers.Concatenate()([keras.ops.mean(x, axis=(1, 2)), keras.ops.max(x, axis=(1, 2))])
    for activation in ("gelu", "softplus", "swish"):
        x = layers.Dense(6, activation=activation)(x)
    return layers.Dense(3, activation="softmax")(x)


def sequence(x: Any) -> Any:
    """A recurrent layer, unrolled: slices, sigmoids, tanh, sums, products."""
    return layers.Dense(3)(layers.GRU(4, unroll=True)(x))


def dense(x: Any) -> Any:
    """Two layers and a softmax."""
    return layers.Dense(3, activation="softmax")(layers.Dense(5, activation="relu")(x))


def keras_model(net: Callable[[Any], Any], shape: tuple[int, ...]) -> Any:
    """One sample at a time, weights always the same."""
    keras.utils.set_random_seed(1)
    x = keras.Input(shape, batch_size=1)
    return keras.Model(x, net(x))


IMAGE_KINDS = {
    "AVERAGE_POOL_2D", "CONCATENATION", "EXP", "GELU", "LEAKY_RELU", "LOG", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D",
    "MEAN", "MINIMUM", "MUL", "PAD", "REDUCE_MAX", "RESIZE_BILINEAR", "SLICE", "SOFTMAX", "SUB",
}  # fmt: skip


@pytest.mark.parametrize(
    ("net", "shape", "kinds"),
    [(image, (8, 8, 3), IMAGE_KINDS), (sequence, (3, 4), {"ADD", "LOGISTIC", "MUL", "SLICE", "SUB", "TANH"})],
    ids=["image", "sequence"],
)
def test_converted_int16(
    net: Callable[[Any], Any],
    shape: tuple[int, ...],
    kinds: set[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The converter's model holds these operators, and every layer equals LiteRT's."""
    model, path = keras_model(net, shape), tmp_path / "wide.tflite"
    path.write_bytes(converted(model))
    assert kinds <= {op.kind for op in import_tflite(path).ops}
    capsys.readouterr()
    assert run(["verify", str(path), "--random", "20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["equal"]


def test_against_float(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """verify --float says how far int16 layers are from the float model's: not far."""
    monkeypatch.chdir(tmp_path)
    model = keras_model(dense, (6,))
    model.save("dense.keras")
    Path("wide.tflite").write_bytes(converted(model))
    np.savez("data.npz", x=np.random.default_rng(2).uniform(-0.5, 0.5, (9, 6)).astype(np.float32))
    capsys.readouterr()
    assert run(["verify", "wide.tflite", "--data", "data.npz:x=x", "--float", "dense.keras", "--json"]) == 0
    layers = json.loads(capsys.readouterr().out)["float"]["layers"]
    assert [layer["op"] for layer in layers] == ["FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX"]
    assert [layer["high"] / layer["scale"] for layer in layers] == pytest.approx([32767] * 3)
    assert [layer["cosine"] for layer in layers] == pytest.approx([1] * 3, abs=0.001)
