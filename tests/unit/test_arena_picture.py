"""The arena over time, as text, SVG and JSON."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from mcuprune.cli import run
from mcuprune.report.arena import arena_file, arena_text, buffer_rows, live_bytes, peak_layers
from tests.models import every_operator


def buffer(layer: str | None, size: int, offset: int, first: int, last: int, workspace: bool = False) -> dict[str, Any]:
    label = f"workspace of {layer}" if workspace else f"tensor of {layer}"
    place = {"bytes": size, "offset": offset, "first": first, "last": last}
    return {"label": label, "layer": layer, "workspace": workspace, **place}


def manifest(buffers: list[dict[str, Any]], layers: int) -> dict[str, Any]:
    size = max(b["offset"] + b["bytes"] for b in buffers)
    return {
        "layers": [{"index": i, "name": f"layer_{i}"} for i in range(layers)],
        "buffers": buffers,
        "totals": {"arena_bytes": size, "arena_lower_bound_bytes": size},
    }


SMALL = manifest(
    [
        buffer(None, 8, 0, -1, 0),
        buffer("layer_0", 4, 8, 0, 0, workspace=True),
        buffer("layer_0", 4, 12, 0, 1),
        buffer("layer_1", 12, 0, 1, 2),
    ],
    2,
)


def test_the_text_shows_each_buffer_where_it_is() -> None:
    """One line a word, two characters a step: the input, two layers, the output; the peak is marked."""
    assert arena_text(SMALL) == [
        "12 |..cccc..",
        " 8 |..bbdddd",
        " 4 |aaaadddd",
        " 0 |aaaadddd",
        "   +--------",
        "      ^^^^",
        "      0",
    ]
    assert live_bytes(SMALL["buffers"], 2) == [8, 16, 16, 12]
    assert peak_layers(SMALL) == ["layer_0", "layer_1"]
    assert [row[:2] for row in buffer_rows(SMALL)] == [
        ("a", "input"),
        ("b", "workspace of layer_0"),
        ("c", "layer_0"),
        ("d", "layer_1"),
    ]


def test_what_shares_memory_counts_once() -> None:
    """A part inside of the output that begins: the text shows the output, the sum has its bytes once."""
    shared = manifest([buffer("layer_0", 8, 0, 0, 1), buffer("layer_1", 16, 0, 1, 2)], 2)
    assert live_bytes(shared["buffers"], 2) == [0, 8, 16, 16]
    assert arena_text(shared)[3] == " 0 |..aabbbb"


def test_a_long_model_fits_a_screen() -> None:
    """700 layers: several steps share a column, and every column is there."""
    long = manifest([buffer(f"layer_{i}", 400, 400 * (i % 2), i, i + 1) for i in range(700)], 700)
    lines = arena_text(long)
    assert max(map(len, lines)) <= 130 and len(lines) < 30
    assert "^" * 100 in lines[-2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("memory")
    model, out = base / "m.tflite", base / "out"
    model.write_bytes(every_operator())
    assert run(["generate", str(model), "--board", "host", "--name", "small", "-o", str(out)]) == 0
    return out


def test_the_verb(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Text and JSON of a generated folder, which needs no build; the picture is a file of its own."""
    capsys.readouterr()
    picture = tmp_path / "arena.svg"
    assert run(["memory", str(folder), "--svg", str(picture)]) == 0
    text = capsys.readouterr().out
    assert run(["memory", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert max(layer["live_bytes"] for layer in found["layers"]) == found["arena_lower_bound_bytes"]
    assert found["arena_bytes"] == found["arena_lower_bound_bytes"] and not found["reordered"]
    for b in found["buffers"]:
        assert (b["label"] if b["workspace"] else b["layer"] or "input") in text
    root = ElementTree.fromstring(picture.read_text())
    titles = [e.text or "" for e in root.iter() if e.tag.endswith("title")]
    assert all(any(b["label"] in title for title in titles) for b in found["buffers"])
    assert picture.read_text().count("<style>") == 1


def test_equal_folders_give_equal_pictures(folder: Path) -> None:
    """Nothing but the manifest is in it."""
    read = json.loads((folder / "mcuprune.json").read_text())
    assert arena_file(read) == arena_file(json.loads(json.dumps(read)))
