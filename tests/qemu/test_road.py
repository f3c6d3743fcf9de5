"""generate, build, flash, check and verify on emulated boards, as a user types them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcuprune.cli import run
from tests.models import CLASSES, INPUT, every_operator
from tests.qemu.conftest import Tool

pytestmark = pytest.mark.qemu
BOARDS = ["mps2-an386", "mps2-an385"]
EXAMPLE = Path(__file__).parents[2] / "examples" / "spoken-words"

# model, data, correct answers among the first 40 clips and among all 500
REAL = [
    ("kws_ref_model_int8", "kws01_mlperf_mfcc_int8_dev500.npz:x=mfcc_int8,y=label", 37, 455),
    ("ds_cnn_s_int8", "speech_commands_kws01_dev500.npz:x=mfcc_arm,y=label", 36, 438),
    ("ds_cnn_m_int8", "speech_commands_kws01_dev500.npz:x=mfcc_arm,y=label", 38, 445),
    ("ds_cnn_l_int8", "speech_commands_kws01_dev500.npz:x=mfcc_arm,y=label", 37, 450),
]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A model file with every operator."""
    path = tmp_path / "small.tflite"
    path.write_bytes(every_operator())
    return path


def small_data(folder: Path, samples: int = 20) -> str:
    """Seeded float samples with labels."""
    rng = np.random.default_rng(5)
    path = folder / "small.npz"
    np.savez(path, x=rng.normal(0, 3, (samples, *INPUT[1:])).astype(np.float32), y=rng.integers(0, CLASSES, samples))
    return str(path)


@pytest.mark.parametrize("board", BOARDS)
def test_every_operator_walks_the_road(tool: Tool, small: Path, tmp_path: Path, board: str) -> None:
    """A model with every operator, float in and out, is bit-exact on the board, layer by layer."""
    out = tmp_path / "out"
    tool("generate", small, "--board", board, "-o", out)
    built = tool("build", out)
    totals = built["totals"]
    assert totals["flash_bytes"] == sum(built["flash"].values())
    assert totals["ram_bytes"] == sum(built["ram"].values())
    assert totals["weight_flash_bytes"] == sum(layer["flash_bytes"] for layer in built["layers"])
    flashed = tool("flash", out)
    assert flashed["build_id"] == built["build_id"]
    checked = tool("check", out, "--data", small_data(tmp_path), "--layers")
    assert checked["results"]["bit_exact"] == checked["results"]["samples"] == 20
    assert all(layer["equal"] for layer in checked["results"]["layers"])
    assert checked["build_id"] == built["build_id"]
    assert 0 < checked["memory"]["stack_used"] < checked["memory"]["stack_bytes"]
    assert checked["timing"]["counter"] == "systick" and checked["timing"]["median_ticks"] > 0


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize(
    ("pattern", "objective"),
    [("unstructured", "speed"), ("unstructured", "flash"), ("block:2x2", "balanced"), ("2:4", "speed")],
)
def test_sparse_models_walk_the_road(tool: Tool, tmp_path: Path, board: str, pattern: str, objective: str) -> None:
    """The example's small model pruned at once: encoded sparsely, still bit-exact at every layer."""
    sparse, out = tmp_path / "sparse.tflite", tmp_path / "out"
    wanted = ["--pattern", pattern] + ([] if pattern == "2:4" else ["--sparsity", "0.85"])
    tool("prune", EXAMPLE / "small_int8.tflite", "--one-shot", *wanted, "-o", sparse)
    made = tool("generate", sparse, "--board", board, "--optimize", objective, "-o", out)
    assert any(layer["encoding"] not in ("dense", "-") for layer in made["layers"])
    tool("build", out)
    tool("flash", out)
    data = EXAMPLE / "small_test.npz"
    checked = tool("check", out, "--data", data, "--samples", "10", "--layers")
    assert checked["results"]["bit_exact"] == checked["results"]["samples"] == 10
    assert all(layer["equal"] for layer in checked["results"]["layers"])


@pytest.mark.parametrize("encoding", ["bitmap", "gap", "block2x2", "block1x4"])
def test_forced_encodings_on_the_board(tool: Tool, small: Path, tmp_path: Path, encoding: str) -> None:
    """Every encoding gives the same bytes, whatever is cheapest."""
    out = tmp_path / "out"
    sparse = tmp_path / "sparse.tflite"
    tool("prune", small, "--one-shot", "--sparsity", "0.6", "-o", sparse)
    forced = [option for layer in ("2", "5", "13") for option in ("--encoding", f"{layer}={encoding}")]
    tool("generate", sparse, "--board", "mps2-an386", *forced, "-o", out)
    tool("build", out)
    tool("flash", out)
    assert tool("check", out, "--data", small_data(tmp_path), "--layers")["results"]["bit_exact"] == 20


