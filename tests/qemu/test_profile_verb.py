"""`profile` on emulated boards: figures of each layer, that they repeat, that both plugin interfaces count alike."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mcuprune.boards import load_board
from mcuprune.build.folder import Folder, open_folder
from mcuprune.cli import run
from mcuprune.errors import BoardError
from mcuprune.flash.power import image_build_id
from mcuprune.flash.qemu import QemuProcess, QemuTransport
from mcuprune.importers.tflite import import_tflite
from mcuprune.inputs import random_inputs
from mcuprune.kernels.catalog import CATALOG
from mcuprune.link.protocol import Counter, InferReply, Status
from mcuprune.profile import counting
from mcuprune.profile.calibrate import fit, measure
from mcuprune.profile.image import Image
from mcuprune.profile.measure import profile_measured
from tests.link.fake_board import Board, FakeTransport, hello

pytestmark = pytest.mark.qemu
EXAMPLE = Path(__file__).parents[2] / "examples" / "spoken-words"
BOARDS = ["mps2-an385-m0", "mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547"]
SHOWN = ("MACs", "nonzero", "instructions", "modelled cycles", "cycles/MAC", "share", "flash", "workspace", "encoding")


@pytest.fixture(scope="module", params=["mps2-an386"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's small model, built for a board."""
    return built(request.param, tmp_path_factory.mktemp("profile"))


def built(board: str, where: Path) -> Path:
    """The example's small model, built."""
    out = where / board
    assert run(["generate", str(EXAMPLE / "small_int8.tflite"), "--board", board, "-o", str(out)]) == 0
    assert run(["build", str(out)]) == 0
    return out


def profile(folder: Path, capsys: pytest.CaptureFixture[str], *options: str, code: int = 0) -> Any:
    """The verb's JSON."""
    capsys.readouterr()
    got = run(["profile", str(folder), *options, "--json"])
    captured = capsys.readouterr()
    assert got == code, captured.err
    return json.loads(captured.out)


def newer_qemu() -> str:
    """A QEMU of version 9 or later that MCUPRUNE_QEMU names; the test is skipped without one."""
    program = os.environ.get("MCUPRUNE_QEMU") or shutil.which("qemu-system-arm") or ""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\d+)", said)
    if found is None or int(found[1]) < 9:
        pytest.skip("no QEMU 9 or later (MCUPRUNE_QEMU names one)")
    return program


def test_figures_of_each_layer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Layers, totals and functions agree with each other, with the manifest and with `build`, without `flash`."""
    shown = profile(folder, capsys)
    manifest = open_folder(folder).manifest
    for layer, told in zip(shown["layers"], manifest["layers"], strict=True):
        assert layer["index"] == told["index"] and layer["name"] == told["name"] and layer["macs"] == told["macs"]
        assert layer["instructions"] < layer["modelled_cycles"] < 3 * layer["instructions"]
        assert layer["nnz_macs"] <= layer["macs"] < layer["instructions"] or layer["macs"] == 0
    totals = shown["totals"]
    for key in ("macs", "nnz_macs", "instructions", "modelled_cycles"):
        assert totals[key] == sum(layer[key] for layer in shown["layers"])
    for key in ("instructions", "modelled_cycles"):
        assert totals[key] == sum(function[key] for function in shown["functions"])
    capsys.readouterr()
    assert run(["build", str(folder), "--json"]) == 0
    sizes = json.loads(capsys.readouterr().out)
    for key in ("weight_flash_bytes", "flash_bytes", "ram_bytes", "arena_bytes"):
        assert totals[key] == sizes["totals"][key]
    assert totals["code_bytes"] == sizes["flash"]["kernels and model code"]
    assert totals["weight_flash_bytes"] == sum(layer["flash_bytes"] for layer in shown["layers"])
    names = {function["name"] for function in shown["functions"]}
    assert {layer["kernel"] for layer in shown["layers"]} - {"-"} <= names
    assert not names & {"mp_layer_done", "mp_uart_rx_handler", "mp_systick_handler", "mp_link_serve"}


def test_equal_runs_count_alike(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same input gives the same figures to the last instruction; another input nearly so."""
    first = profile(folder, capsys)
    assert profile(folder, capsys) == first
    other = profile(folder, capsys, "--seed", "2")["totals"]["instructions"]
    assert other != first["totals"]["instructions"]
    assert abs(other / first["totals"]["instructions"] - 1) < 0.01


def test_counts_agree_with_the_boards_clock(folder: Path) -> None:
    """SysTick, a nanosecond an instruction, saw what the plugin counted, and beside it the observer's little work."""
    opened = open_folder(folder)
    image = Image(opened)
    row = random_inputs(import_tflite(opened.model_path), 1, 1)[0].tobytes()
    layers, answer = counting.count_layers(opened, image, row)
    counted = sum(sum(layer.values()) for layer in layers)
    executed = answer.ticks * 1e9 / opened.board.clock_hz
    assert counted < executed + 40 and executed < counted + 50 * len(layers) + 500


