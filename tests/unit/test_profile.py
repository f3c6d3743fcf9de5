"""The profiler without a board: plugin builds, its output, baselines, the picture, errors."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from mcuprune.cli import run
from mcuprune.errors import BoardError, BuildError, DataError, ToolMissingError, UsageError
from mcuprune.profile import plugin
from mcuprune.profile.against import compare, shape_of
from mcuprune.profile.counting import layers_by_phase
from mcuprune.profile.plot import svg
from mcuprune.profile.result import Baseline, FunctionProfile, LayerProfile, Memory, Profile
from tests.unit.tiny import tiny_graph

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no compiler for this machine (gcc)")
MEMORY = Memory(1000, 2000, 5000, 3000, 700)


def profile(core: str = "cortex-m4f", kind: str = "modelled") -> Profile:
    """A profile of the tiny model: layer i takes 100 (i + 1) instructions, and twice as many cycles."""
    graph = tiny_graph()
    layers = tuple(
        LayerProfile(i, op.kind, op.name, 50 * i, 25 * i, n, 2 * n if kind else None, "gap", "k", 9, 4)
        for i, (op, n) in enumerate(zip(graph.ops, range(100, 10_000, 100), strict=False))
    )
    functions = (FunctionProfile("f", 2000, 4000 if kind else None), FunctionProfile("g", 800, 1600 if kind else None))
    return Profile("board", core, kind, layers, functions, MEMORY)


def baselines(**changes: Any) -> dict[str, Any]:
    """A file with figures of the tiny model: ten times what profile() has."""
    graph = tiny_graph()
    layers = [
        {"op": op.kind, "shape": shape_of(graph, op), "instr": {"m4": 1000 * (i + 1)}, "m4_cycles": 2000 * (i + 1)}
        for i, op in enumerate(graph.ops)
        if op.kind != "RESHAPE"
    ]
    return {"models": {"other": {"layers": layers[:2]}, "tiny": {"layers": layers} | changes}}


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


# ---------------------------------------------------------------- plugin


@needs_gcc
@pytest.mark.parametrize("api", [1, 2])
def test_plugin_is_built_once(tmp_path: Path, api: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin compiles for both interfaces and is then taken from the cache, without a compiler."""
    built = plugin.build_plugin(api, tmp_path / "cache")
    assert f"api{api}" in built.name and built.read_bytes()[:4] == b"\x7fELF"
    monkeypatch.setenv("PATH", "")
    assert plugin.build_plugin(api, tmp_path / "cache") == built
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [built.name]


@needs_gcc
def test_plugin_is_quiet_under_warnings(tmp_path: Path) -> None:
    """-Wall -Wextra -Wconversion find nothing in it."""
    for api in (1, 2):
        flags = [*plugin.FLAGS, "-Wconversion", "-Werror", f"-DMP_PLUGIN_API={api}"]
        subprocess.run(["gcc", *flags, "-o", tmp_path / "p.so", plugin.SOURCE], check=True)


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the plugin was never built and there is no compiler, the error says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError) as caught:
        plugin.build_plugin(1, tmp_path / "cache")
    assert "apt-get install gcc" in str(caught.value) and not (tmp_path / "cache").exists()


@needs_gcc
def test_cache_that_cannot_be_written(tmp_path: Path) -> None:
    """The error says how to have the plugin elsewhere."""
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UsageError, match="XDG_CACHE_HOME"):
        plugin.build_plugin(1, tmp_path / "cache")


