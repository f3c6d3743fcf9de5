"""Bad input ends in one clear error and its exit code; nothing is half-written."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.resources import resource_dir
from tests.models import CLASSES, INPUT, every_operator
from tests.tflite_builder import Builder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A good model."""
    path = tmp_path / "good.tflite"
    path.write_bytes(every_operator())
    return path


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a verb that must fail with a code; returns what it said on stderr."""

    def expect(code: int, *arguments: str | Path) -> str:
        capsys.readouterr()
        got = run([str(a) for a in arguments])
        said = capsys.readouterr().err
        assert got == code, said
        assert said.count("error: ") == 1 and "Traceback" not in said
        return said

    return expect


def test_truncated_models(model: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    """A model cut anywhere is exit code 3, and no folder appears."""
    whole = model.read_bytes()
    for size in (0, 3, 8, 100, len(whole) // 2, len(whole) - 50):
        cut = tmp_path / "cut.tflite"
        cut.write_bytes(whole[:size])
        said = fails(3, "generate", cut, "--board", "mps2-an386", "-o", tmp_path / "out")
        assert "cut.tflite" in said
        assert not (tmp_path / "out").exists()


def test_bit_flips_never_crash(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A flipped bit gives a clear error, or a model that generates."""
    whole, chance = model.read_bytes(), random.Random(7)
    codes = set()
    for i in range(150):
        broken = bytearray(whole)
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        path = tmp_path / "flipped.tflite"
        path.write_bytes(broken)
        code = run(["generate", str(path), "--board", "host", "-o", str(tmp_path / "out"), "--json"])
        assert code in (0, 3, 4), f"flip {i}: {capsys.readouterr().err}"
        codes.add(code)
    assert codes >= {0, 3}


def test_float_model(tmp_path: Path, fails: Callable[..., str]) -> None:
    """A float model is told to be quantized."""
    b = Builder()
    x = b.input((1, 4), dtype=np.float32)
    w = b.tensor((3, 4), np.float32, data=np.ones((3, 4), np.float32))
    out = b.tensor((1, 3), np.float32)
    from ai_edge_litert import schema_py_generated as schema

    path = tmp_path / "float.tflite"
    path.write_bytes(b.build([b.op("FULLY_CONNECTED", [x, w], [out], schema.FullyConnectedOptionsT())]))
    said = fails(3, "generate", path, "--board", "host")
    assert "float" in said and "quantize" in said


@pytest.mark.parametrize("board", ["mps2-an368", "missing.toml"])
def test_unknown_board(model: Path, board: str, fails: Callable[..., str]) -> None:
    """The known boards are listed."""
    assert "mps2-an386" in fails(2, "generate", model, "--board", board)


def small_board(folder: Path, flash: int, ram: int, stack: int = 1024) -> Path:
    """mps2-an386 with less memory."""
    text = (resource_dir("boards") / "mps2-an386.toml").read_text()
    text = text.replace(
        "flash = { base = 0x0000_0000, bytes = 4_194_304", f"flash = {{ base = 0x0000_0000, bytes = {flash}"
    )
    text = text.replace("ram = { base = 0x2000_0000, bytes = 4_194_304", f"ram = {{ base = 0x2000_0000, bytes = {ram}")
    path = folder / "small.toml"
    path.write_text(text.replace("bytes = 8192", f"bytes = {stack}"))
    return path


def big_model(folder: Path, density: float) -> Path:
    """One large fully-connected layer with that share of nonzeros."""
    rng = np.random.default_rng(3)
    b = Builder()
    weights = np.where(rng.random((100, 400)) < density, rng.integers(1, 100, (100, 400)), 0).astype(np.int8)
    x = b.input((1, 400), 0.1, 0)
    path = folder / "big.tflite"
    path.write_bytes(b.build([b.fully_connected(x, weights, np.zeros(100, np.int32), weight_scales=0.01, scale=1.0)]))
    return path


