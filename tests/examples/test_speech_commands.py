"""The loader of Speech Commands: splits, classes, decoded values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mcuprune.data import load_dataset
from mcuprune.errors import DataError

FOLDER = Path(__file__).parents[2] / "examples" / "speech-commands"


@pytest.mark.shared
def test_load(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise is split 900 to 100, unknown words have the mean share, and equal calls give equal arrays."""
    monkeypatch.setenv("MCUPRUNE_SHARED", str(shared))
    data, again = (load_dataset("speech_commands:load", base=FOLDER) for _ in range(2))
    assert data.xv is not None and data.yv is not None and again.xv is not None
    assert (data.x == again.x).all() and (data.xv == again.xv).all()
    assert data.x.dtype == np.float32 and data.x.shape[1:] == data.xv.shape[1:] == (490,)
    assert data.class_names is not None and data.class_names[:3] == ("_silence_", "_unknown_", "yes")
    for labels, noise in ((data.labels(), 900), (data.yv, 100)):
        counts = np.bincount(labels, minlength=12)
        assert counts[0] == noise and counts[1] == round((counts.sum() - counts[1]) / 11)
    assert data.x.min() > -70 and data.x.max() < 50
    with pytest.raises(DataError, match="no test utterances"):
        load_dataset("speech_commands:test", base=FOLDER)


def test_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the data are not there, the error says where they are looked for."""
    copy = tmp_path / "speech_commands.py"
    copy.write_text((FOLDER / "speech_commands.py").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MCUPRUNE_SHARED", raising=False)
    with pytest.raises(DataError, match="MCUPRUNE_SHARED"):
        load_dataset("speech_commands:load", base=tmp_path)
