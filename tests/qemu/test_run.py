"""`run`: the whole road from a recipe; finished stages are not redone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcuprune.cli import run
from mcuprune.recipe.recipe import read_recipe
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


def test_options_of_generate(recipe: Path) -> None:
    """Passes and strips are had, or not, as `mcuprune generate` has them; a signature is looked for."""
    recipe.write_text(RECIPE + "[generate]\npasses = false\nstrips = false\n")
    options = read_recipe(recipe).generate
    assert not options.passes and not options.strips and options.signature is None
    recipe.write_text(RECIPE + '[generate]\nsignature = "serve"\n')
    assert run(["run", str(recipe), "-o", str(recipe.parent / "results")]) == 3


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
        ('name = "words"', 'name = "a-b"', "name 'a-b' cannot name a model in C"),
        ('name = "words"', 'name = "mp_words"', "mp_ and mcuprune_ name things of the runtime"),
        ("sparsity = 0.7", "sparsity = 1.0", "[prune] sparsity 1 is not in [0, 1)"),
        ("sparsity = 0.7", 'pattern = "2-4"', "[prune] '2-4' is no pattern"),
        ("sparsity = 0.7", 'layers = ["fc"]', "[prune] --layer 'fc' does not say"),
        ("sparsity = 0.7", "sparsity = 0.7\nepochs = 0", "[prune] epochs 0 is less than 1"),
        ("[check]", '[quantize]\nio = "int4"\n[check]', "[quantize] io = 'int4' is not known"),
        ("[check]", "[quantize]\nsamples = 0\n[check]", "[quantize] 0 samples are too few"),
        ("[check]", '[generate]\noptimize = "fast"\n[check]', "[generate] optimize = 'fast' is not known"),
        ("[check]", '[generate]\nencodings = ["fc=zip"]\n[check]', "'zip' is not known"),
        ("[check]", "[generate]\nmax_ram = 0\n[check]", "[generate] max_ram 0 is no budget"),
        ("samples = 12", "samples = 0", "[check] 0 samples are too few"),
        ("samples = 12", "min_accuracy = 85", "[check] min_accuracy 85 is not in [0, 1]"),
    ],
)
def test_faulty_recipe(recipe: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, complaint: str) -> None:
    """A wrong key or value is named, exit code 2, before anything is done."""
    assert old in RECIPE
    recipe.write_text(RECIPE.replace(old, new))
    assert run(["run", str(recipe), "-o", str(recipe.parent / "results")]) == 2
    assert complaint in capsys.readouterr().err
    assert not (recipe.parent / "results").exists()


def test_results_folder_that_is_a_file(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """-o FILE is refused."""
    taken = recipe.parent / "taken"
    taken.write_text("")
    assert run(["run", str(recipe), "-o", str(taken)]) == 2
    assert "is not a folder" in capsys.readouterr().err and taken.read_text() == ""


def test_port_that_is_no_name(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line is no emulated board: refused before anything is done."""
    folder = recipe.parent / "results"
    assert run(["run", str(recipe), "-o", str(folder), "--port", "/dev/ttyACM0"]) == 2
    assert "no name of a QEMU board" in capsys.readouterr().err and not folder.exists()