@pytest.mark.parametrize("board", BOARDS)
def test_every_core(board: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Instructions on each emulated core; cycles where there is a model of it."""
    shown = profile(built(board, tmp_path), capsys)
    assert all(layer["instructions"] > 0 for layer in shown["layers"])
    assert (shown["totals"]["modelled_cycles"] is not None) == (shown["core"] == "cortex-m4f")


def test_both_interfaces_count_alike(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """QEMU 9 and later count as the QEMU on PATH does."""
    program = newer_qemu()
    monkeypatch.delenv("MCUPRUNE_QEMU", raising=False)
    first = profile(folder, capsys)
    monkeypatch.setenv("MCUPRUNE_QEMU", program)
    assert profile(folder, capsys) == first


def test_tables(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Without --json: a table of layers, one of the dearest functions, and a picture."""
    capsys.readouterr()
    picture = tmp_path / "p.svg"
    data = f"{EXAMPLE / 'small_test.npz'}"
    assert run(["profile", str(folder), "--top", "2", "--plot", str(picture), "--data", data]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in SHOWN)
    assert "cycles are modelled" in shown and "softmax" in shown
    assert len(shown.split("function  ")[1].split("\n\n")[0].splitlines()) == 3
    assert picture.read_text().startswith("<svg")


def test_no_baseline_of_this_model(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """--against a file without this model is one error, exit code 2, with nothing drawn."""
    base = tmp_path / "base.json"
    base.write_text(json.dumps({"models": {"a": {"layers": [{"op": "ADD", "shape": "4", "instr": {"m4": 1}}]}}}))
    shown = profile(folder, capsys, "--against", str(base), "--plot", str(tmp_path / "p.svg"), code=2)
    assert "none of its models has the layers of small_int8.tflite" in shown["error"]["what"]
    assert not (tmp_path / "p.svg").exists()


def test_no_compiler(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first use on a machine without gcc says what to install; exit code 4."""
    qemu = shutil.which("qemu-system-arm")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MCUPRUNE_QEMU", str(qemu))
    monkeypatch.setenv("PATH", str(tmp_path))
    shown = profile(folder, capsys, code=4)
    assert "gcc is not installed" in shown["error"]["what"] and "apt-get install gcc" in shown["error"]["hint"]


def test_plugin_that_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A QEMU that does not load the plugin: its words, and what to do."""
    broken = tmp_path / "plugin.so"
    broken.write_bytes(b"no library")
    monkeypatch.setattr(counting, "build_plugin", lambda api: broken)
    opened = open_folder(folder)
    with pytest.raises(BoardError, match="does not load the counting plugin") as caught:
        counting.count_layers(opened, Image(opened), b"")
    assert "MCUPRUNE_QEMU" in str(caught.value)


def test_qemu_that_ends_after_its_sockets_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A QEMU that makes its socket and ends before anybody connects: its own words, not a refused connection."""
    program = tmp_path / "qemu"
    program.write_text(
        f"#!{sys.executable}\n"
        "import socket, sys\n"
        "print('plugin.so: file too short', flush=True)\n"
        "path = next(a for a in sys.argv if 'path=' in a).partition('path=')[2].partition(',')[0]\n"
        "socket.socket(socket.AF_UNIX).bind(path)\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("MCUPRUNE_QEMU", str(program))
    process = QemuProcess(load_board("mps2-an386"), tmp_path / "image.elf")
    with pytest.raises(BoardError, match="file too short"):
        QemuTransport(process)


def test_commas_in_paths(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache whose name has a comma and a space."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a, b"))
    assert profile(folder, capsys)["totals"]["instructions"] > 0


class CountingBoard(Board):
    """A running board with a cycle counter: layer i takes 1000 (i + 1) cycles, and every second run 7 more."""

    def __init__(self, folder: Folder, counter: Counter, build_id: bytes) -> None:
        graph = import_tflite(folder.model_path)
        told = hello(sum(graph.tensor(i).nbytes for i in graph.inputs))
        values = {f: getattr(told, f) for f in type(told).__slots__}
        values |= {"build_id": build_id, "counter": counter, "layers": len(graph.ops)}
        super().__init__(type(told)(**values))
        self.runs = 0

    def _infer(self, payload: bytes) -> tuple[Status, bytes]:
        run = int.from_bytes(payload[:2], "little") + 1
        self.runs += 1
        return Status.OK, InferReply(500 * run * (run + 1) + 7 * (self.runs % 2), run, None, None).pack()


def test_measured_cycles(folder: Path) -> None:
    """On a board with a cycle counter a layer is the difference of two runs; the least of three counts."""
    opened = open_folder(folder)
    board = CountingBoard(opened, Counter.CYCLES, image_build_id(opened.elf))
    graph = import_tflite(opened.model_path)
    row = random_inputs(graph, 1, 1)[0].tobytes()
    found = profile_measured(opened, lambda: FakeTransport(board), row)
    assert [layer.cycles for layer in found.layers] == [1000 * (i + 1) for i in range(len(graph.ops))]
    assert found.cycles == "measured" and found.instructions is None
    assert "measured_cycles" in found.to_json()["totals"]


@pytest.mark.parametrize(
    ("counter", "other_build", "complaint"),
    [(Counter.SYSTICK, False, "no running cycle counter"), (Counter.CYCLES, True, "runs another build")],
)
def test_board_that_cannot_measure(folder: Path, counter: Counter, other_build: bool, complaint: str) -> None:
    """No cycle counter, or another image: one clear error."""
    opened = open_folder(folder)
    build_id = bytes(20) if other_build else image_build_id(opened.elf)
    with pytest.raises(BoardError, match=complaint):
        profile_measured(opened, lambda: FakeTransport(CountingBoard(opened, counter, build_id)), b"")


def test_calibration_measures_each_layer() -> None:
    """Each kernel's layers are counted; the fit predicts them within the error that it states."""
    board = load_board("mps2-an386")
    served = [(k, "gap") for k in CATALOG if k.symbol in ("mp_fully_connected_s8_gap_ref", "mp_conv2d_s8_gap_ref")]
    found = dict(measure(board, served))
    fully = served[1]
    assert list(found) == served and dict(measure(board, [fully]))[fully].code == found[fully].code
    told = found[fully]
    assert len(told.instructions) == len(told.cycles) == len(told.choices) and 100 < sum(told.code.values()) < 1000
    for counts in (told.instructions, told.cycles):
        coefficients, error = fit(told.choices, counts)
        assert error < 0.01 and coefficients["walk"] > 1
