"""`run`: the whole road from a recipe; finished stages are not redone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcuprune.cli import run
from tests.models import every_operator
from tests.qemu.test_road import small_data

RECIPE = """
name = "words"
model = "m.tflite"
board = "mps2-an386"
test = "small.npz"
[prune]
sparsity = 0.7
[check]
samples = 12
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe from an int8 model."""
    (tmp_path / "m.tflite").write_bytes(every_operator())
    small_data(tmp_path)
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


def walk(recipe: Path, capsys: pytest.CaptureFixture[str], code: int = 0) -> tuple[dict[str, Any], list[str]]:
    """Results, and the stages that were done."""
    capsys.readouterr()
    got = run(["run", str(recipe), "-o", str(recipe.parent / "results"), "--json"])
    captured = capsys.readouterr()
    assert got == code, captured.err
    done = [line.split()[1].rstrip(":") for line in captured.err.splitlines() if ": done in" in line]
    return json.loads(captured.out), done


@pytest.mark.qemu
def test_only_what_changed_is_redone(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All stages the first time; none the second; from the changed one on after a change."""
    result, done = walk(recipe, capsys)
    assert done == ["prune", "generate", "build", "flash", "check"]
    assert result["stages"]["check"]["results"]["bit_exact"] == 12
    again, done = walk(recipe, capsys)
    assert done == [] and again["stages"] == result["stages"]
    recipe.write_text(RECIPE.replace("samples = 12", "samples = 15"))
    result, done = walk(recipe, capsys)
    assert done == ["check"] and result["stages"]["check"]["results"]["samples"] == 15
    recipe.write_text(RECIPE.replace("sparsity = 0.7", "sparsity = 0.5"))
    _, done = walk(recipe, capsys)
    assert done == ["prune", "generate", "build", "flash", "check"]


@pytest.mark.qemu
def test_another_image_on_the_board_is_replaced(
    recipe: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Somebody flashed another build meanwhile: flash is done again, nothing else."""
    walk(recipe, capsys)
    (tmp_path / "other.tflite").write_bytes(every_operator(seed=8))
    for verb in (["generate", str(tmp_path / "other.tflite"), "--board", "mps2-an386"], ["build"], ["flash"]):
        folder = str(tmp_path / "other")
        assert run([*verb, *(["-o", folder] if verb[0] == "generate" else [folder])]) == 0
    _, done = walk(recipe, capsys)
    assert done == ["flash"]


@pytest.mark.qemu
def test_missed_floor(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """min_accuracy that is missed is exit code 1, also when the check was done before."""
    recipe.write_text(RECIPE + "min_accuracy = 0.99\n")
    for _ in range(2):
        result, _ = walk(recipe, capsys, code=1)
        assert "under 0.99" in result["faults"][0]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('name = "words"', "", "name is missing"),
        ("sparsity = 0.7", "sparsty = 0.7", "unknown key 'sparsty'"),
        ("sparsity = 0.7", 'sparsity = "much"', "sparsity = 'much'"),
        ("[check]", "[chekc]", "unknown key 'chekc'"),
        ('model = "m.tflite"', 'model = "m.onnx"', "neither .keras nor .tflite"),
        ('model = "m.tflite"', 'model = "n.tflite"', "there is no model"),
        ('model = "m.tflite"', 'model = "m.keras"', "needs data"),
        ('board = "mps2-an386"', 'board = "host"', "ends on a board"),
        ("name =", "name", "is not TOML"),
    ],
)
def test_faulty_recipe(recipe: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, complaint: str) -> None:
    """A wrong key or value is named, exit code 2, before anything is done."""
    assert old in RECIPE
    recipe.write_text(RECIPE.replace(old, new))
    assert run(["run", str(recipe), "-o", str(recipe.parent / "results")]) == 2
    assert complaint in capsys.readouterr().err
    assert not (recipe.parent / "results").exists()
