"""Recurrent layers and embeddings of Keras on the whole road: int8 by quantize, C, every layer equal to LiteRT's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.quantization import quantize

pytestmark = pytest.mark.train

layers = keras.layers
STEPS, INPUTS, UNITS, TOKENS = 3, 4, 8, 60


def recurrent(kind: str) -> Any:
    """A small classifier of sequences."""
    keras.utils.set_random_seed(2)
    body = {
        "lstm": lambda: [layers.LSTM(UNITS)],
        "lstm_unrolled": lambda: [layers.LSTM(UNITS, unroll=True, return_sequences=True), layers.LSTM(5, unroll=True)],
        "gru": lambda: [layers.GRU(UNITS)],
        "bidirectional": lambda: [layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True)), layers.Flatten()],
    }[kind]()
    return keras.Sequential([keras.Input((STEPS, INPUTS)), *body, layers.Dense(3, activation="softmax")])


def sequences(count: int = 40) -> np.ndarray:
    """Seeded samples."""
    return np.random.default_rng(5).normal(size=(count, STEPS, INPUTS)).astype(np.float32)


def verified(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> int:
    """Layers that `verify` found equal."""
    capsys.readouterr()
    code = run(["verify", str(path), "--random", "4", "--json", *options])
    said = capsys.readouterr()
    assert code == 0, said.err
    return len(json.loads(said.out)["layers"])


# layers of the graph for each step of the sequence, and most of the others
SIZES = {"lstm": (18, 4), "lstm_unrolled": (36, 4), "gru": (18, 4), "bidirectional": (36, 16)}


@pytest.mark.parametrize("kind", SIZES)
def test_recurrent_layers(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A loop comes out unrolled, without operators on shapes; kernels keep their zeros, and lie in flash once."""
    model = recurrent(kind)
    result = quantize(model, sequences())
    each, others = SIZES[kind]
    assert all(layer.index is not None and layer.note == "" for layer in result.layers)
    assert len(result.graph.ops) <= each * STEPS + others
    assert not {op.kind for op in result.graph.ops} & {"SHAPE", "FILL"}
    assert [layer.unroll for layer in model.layers if isinstance(layer, keras.layers.RNN)] == [
        kind == "lstm_unrolled" for layer in model.layers if isinstance(layer, keras.layers.RNN)
    ]
    path = tmp_path / f"{kind}.tflite"
    path.write_bytes(result.content)
    assert verified(path, capsys) == len(result.graph.ops)
    folder = tmp_path / "made"
    assert run(["generate", str(path), "--board", "host", "-o", str(folder)]) == 0
    text = (folder / "model" / f"{kind}.c").read_text("utf-8")
    written = [int(n) for n in re.findall(r"static const int8_t \w+_weights\[(\d+)\]", text) if int(n) >= 128]
    weights = {op.inputs[1] for op in result.graph.ops if op.kind == "FULLY_CONNECTED"}
    sizes = [result.graph.tensors[index].size for index in weights]
    assert sorted(written) == sorted(size for size in sizes if size >= 128) != []


@pytest.mark.qemu
def test_lstm_on_a_core(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same on an emulated Cortex-M4F."""
    path = tmp_path / "lstm.tflite"
    path.write_bytes(quantize(recurrent("lstm"), sequences()).content)
    assert verified(path, capsys, "--target", "mps2-an386") > 40


@pytest.mark.parametrize("kind", ["average", "lstm"])
def test_embeddings_walk_the_road(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As IMDB examples have it: tokens, a table, what sums it up; quantize and verify on the user's tokens."""
    keras.utils.set_random_seed(3)
    body = [layers.GlobalAveragePooling1D()] if kind == "average" else [layers.LSTM(UNITS)]
    model = keras.Sequential(
        [
            keras.Input((STEPS + 2,), dtype="int32"),
            layers.Embedding(TOKENS, INPUTS, name="table"),
            *body,
            layers.Dense(2, activation="softmax", name="out"),
        ]
    )
    model.save(tmp_path / "reviews.keras")
    rng = np.random.default_rng(6)
    data = tmp_path / "reviews.npz"
    x = np.concatenate([np.arange(TOKENS).reshape(-1, STEPS + 2), rng.integers(0, TOKENS, (60, STEPS + 2))])
    np.savez(data, x=x, y=rng.integers(0, 2, len(x)))
    path = tmp_path / "reviews.tflite"
    capsys.readouterr()
    done = run(["quantize", str(tmp_path / "reviews.keras"), "--data", str(data), "-o", str(path), "--json"])
    said = capsys.readouterr()
    assert done == 0, said.err
    shown = json.loads(said.out)
    assert shown["layers"][0]["op"] == "GATHER" and shown["layers"][0]["size"] == TOKENS * INPUTS
    assert abs(shown["accuracy"]["float"] - shown["accuracy"]["int8"]) <= 0.35
    assert verified(path, capsys, "--data", str(data)) >= 4
