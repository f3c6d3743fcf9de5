"""Models with several inputs and outputs: from the file to the board's bytes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tflite_builder import RELU, Builder, random_bias, random_int8

from mcuprune.cli import run


def two_by_two() -> bytes:
    """Inputs image (int8) and hint (float); outputs: 3 scores of the sum, and a branch of the image alone."""
    rng = np.random.default_rng(5)
    model = Builder()
    image = model.input((1, 4, 4, 2), 0.05, -3, name="image")
    hint = model.input((1, 1, 1, 5), dtype=np.float32, name="hint")
    features = model.conv_2d(image, random_int8(rng, (5, 3, 3, 2)), random_bias(rng, 5), scale=0.06, activation=RELU)
    mixed = model.add(features, model.quantize(hint, 0.04, 7), scale=0.08, zero_point=2)
    scores = model.fully_connected(mixed, random_int8(rng, (3, 80)), random_bias(rng, 3), scale=0.5, name="scores")
    other = model.average_pool_2d(features, (4, 4))
    return model.build([other, scores])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "two.tflite"
    path.write_bytes(two_by_two())
    rng = np.random.default_rng(6)
    np.savez(
        tmp_path / "two.npz",
        image=random_int8(rng, (8, 4, 4, 2)),
        hint=rng.standard_normal((8, 5)).astype(np.float32),
        label=np.arange(8) % 3,
    )
    return path


def test_verify(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Random and real samples give equal bytes at every layer."""
    data = f"{model.with_name('two.npz')}:x=image+hint,y=label"
    assert run(["verify", str(model), "--data", data, "--random", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["equal"] and found["inputs"] == 11


def test_check(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Accuracy scores the output that is named; one that holds no scores for these labels is told."""
    folder, data = str(tmp_path / "made"), f"{model.with_name('two.npz')}:x=image+hint,y=label"
    assert run(["generate", str(model), "--board", "host", "-o", folder]) == 0
    assert run(["build", folder]) == 0
    capsys.readouterr()
    assert run(["check", folder, "--data", data, "--output", "scores", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["results"]
    assert found["bit_exact"] == 8 and len(found["class_names"]) == 3
    assert run(["check", folder, "--data", data, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["results"]["class_names"]) == 5  # the first output
    assert run(["check", folder, "--data", data, "--output", "none"]) == 2
    assert "has no output 'none'" in capsys.readouterr().err


def test_the_header_names_each(model: Path, tmp_path: Path) -> None:
    """Inputs and outputs have functions of their own, in the model's order."""
    folder = tmp_path / "made"
    assert run(["generate", str(model), "--board", "host", "-o", str(folder)]) == 0
    header = (folder / "model" / "two.h").read_text()
    assert "static inline int8_t *two_input0(void *arena)" in header
    assert "static inline float *two_input1(void *arena)" in header
    assert "#define TWO_OUTPUT0_BYTES 5u" in header and "#define TWO_OUTPUT1_BYTES 3u" in header