def test_compiler_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler's first error is shown, and nothing stays in the cache."""
    fake = tmp_path / "gcc"
    fake.write_text("#!/bin/sh\necho 'mp_count.c:20: fatal error: stdio.h: No such file'\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(BuildError, match=r"stdio\.h: No such file"):
        plugin.build_plugin(1, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("said", "version", "api"),
    [
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)", (7, 2), 1),
        ("QEMU emulator version 8.2.2", (8, 2), 1),
        ("QEMU emulator version 9.0.0", (9, 0), 2),
        ("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)", (10, 0), 2),
    ],
)
def test_interface_by_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, version: tuple[int, int], api: int
) -> None:
    """QEMU's version decides; MCUPRUNE_QEMU names the program."""
    fake = tmp_path / "my-qemu"
    fake.write_text(f"#!/bin/sh\necho '{said}'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("MCUPRUNE_QEMU", str(fake))
    assert plugin.qemu_version() == version
    assert plugin.plugin_api(version) == api


def test_faulty_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A MCUPRUNE_QEMU that is not there, and a program that is no QEMU."""
    monkeypatch.setenv("MCUPRUNE_QEMU", str(tmp_path / "none"))
    with pytest.raises(ToolMissingError, match="MCUPRUNE_QEMU"):
        plugin.qemu_version()
    monkeypatch.setenv("MCUPRUNE_QEMU", "true")
    with pytest.raises(BoardError, match="does not tell its version"):
        plugin.qemu_version()


def test_phases_of_the_last_inference() -> None:
    """A repeated request starts anew; counts stand under their phase."""
    text = "B\nP\n10 1\nB\nP\n10 5\n1a 7\nP\nP\n20 9\n"
    assert plugin.read_phases(text) == [{0x10: 5, 0x1A: 7}, {}, {0x20: 9}]
    assert plugin.read_phases("") == []


def test_phases_of_layers_by_turns() -> None:
    """Each call of layers that run by turns is a phase, and each layer has one for its end."""
    manifest = {"layers": [{}] * 4, "strips": [{"layer": 1, "calls": [1, 2, 1, 1, 2]}]}
    assert layers_by_phase(manifest) == [0, 1, 2, 1, 1, 2, 1, 2, 3]


def test_commas_in_names() -> None:
    """QEMU splits at single commas."""
    option = plugin.plugin_option(Path("/a,b/p.so"), Path("/c/d"), plugin.Window(0, 16, 4, 8))
    assert option == "/a,,b/p.so,out=/c/d,base=0x0,bytes=16,begin=0x4,mark=0x8"


# ---------------------------------------------------------------- baselines


def test_shapes_in_the_words_of_the_file() -> None:
    """Operators of the tiny model."""
    graph = tiny_graph()
    assert [shape_of(graph, op) for op in graph.ops] == [
        "3x3s2x1 7x5x3->4x5x6",
        "3x3s1x1 4x5x6->4x5x6",
        "1x1s1x1 4x5x6->4x5x9",
        "4x5x9",
        "1x1x9",
        "9->4",
        "4",
    ]


def test_ratios(tmp_path: Path) -> None:
    """The model with the same layers is taken; RESHAPE has no entry and is not in the total."""
    found = compare(profile(), tiny_graph(), write(tmp_path / "base.json", baselines()))
    assert found.against == "base, tiny"
    shown = found.to_json()
    assert shown["layers"][4]["op"] == "RESHAPE" and shown["layers"][4]["against"] is None
    expected = {"instructions": 2000, "cycles": 4000, "instructions_ratio": 10.0, "cycles_ratio": 10.0}
    assert shown["layers"][1]["against"] == expected
    assert shown["totals"]["against"]["instructions"] == 1000 * (1 + 2 + 3 + 4 + 6 + 7)
    assert shown["totals"]["against"]["cycles_ratio"] == 10.0
    assert shown["totals"]["instructions"] == 2800


def test_core_without_figures(tmp_path: Path) -> None:
    """Cycles are the M4's alone; a core that the file does not know has no ratio."""
    found = compare(profile("cortex-m7", ""), tiny_graph(), write(tmp_path / "base.json", baselines()))
    nothing = {"instructions": None, "cycles": None, "instructions_ratio": None, "cycles_ratio": None}
    assert found.to_json()["totals"]["against"] == nothing


def test_no_such_model(tmp_path: Path) -> None:
    """The most similar model is named, and where it parts from ours."""
    wrong = baselines()
    wrong["models"]["tiny"]["layers"][3]["shape"] = "9x9x9"
    with pytest.raises(DataError) as caught:
        compare(profile(), tiny_graph(), write(tmp_path / "b.json", wrong))
    assert "tiny agrees for 3 layers, then has AVERAGE_POOL_2D 9x9x9 where the model has AVERAGE_POOL_2D 4x5x9" in str(
        caught.value
    )
    wrong = {"models": {"only": {"layers": baselines()["models"]["tiny"]["layers"][:2]}}}
    with pytest.raises(DataError, match="only agrees for 2 layers, then has nothing where"):
        compare(profile(), tiny_graph(), write(tmp_path / "b.json", wrong))
    with pytest.raises(DataError, match="it holds nothing"):
        compare(profile(), tiny_graph(), write(tmp_path / "b.json", {"models": {}}))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "the file is no JSON"),
        (b"TFL3\xd2", "the file is no JSON"),
        (b"[]", "holds no baselines"),
        (b'{"models": 3}', "holds no baselines"),
        (b'{"models": {"a": {}}}', "holds no baselines"),
        (b'{"models": {"a": {"layers": [{"op": "ADD"}]}}}', "holds no baselines"),
        (b'{"models": {"a": {"layers": [{"op": "ADD", "shape": "4", "instr": {"m4": "x"}}]}}}', "holds no baselines"),
    ],
)
def test_file_without_baselines(tmp_path: Path, content: bytes, words: str) -> None:
    """A damaged file is one clear error, without the file's bytes or a name of Python's in it."""
    path = tmp_path / "b.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        compare(profile(), tiny_graph(), path)
    assert "Error(" not in str(caught.value)


