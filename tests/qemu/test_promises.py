"""Objectives keep their promises on the board, also where zeros hardly pay: instructions counted, the whole image."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mcuprune.cli import run

pytestmark = pytest.mark.qemu

EXAMPLE = Path(__file__).parents[2] / "examples" / "spoken-words"


@pytest.fixture
def measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """(instructions, bytes of flash) of the example's small model at a sparsity, on a board, with options."""

    def verb(*arguments: str | Path) -> Any:
        capsys.readouterr()
        assert run([*map(str, arguments), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    @cache
    def measure(board: str, sparsity: str, *options: str) -> tuple[int, int]:
        model, out = tmp_path / "m.tflite", tmp_path / "out"
        verb("prune", EXAMPLE / "small_int8.tflite", "--one-shot", "--sparsity", sparsity, "-o", model)
        verb("generate", model, "--board", board, *options, "-o", out)
        flash_bytes = verb("build", out)["totals"]["flash_bytes"]
        verb("flash", out)
        checked = verb("check", out, "--data", EXAMPLE / "small_test.npz", "--samples", "2")
        return checked["timing"]["median_ticks"], flash_bytes

    return measure


@pytest.mark.parametrize("board", ["mps2-an386", "mps2-an385"])
@pytest.mark.parametrize("sparsity", ["0.15", "0.45"])
def test_never_worse_than_dense(measured: Any, board: str, sparsity: str) -> None:
    """speed is never slower, flash never larger, balanced neither: the whole image, not only the weights."""
    ticks, size = _dense(measured, board, sparsity)
    speed = measured(board, sparsity, "--optimize", "speed")
    small = measured(board, sparsity, "--optimize", "flash")
    both = measured(board, sparsity, "--optimize", "balanced")
    assert speed[0] <= ticks + 1
    assert small[1] <= size
    assert both[0] <= ticks + 1 and both[1] <= size


def _dense(measured: Any, board: str, sparsity: str) -> tuple[int, int]:
    """Every layer with weights forced to dense."""
    layers = ("conv*", "ds*", "fc")
    return measured(board, sparsity, *(option for layer in layers for option in ("--encoding", f"{layer}=dense")))
