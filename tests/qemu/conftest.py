"""QEMU boards with a state folder of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a test flashes stays in the test's folder."""
    state = tmp_path / "state"
    monkeypatch.setenv("MCUPRUNE_STATE", str(state))
    return state
