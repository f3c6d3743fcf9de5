"""Where TensorFlow is not installed, the verbs that need it say so in one error."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from mcuprune.cli import run


@pytest.mark.parametrize(
    "arguments",
    [
        ["prune", "--sparsity", "0.5", "--data", "data.npz", "-o", "out/m.keras"],
        ["quantize", "--data", "data.npz", "-o", "out/m.tflite"],
        ["sensitivity", "--data", "data.npz", "--plot", "out/m.svg"],
        ["shrink", "-o", "out/m.keras"],
    ],
)
def test_what_to_install(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 4 and the command that installs it; nothing is written."""
    monkeypatch.chdir(tmp_path)
    for name in ("tensorflow", "keras"):
        monkeypatch.setitem(sys.modules, name, None)
    np.savez("data.npz", x=np.zeros((4, 2), np.float32), y=np.zeros(4, np.int64))
    Path("m.keras").write_bytes(b"")
    assert run([arguments[0], "m.keras", *arguments[1:]]) == 4
    error = capsys.readouterr().err
    assert "is not installed; needed to" in error and "pip install 'mcuprune[train]'" in error
    assert not Path("out").exists()
