"""QEMU boards with a state folder of the test's own, and the verbs as functions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcuprune.cli import run


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a test flashes stays in the test's folder."""
    state = tmp_path / "state"
    monkeypatch.setenv("MCUPRUNE_STATE", str(state))
    return state


class Tool:
    """Runs verbs in this process and reads their --json."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: str | Path, code: int = 0) -> Any:
        got = run([*map(str, arguments), "--json"])
        captured = self.capsys.readouterr()
        assert got == code, captured.err
        return json.loads(captured.out)


@pytest.fixture
def tool(capsys: pytest.CaptureFixture[str]) -> Tool:
    return Tool(capsys)