def test_model_that_does_not_fit(tmp_path: Path, fails: Callable[..., str]) -> None:
    """By how much, and which encoding would fit; with that encoding it does."""
    board = small_board(tmp_path, 32_768, 65_536)
    big = big_model(tmp_path, 0.2)
    said = fails(4, "generate", big, "--board", board, "--encoding", "*=dense", "-o", tmp_path / "out")
    assert "more than the 32768 bytes of flash" in said and "--optimize flash" in said
    assert run(["generate", str(big), "--board", str(board), "--optimize", "flash", "-o", str(tmp_path / "out")]) == 0
    assert run(["build", str(tmp_path / "out")]) == 0


def test_image_that_does_not_link(tmp_path: Path, fails: Callable[..., str]) -> None:
    """Weights fit but the image does not: the linker's overflow, in bytes, and what to do."""
    board = small_board(tmp_path, 45_056, 65_536)
    big, out = big_model(tmp_path, 0.2), tmp_path / "out"
    assert run(["generate", str(big), "--board", str(board), "--encoding", "*=dense", "-o", str(out)]) == 0
    said = fails(4, "build", out)
    assert "overflows flash by" in said and "--optimize flash" in said


def test_arena_that_does_not_fit(model: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    """RAM is counted, too."""
    assert "bytes of RAM" in fails(
        4, "generate", model, "--board", small_board(tmp_path, 65_536, 1280), "-o", tmp_path / "o"
    )


@pytest.mark.parametrize(
    ("verb", "tool", "package"),
    [
        ("build", "arm-none-eabi-gcc", "gcc-arm-none-eabi"),
        ("flash", "qemu-system-arm", "apt-get install qemu-system-arm"),
    ],
)
def test_missing_tool(
    model: Path,
    tmp_path: Path,
    fails: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    tool: str,
    package: str,
) -> None:
    """A missing compiler or emulator is exit code 4, with the package to install."""
    out = tmp_path / "out"
    assert run(["generate", str(model), "--board", "mps2-an386", "-o", str(out)]) == 0
    if verb == "flash":
        assert run(["build", str(out)]) == 0
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "make").symlink_to(str(shutil.which("make")))
    monkeypatch.setenv("PATH", str(tools))
    said = fails(4, verb, out)
    assert tool in said and package in said