def test_missing_baselines(tmp_path: Path) -> None:
    """A file that is not there."""
    with pytest.raises(DataError, match="No such file"):
        compare(profile(), tiny_graph(), tmp_path / "none.json")


def test_real_baselines(shared: Path) -> None:
    """Every model of the shared baselines that is among the shared models is found by its layers."""
    from mcuprune.importers.tflite import import_tflite

    path = shared / "baselines" / "cmsis_nn.json"
    for name, model in json.loads(path.read_text())["models"].items():
        if (shared / "models" / model["file"]).is_file():
            graph = import_tflite(shared / "models" / model["file"])
            found = compare(profile(), graph, path)
            assert found.against == f"cmsis_nn, {name}"
            assert found.baseline == Baseline(model["totals"]["instr"]["m4"], model["totals"]["m4_cycles"])


# ---------------------------------------------------------------- figures and picture


def test_totals_and_json() -> None:
    """Sums, and the keys that docs/json.md promises."""
    shown = profile().to_json()
    assert set(shown) == {"board", "core", "layers", "totals", "functions"}
    assert set(shown["layers"][0]) == {
        "index",
        "op",
        "name",
        "macs",
        "nnz_macs",
        "instructions",
        "modelled_cycles",
        "encoding",
        "kernel",
        "flash_bytes",
        "workspace_bytes",
        "bytes_per_nonzero",
        "over_bound",
    }
    assert shown["totals"] == {
        "macs": 1050,
        "nnz_macs": 525,
        "instructions": 2800,
        "modelled_cycles": 5600,
        "weight_flash_bytes": 1000,
        "code_bytes": 2000,
        "flash_bytes": 5000,
        "ram_bytes": 3000,
        "arena_bytes": 700,
        "stream_bytes": 0,
        "bound_bytes": 0,
    }
    assert profile("cortex-m3", "").to_json()["totals"]["modelled_cycles"] is None
    measured = profile(kind="measured").to_json()
    assert measured["totals"]["measured_cycles"] == 5600 and "modelled_cycles" not in measured["totals"]


def test_per_mac() -> None:
    """Cycles of a MAC and of a nonzero one; None where there is none; instructions where there are no cycles."""
    layers = profile().layers
    assert layers[2].per_mac == 6.0 and layers[2].per_nnz_mac == 12.0 and layers[0].per_mac is None
    assert profile("cortex-m3", "").layers[2].per_mac == 3.0


@pytest.mark.parametrize("kind", ["modelled", "measured", ""])
@pytest.mark.parametrize("against", [False, True])
def test_picture(tmp_path: Path, kind: str, against: bool) -> None:
    """The SVG is well-formed, self-contained, has a bar for each layer, and is the same each time."""
    shown = profile(kind=kind)
    if against:
        shown = compare(shown, tiny_graph(), write(tmp_path / "b.json", baselines()))
    text = svg(shown, "a <model> & more")
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert text.count("http") == 1 and "a &lt;model&gt; &amp; more" in text  # no address but the name space
    assert text.count("<g>") == len(shown.layers) and svg(shown, "a <model> & more") == text
    assert ("10.00x" in text) is against


def test_picture_of_nothing() -> None:
    """No layers, or layers that cost nothing."""
    ET.fromstring(svg(Profile("b", "c", "", (), (), MEMORY), "empty"))


# ---------------------------------------------------------------- the verb


def test_folder_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that was not generated."""
    assert run(["profile", str(tmp_path)]) == 2
    assert "not a folder that mcuprune generated" in capsys.readouterr().err


def test_port_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--port NAME, which other verbs take for QEMU boards, is refused with what to do."""
    assert run(["profile", str(tmp_path), "--port", "mine"]) == 2
    assert "leave --port out" in capsys.readouterr().err


@needs_gcc
def test_host_has_nothing_to_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The host build: one clear error, exit code 2."""
    from tests.models import every_operator

    (tmp_path / "m.tflite").write_bytes(every_operator())
    out = str(tmp_path / "out")
    assert run(["generate", str(tmp_path / "m.tflite"), "--board", "host", "-o", out]) == 0
    assert run(["profile", out]) == 4  # not built yet
    assert "has not been built" in capsys.readouterr().err
    assert run(["build", out]) == 0
    capsys.readouterr()
    assert run(["profile", out]) == 2
    assert "host has no instructions that could be counted" in capsys.readouterr().err
