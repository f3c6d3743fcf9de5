"""Depthwise-separable CNNs for keywords, their training, and a small .keras file.

The network of "Hello Edge: Keyword Spotting on Microcontrollers" (Zhang et al., 2017): a 10x4 convolution, then blocks
of a depthwise 3x3 and a pointwise 1x1 convolution, each with batch normalization and ReLU, an average, a classifier.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras  # after the variable: TensorFlow reads it when it starts

from mcuprune.files import write_file_atomic

Array = npt.NDArray[Any]

HERE = Path(__file__).parent
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the format's first: equal models give equal bytes


def build(filters: int, blocks: int, classes: int, name: str) -> keras.Model:
    """DS-CNN over 49 frames of 10 MFCCs; the first depthwise layer has stride 2. DS-CNN-L is build(276, 5, 12)."""
    layers = keras.layers

    def normalized(x: Any, layer: Any) -> Any:
        x = layers.BatchNormalization(momentum=0.9, name=f"{layer.name}_bn")(layer(x))
        return layers.ReLU(name=f"{layer.name}_relu")(x)

    options = {"padding": "same", "use_bias": False}
    inputs = layers.Input((49, 10, 1), name="mfcc")
    x = normalized(inputs, layers.Conv2D(filters, (10, 4), strides=(2, 1), name="conv_1", **options))
    for i in range(1, blocks + 1):
        strides = (2, 2) if i == 1 else (1, 1)
        x = normalized(x, layers.DepthwiseConv2D(3, strides=strides, name=f"ds_{i}_dw", **options))
        x = normalized(x, layers.Conv2D(filters, 1, name=f"ds_{i}_pw", **options))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    x = layers.Dense(classes, name="fc")(x)
    return keras.Model(inputs, layers.Softmax(name="softmax")(x), name=name)


def train(
    model: keras.Model, data: tuple[Array, Array, Array, Array], epochs: int, learning_rate: float = 2e-3
) -> keras.Model:
    """Train with Adam, the rate rising for half an epoch and then falling along a cosine to zero; one line an epoch."""
    x, y, xv, yv = data
    steps = epochs * -(-len(x) // 64)
    rate = keras.optimizers.schedules.CosineDecay(
        learning_rate / 10, steps * 0.95, warmup_target=learning_rate, warmup_steps=steps / epochs / 2
    )
    loss = keras.losses.SparseCategoricalCrossentropy()
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    lines = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: print(
            f"epoch {epoch + 1} of {epochs}: accuracy {logs['accuracy']:.3f}, "
            f"on voices held out {logs['val_accuracy']:.3f}",
            file=sys.stderr,
        )
    )
    model.fit(x, y, batch_size=64, epochs=epochs, validation_data=(xv, yv), callbacks=[lines], verbose=0)
    return model


def accuracy(model: keras.Model, x: Array, y: Array) -> float:
    """Share of right answers."""
    return float(np.mean(np.argmax(model.predict(x, batch_size=100, verbose=0), axis=1) == y))


def round_weights(model: keras.Model) -> None:
    """Round convolution and classifier weights to 8 significant bits (bfloat16's), so that the file packs well."""
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            bits = np.asarray(variable.value, np.float32).view(np.uint32)
            variable.assign(((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32))


def save_small(model: keras.Model, path: Path) -> int:
    """Write a plain .keras file without optimizer state and date, its parts deflated; its size in bytes.

    `model` must not be compiled. Equal weights give equal bytes.
    """
    assert not model.compiled, "optimizer state would triple the file"
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / "model.keras"
        model.save(plain)
        packed = io.BytesIO()
        with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w") as target:
            for name in sorted(source.namelist()):
                content = source.read(name)
                if name == "metadata.json":
                    known = json.loads(content)
                    content = json.dumps({k: v for k, v in known.items() if k != "date_saved"}).encode()
                entry = zipfile.ZipInfo(name, _ZIP_DATE)
                target.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    write_file_atomic(path, packed.getvalue())
    return len(packed.getvalue())
