"""Models as TensorFlow's converter writes them equal LiteRT in all layers: int16, attention, dilated Conv1D."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.importers.tflite import import_tflite

pytestmark = pytest.mark.train


def converted(model: Any, int16: bool, float_edges: bool = False, unfold: bool = False) -> bytes:
    """A model quantized to int8 or, with int8 weights, to int16, on random data."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    shape = (1, *model.input_shape[1:])
    kinds = tf.lite.OpsSet
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.unfold_batchmatmul = unfold
    converter.representative_dataset = lambda: ([rng.standard_normal(shape).astype(np.float32)] for _ in range(8))
    wide = kinds.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.target_spec.supported_ops = [wide if int16 else kinds.TFLITE_BUILTINS_INT8]
    edge = tf.float32 if float_edges else tf.int16 if int16 else tf.int8
    converter.inference_input_type = converter.inference_output_type = edge
    return converter.convert()


def cnn() -> Any:
    """Convolutions, pools, a classifier."""
    keras.utils.set_random_seed(7)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.DepthwiseConv2D(3, padding="same", activation="relu6"),
            layers.Conv2D(12, 1, activation="relu"),
            layers.MaxPooling2D(),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def attention() -> Any:
    """Two heads over 12 steps."""
    keras.utils.set_random_seed(8)
    x = keras.Input((12, 8), batch_size=1)
    y = keras.layers.Add()([x, keras.layers.MultiHeadAttention(2, 4)(x, x)])
    return keras.Model(x, keras.layers.Dense(4)(y))


def temporal(padding: str) -> Any:
    """Two dilated Conv1D."""
    keras.utils.set_random_seed(9)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((32, 4)),
            layers.Conv1D(6, 3, dilation_rate=2, padding=padding, activation="relu"),
            layers.Conv1D(5, 3, dilation_rate=4, padding=padding),
            layers.GlobalAveragePooling1D(),
            layers.Dense(3),
        ]
    )


def verified(path: Path, capsys: pytest.CaptureFixture[str], target: str = "host") -> list[str]:
    """Kinds of the layers; all of them are equal."""
    capsys.readouterr()
    assert run(["verify", str(path), "--random", "20", "--target", target, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["equal"] and all(layer["equal"] for layer in result["layers"])
    return [op.kind for op in import_tflite(path).ops]


@pytest.mark.parametrize("float_edges", [False, True])
def test_int16(tmp_path: Path, capsys: pytest.CaptureFixture[str], float_edges: bool) -> None:
    """int16 and float at the edges."""
    path = tmp_path / "cnn.tflite"
    path.write_bytes(converted(cnn(), int16=True, float_edges=float_edges))
    kinds = verified(path, capsys)
    assert {"DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D", "FULLY_CONNECTED", "SOFTMAX"} <= set(kinds)
    assert ("QUANTIZE" in kinds) == float_edges


@pytest.mark.qemu
@pytest.mark.parametrize("target", ["mps2-an386", "mps2-an385-m0"])
def test_int16_on_boards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """Products of 64 bits and of doubles by library calls, as cores without instructions for them have it."""
    monkeypatch.setenv("MCUPRUNE_STATE", str(tmp_path / "state"))
    path = tmp_path / "cnn.tflite"
    path.write_bytes(converted(cnn(), int16=True))
    verified(path, capsys, target)


@pytest.mark.parametrize(("int16", "unfold"), [(False, True), (True, False)], ids=["computed weights", "int16"])
def test_attention(tmp_path: Path, capsys: pytest.CaptureFixture[str], int16: bool, unfold: bool) -> None:
    """Products of two activations, as BATCH_MATMUL or as FULLY_CONNECTED whose weights are computed."""
    path = tmp_path / "attention.tflite"
    path.write_bytes(converted(attention(), int16, unfold=unfold))
    assert verified(path, capsys).count("BATCH_MATMUL") == (4 if unfold else 2)


@pytest.mark.parametrize("padding", ["same", "causal"])
def test_temporal(tmp_path: Path, capsys: pytest.CaptureFixture[str], padding: str) -> None:
    """What the converter writes with batches is a convolution with dilation here."""
    path = tmp_path / "temporal.tflite"
    path.write_bytes(converted(temporal(padding), int16=False))
    assert verified(path, capsys).count("CONV_2D") == 2
    dilations = [op.attrs.dilation for op in import_tflite(path).ops if op.kind == "CONV_2D"]  # type: ignore[attr-defined]
    assert dilations == [(1, 2), (1, 4)]