@pytest.mark.shared
def test_pointwise_flash_at_80_percent(tool: Tool, shared: Path, tmp_path: Path) -> None:
    """DS-CNN-L at 80% zeros: its five pointwise layers take at most 0.40 of dense int8, and bytes stay equal."""
    sparse = tmp_path / "s.tflite"
    dense_model = shared / "models" / "ds_cnn_l_int8.tflite"
    tool("prune", dense_model, "--one-shot", "--sparsity", "0.8", "-o", sparse)
    sizes = {}
    for name, model, options in (
        ("dense", dense_model, ["--encoding", "*pw=dense"]),
        ("sparse", sparse, ["--optimize", "flash"]),
    ):
        out = tmp_path / name
        tool("generate", model, "--board", "mps2-an386", *options, "-o", out)
        built = tool("build", out)
        sizes[name] = sum(layer["flash_bytes"] for layer in built["layers"] if layer["name"].endswith("_pw"))
    assert sizes["sparse"] <= 0.40 * sizes["dense"]
    tool("flash", out)
    data = f"{shared / 'data' / 'speech_commands_kws01_dev500.npz'}:x=mfcc_arm,y=label"
    assert tool("check", out, "--data", data, "--samples", "10")["results"]["bit_exact"] == 10


def test_board_keeps_what_was_flashed(tool: Tool, small: Path, tmp_path: Path, capsys: Any) -> None:
    """check refuses an empty board and a board that runs another build; --port names another board."""
    data = small_data(tmp_path, 2)
    first, second = tmp_path / "first", tmp_path / "second"
    other = tmp_path / "other.tflite"
    other.write_bytes(every_operator(seed=4))
    for model, folder in ((small, first), (other, second)):
        tool("generate", model, "--board", "mps2-an386", "-o", folder)
        tool("build", folder)
    error = tool("check", first, "--data", data, code=5)["error"]
    assert "empty" in error["what"] and "mcuprune flash" in error["hint"]
    tool("flash", first)
    tool("check", first, "--data", data)
    error = tool("check", second, "--data", data, code=5)["error"]
    assert "another build" in error["what"] and "mcuprune flash" in error["hint"]
    tool("flash", second, "--port", "desk-2")
    tool("check", second, "--data", data, "--port", "desk-2")
    tool("check", first, "--data", data)


def test_results_repeat(tool: Tool, small: Path, tmp_path: Path) -> None:
    """Two checks give the same results, instruction counts included."""
    out = tmp_path / "out"
    tool("generate", small, "--board", "mps2-an386", "-o", out)
    tool("build", out)
    tool("flash", out)
    data = small_data(tmp_path, 5)
    first, second = (tool("check", out, "--data", data) for _ in range(2))
    assert first["results"] == second["results"]
    counts = [r["timing"]["median_ticks"] for r in (first, second)]
    assert abs(counts[0] - counts[1]) <= 2, "SysTick ticks of 40 instructions, read at two places"


def test_min_accuracy(tool: Tool, small: Path, tmp_path: Path) -> None:
    """An accuracy under --min-accuracy ends in exit code 1 and says so."""
    out = tmp_path / "out"
    tool("generate", small, "--board", "mps2-an386", "-o", out)
    tool("build", out)
    tool("flash", out)
    result = tool("check", out, "--data", small_data(tmp_path), "--min-accuracy", "0.99", code=1)
    assert "under 0.99" in result["faults"][0]


def test_interrupt_leaves_no_process(small: Path, tmp_path: Path, own_state: Path) -> None:
    """Ctrl-C during check ends in exit code 130, and QEMU is gone."""
    out = tmp_path / "out"
    for verb in (
        ["generate", str(small), "--board", "mps2-an386", "-o", str(out)],
        ["build", str(out)],
        ["flash", str(out)],
    ):
        assert run(verb) == 0
    data = small_data(tmp_path, 20_000)
    child = subprocess.Popen(
        [sys.executable, "-m", "mcuprune", "check", str(out), "--data", data],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while not _qemu_of(own_state) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _qemu_of(own_state), "QEMU never started"
    time.sleep(0.5)
    os.killpg(child.pid, signal.SIGINT)
    _, errors = child.communicate(timeout=20)
    assert child.returncode == 130, errors
    assert "interrupted" in errors and "Traceback" not in errors
    assert not _qemu_of(own_state)


def _qemu_of(state: Path) -> list[str]:
    """Processes of QEMU that run an image of this state folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if "qemu-system-arm" in command and str(state) in command:
                found.append(command)
    return found


@pytest.mark.shared
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize(("model", "data", "of_40", "of_500"), REAL)
def test_real_models(
    tool: Tool, shared: Path, tmp_path: Path, model: str, data: str, of_40: int, of_500: int, board: str
) -> None:
    """Real models and real clips: every output byte equal, the known number correct (test-full runs all 500)."""
    assert _real(tool, shared, tmp_path, model, data, board, 40)["correct"] == of_40


@pytest.mark.full
@pytest.mark.shared
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize(("model", "data", "of_40", "of_500"), REAL)
def test_real_models_whole_set(
    tool: Tool, shared: Path, tmp_path: Path, model: str, data: str, of_40: int, of_500: int, board: str
) -> None:
    """500 of 500 outputs bit-equal, and the known number of correct answers."""
    assert _real(tool, shared, tmp_path, model, data, board, 500)["correct"] == of_500


def _real(tool: Tool, shared: Path, tmp_path: Path, model: str, data: str, board: str, samples: int) -> Any:
    out = tmp_path / "out"
    tool("generate", shared / "models" / f"{model}.tflite", "--board", board, "-o", out)
    tool("build", out)
    tool("flash", out)
    results = tool("check", out, "--data", f"{shared / 'data' / data}", "--samples", str(samples))["results"]
    assert results["bit_exact"] == results["samples"] == samples
    return results
