"""Models that keep state on an emulated board: variables, SVDF, LSTM; calls in a row, and what profile says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mcuprune.build.folder import open_folder
from tests.qemu.conftest import Tool
from tests.recurrent import lstm, lstm16, svdf
from tests.tflite_builder import Builder
from tests.variables import delay_line

pytestmark = pytest.mark.qemu
BOARD = "mps2-an386"
CALLS = 4


def recurrent(kind: str) -> bytes:
    """One or two layers of a kind."""
    rng, model = np.random.default_rng(3), Builder()
    if kind == "svdf":
        y = svdf(model, svdf(model, model.input((1, 6), 0.05, 4), rng, 8, 2, 5, reach=3000), rng, 6, 1, 3)
    elif kind == "lstm":
        y = lstm(model, lstm(model, model.input((1, 2, 4), 0.03, 4), rng, 6, 3, peephole=True), rng, 5, coupled=True)
    elif kind == "lstm_norm":
        y = lstm(model, model.input((1, 2, 4), 0.03, 4), rng, 7, 3, norm_scale=3e-5)
    else:
        y = lstm16(model, model.input((1, 2, 4), 1 / 32768, 0, np.int16), rng, 5)
    return model.build([y])


MODELS = {"variables": delay_line, **{kind: lambda kind=kind: recurrent(kind) for kind in ("svdf", "lstm")}}
MODELS |= {kind: lambda kind=kind: recurrent(kind) for kind in ("lstm_norm", "lstm_s16s8")}
STATE_BYTES = {"variables": 24, "svdf": 120, "lstm": 48, "lstm_norm": 24, "lstm_s16s8": 32}


@pytest.mark.parametrize("kind", MODELS)
def test_calls_in_a_row(tool: Tool, tmp_path: Path, kind: str) -> None:
    """Every layer of every call equals the reference, and a reset begins anew."""
    path = tmp_path / f"{kind}.tflite"
    path.write_bytes(MODELS[kind]())
    found = tool("verify", path, "--target", BOARD, "--random", 3 * CALLS, "--sequence", CALLS)
    assert found["equal"] and found["inputs"] == 3 * CALLS and all(layer["equal"] for layer in found["layers"])


@pytest.mark.parametrize("kind", MODELS)
def test_profile(tool: Tool, tmp_path: Path, kind: str) -> None:
    """State counts as RAM beside the arena; each layer has its instructions, twice the same."""
    path, folder = tmp_path / f"{kind}.tflite", tmp_path / "made"
    path.write_bytes(MODELS[kind]())
    made = tool("generate", path, "--board", BOARD, "-o", folder)
    assert made["totals"]["state_bytes"] == STATE_BYTES[kind]
    tool("build", folder)
    shown = [tool("profile", folder) for _ in range(2)]
    assert shown[0] == shown[1]
    layers = shown[0]["layers"]
    assert [layer["name"] for layer in layers] == [layer["name"] for layer in open_folder(folder).manifest["layers"]]
    assert all(layer["instructions"] > layer["macs"] for layer in layers if layer["kernel"] != "-")