def test_data_that_does_not_fit(model: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    """Wrong shape, dtype, label range, NaN or key: exit code 2, naming both sides."""
    out = tmp_path / "out"
    assert run(["generate", str(model), "--board", "host", "-o", str(out)]) == 0
    assert run(["build", str(out)]) == 0
    x, y = np.zeros((3, *INPUT[1:]), np.float32), np.zeros(3, np.int64)
    nan = x.copy()
    nan[1, 2] = np.nan
    cases = [
        ({"x": x[:, 1:], "y": y}, "168 values", "189"),
        ({"x": x.astype(np.int8), "y": y}, "int8", "float32"),
        ({"x": x, "y": y + CLASSES}, f"label {CLASSES}", f"0..{CLASSES - 1}"),
        ({"x": nan, "y": y}, "nan", "sample 1"),
        ({"x": x, "y": y.astype(np.float32)}, "float32", "integers"),
        ({"x": x, "y": y[:2]}, "3 samples", "2 labels"),
        ({"features": x, "y": y}, "no key 'x'", "features float32 (3, 9, 7, 3)"),
    ]
    for arrays, *words in cases:
        path = tmp_path / "data.npz"
        np.savez(path, **arrays)
        said = fails(2, "check", out, "--data", path)
        assert all(word in said for word in words), said
    assert "no file" in fails(2, "check", out, "--data", tmp_path / "nothing.npz")


@pytest.mark.parametrize("verb", [["build"], ["flash"], ["check", "--data", "d.npz"]])
def test_folder_that_is_none(tmp_path: Path, verb: list[str], fails: Callable[..., str]) -> None:
    """A folder that mcuprune did not generate is said to be none, and what makes one."""
    assert "mcuprune generate" in fails(2, verb[0], tmp_path, *verb[1:])


def test_damaged_folder(model: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    """A damaged manifest or an exchanged model is noticed."""
    out = tmp_path / "out"
    assert run(["generate", str(model), "--board", "host", "-o", str(out)]) == 0
    manifest = (out / "mcuprune.json").read_text()
    (out / "mcuprune.json").write_text(manifest[: len(manifest) // 2])
    assert "damaged" in fails(2, "build", out)
    (out / "mcuprune.json").write_text(manifest)
    (out / "model" / "good.tflite").write_bytes(every_operator(seed=9))
    assert "not the model" in fails(2, "build", out)


def _verbs(folder: Path, model: Path) -> dict[str, list[str]]:
    """A long enough call of each verb that works without training."""
    data = folder / "many.npz"
    rng = np.random.default_rng(5)
    x = rng.normal(0, 3, (30_000, *INPUT[1:])).astype(np.float32)
    np.savez(data, x=x, y=rng.integers(0, CLASSES, len(x)))
    recipe = folder / "recipe.toml"
    recipe.write_text(
        f'name = "m"\nmodel = "{model.name}"\nboard = "mps2-an386"\ntest = "{data.name}"\n[prune]\nsparsity = 0.5\n'
    )
    return {
        "prune": ["prune", str(model), "--one-shot", "--sparsity", "0.5", "-o", str(folder / "p.tflite")],
        "generate": ["generate", str(model), "--board", "mps2-an386", "-o", str(folder / "g")],
        "build": ["build", str(folder / "ready")],
        "flash": ["flash", str(folder / "ready")],
        "check": ["check", str(folder / "ready"), "--data", str(data)],
        "verify": ["verify", str(model), "--target", "mps2-an386", "--data", str(data)],
        "run": ["run", str(recipe), "-o", str(folder / "r")],
    }


@pytest.mark.qemu
def test_interrupts(model: Path, tmp_path: Path) -> None:
    """Ctrl-C in each verb: exit code 130 (or the verb was done), no traceback, no process, no scraps."""
    state = tmp_path / "state"
    environment = {**os.environ, "MCUPRUNE_STATE": str(state), "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    python = [sys.executable, "-m", "mcuprune"]
    for verb in (
        ["generate", str(model), "--board", "mps2-an386", "-o", str(tmp_path / "ready")],
        ["build", str(tmp_path / "ready")],
        ["flash", str(tmp_path / "ready")],
    ):
        subprocess.run([*python, *verb], env=environment, check=True, capture_output=True)
    verbs = _verbs(tmp_path, model)
    before = {p.name for p in tmp_path.iterdir()}
    outputs = {"p.tflite", "g", "r"}
    interrupted = set()
    for name, arguments in verbs.items():
        for delay_s in (0.35, 0.7, 1.2):
            shutil.rmtree(tmp_path / "ready" / "build", ignore_errors=True) if name == "build" else None
            child = subprocess.Popen(
                [*python, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            time.sleep(delay_s)
            child.send_signal(signal.SIGINT)
            _, errors = child.communicate(timeout=30)
            assert child.returncode in (0, 130), f"{name} after {delay_s} s: {errors}"
            assert "Traceback" not in errors, f"{name} after {delay_s} s: {errors}"
            interrupted |= {name} if child.returncode == 130 else set()
            assert not _processes(str(tmp_path)), name
            left = {p.name for p in tmp_path.iterdir()} - before - outputs
            assert not left, f"{name} left {left}"
            assert not list((tmp_path / "tmp").iterdir()), f"{name} left {list((tmp_path / 'tmp').iterdir())}"
        if name == "build":
            subprocess.run([*python, *verbs["build"]], env=environment, check=True, capture_output=True)
    assert {"check", "verify", "run"} <= interrupted


def _processes(word: str) -> list[str]:
    """Command lines of other processes that mention a word."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            except OSError:
                continue
            if word in command and "pytest" not in command:
                found.append(command)
    return found
