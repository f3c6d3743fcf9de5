"""The report is one readable HTML file: whole, without network, equal for equal builds, honest about its sources."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mcuprune.cli import run
from mcuprune.report.text import fitted, kilobytes, millions, shape, signed
from mcuprune.report.treemap import Box, treemap
from tests.models import every_operator

VOID = {"meta", "link", "br", "rect", "line", "circle", "img", "hr", "input"}


class Page(HTMLParser):
    """Checks that elements nest, and collects what a reader without eyes for pictures gets."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, built for this machine."""
    base = tmp_path_factory.mktemp("report")
    model, out = base / "m<&>.tflite", base / "out"
    model.write_bytes(every_operator())
    assert run(["generate", str(model), "--board", "host", "--name", "small", "-o", str(out)]) == 0
    assert run(["build", str(out)]) == 0
    return out


def profile_of(folder: Path) -> dict[str, Any]:
    """What `profile --json` could say of the folder."""
    manifest = json.loads((folder / "mcuprune.json").read_text())
    layers = [
        {**{key: layer[key] for key in ("index", "op", "name", "macs", "kernel")}, "instructions": 1000 + layer["macs"]}
        for layer in manifest["layers"]
    ]
    total = sum(layer["instructions"] for layer in layers)
    return {"board": "host", "layers": layers, "totals": {"instructions": total, "macs": 1}}


def test_the_page_is_whole_and_alone(folder: Path, tmp_path: Path) -> None:
    """It parses, names every layer, loads nothing, and every picture has a name, a description and a table."""
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps(profile_of(folder)))
    assert run(["report", str(folder), "--profile", str(profile), "-o", str(tmp_path / "r.html")]) == 0
    text = (tmp_path / "r.html").read_text()
    page = Page(text)
    assert not re.search(r"https?://", text.replace('xmlns="http://www.w3.org/2000/svg"', ""))
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert not re.search(r"@import|url\(", text)
    for layer in json.loads((folder / "mcuprune.json").read_text())["layers"]:
        assert layer["name"] in text
    assert "m&lt;&amp;&gt;.tflite" in text and "m<&>" not in text
    ids = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(ids) == len(set(ids))
    for picture in page.of("svg"):
        assert picture["role"] == "img"
        assert set(str(picture["aria-labelledby"]).split()) <= set(ids)
    assert len(page.of("table")) == len(page.of("caption")) >= 5
    assert all(a.get("scope") in ("col", "row") for a in page.of("th"))
    assert page.of("html")[0]["lang"] == "en"


def test_equal_input_equal_bytes(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two reports of one build are the same file; --json says what was written."""
    pages = []
    for name in ("a.html", "b.html"):
        capsys.readouterr()
        assert run(["report", str(folder), "-o", str(tmp_path / name), "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        pages.append((tmp_path / name).read_bytes())
        assert said["bytes"] == len(pages[-1]) and said["board"] == "host"
        assert (said["profile"], said["check"]) == (False, False)
    assert pages[0] == pages[1]
    assert not re.search(rb"\b20\d\d-\d\d-\d\d\b", pages[0])
    assert str(tmp_path).encode() not in pages[0]


@pytest.mark.parametrize("results", ["right", "other build", "no result"])
def test_check_results_must_be_of_this_build(folder: Path, tmp_path: Path, capsys: Any, results: str) -> None:
    """Accuracy comes from `check --json`; another build's is refused, and so is a file of something else."""
    capsys.readouterr()
    assert run(["build", str(folder), "--json"]) == 0
    build = json.loads(capsys.readouterr().out)["build_id"]
    model = json.loads((folder / "mcuprune.json").read_text())["model"]["sha256"]
    check = {
        "build_id": build if results == "right" else "00" * 20,
        "model_sha256": model,
        "results": {
            "samples": 4,
            "accuracy": 0.75,
            "accuracy_interval": [0.3, 0.95],
            "correct": 3,
            "reference_correct": 3,
            "agreement": 4,
            "bit_exact": 4,
            "confusion": [[2, 0], [1, 1]],
            "class_names": ["<yes>", "no"],
        },
        "memory": {"stack_bytes": 4096, "stack_used": 500},
    }
    file = tmp_path / "check.json"
    file.write_text(json.dumps(check if results != "no result" else {"layers": []}))
    code = run(["report", str(folder), "--check", str(file), "-o", str(tmp_path / "r.html")])
    if results == "right":
        text = (tmp_path / "r.html").read_text()
        assert code == 0 and "75.00%" in text and "&lt;yes&gt;" in text and Page(text)
        return
    said = capsys.readouterr().err
    assert code == 2 and "--check" in said and not (tmp_path / "r.html").exists()
    assert ("another build" if results == "other build" else "not what `mcuprune check --json` prints") in said


def test_what_cannot_be_reported(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No build, another folder's profile, no JSON, options that contradict: one clear error each, and no file."""
    model, bare = tmp_path / "m.tflite", tmp_path / "bare"
    model.write_bytes(every_operator())
    assert run(["generate", str(model), "--board", "host", "-o", str(bare)]) == 0
    page = str(tmp_path / "r.html")
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({**profile_of(folder), "board": "mps2-an386"}))
    (tmp_path / "text.json").write_text("no JSON")
    for arguments, code, words in (
        ([bare], 4, "has not been built"),
        ([tmp_path], 2, "is not a folder that mcuprune generated"),
        ([folder, "--profile", wrong], 2, "of another folder"),
        ([folder, "--profile", tmp_path / "text.json"], 2, "no JSON"),
        ([folder, "--profile", tmp_path / "none.json"], 2, "cannot be read"),
        ([folder, "--profile", wrong, "--no-profile"], 2, "figures already"),
        ([folder, "--check", wrong, "--data", "x.npz"], 2, "say the same"),
    ):
        capsys.readouterr()
        assert run(["report", *map(str, arguments), "-o", page]) == code
        assert words in capsys.readouterr().err
        assert not Path(page).exists()


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("layers", 0, "instructions"), "many", "layers[0].instructions is 'many'"),
        (("layers", 1, "against"), "x", "layers[1].against is no object"),
        (("layers", 1, "against"), {"cycles_ratio": "2"}, "layers[1].against.cycles_ratio is '2'"),
        (("layers",), {}, "layers is no list"),
        (("layers", 0), 1, "layers[0] is no object"),
        (("totals",), None, "totals is no object"),
        (("totals", "modelled_cycles"), [1], "totals.modelled_cycles is [1]"),
        (("board",), None, "board is None"),
    ],
)
def test_damaged_profiles(
    folder: Path, tmp_path: Path, capsys: Any, place: tuple[str | int, ...], value: Any, words: str
) -> None:
    """A profile that was changed by hand or cut is one error that names the place, and no file."""
    profile: Any = profile_of(folder)
    inner = profile
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    file = tmp_path / "profile.json"
    file.write_text(json.dumps(profile))
    capsys.readouterr()
    assert run(["report", str(folder), "--profile", str(file), "-o", str(tmp_path / "r.html")]) == 2
    said = capsys.readouterr().err
    assert "not what `mcuprune profile --json` prints" in said and words in said
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize("count", [1, 2, 7, 60])
def test_treemap_covers_its_frame(count: int) -> None:
    """Boxes have the areas of their sizes, lie in the frame, and do not overlap."""
    sizes = sorted((float((i * 37) % 101 + 1) for i in range(count)), reverse=True)
    frame = Box(5, 7, 200, 90)
    boxes = treemap(sizes, frame)
    for size, box in zip(sizes, boxes, strict=True):
        assert box.width * box.height == pytest.approx(size / sum(sizes) * 200 * 90)
        assert frame.x - 1e-6 <= box.x and box.x + box.width <= frame.x + frame.width + 1e-6
        assert frame.y - 1e-6 <= box.y and box.y + box.height <= frame.y + frame.height + 1e-6
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            across = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
            down = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
            assert across < 1e-6 or down < 1e-6
    assert treemap([], frame) == []


def test_numbers_for_people() -> None:
    """Sizes, shares and shapes as the page shows them."""
    assert [kilobytes(n) for n in (999, 12_345, 4_194_304)] == ["999\u202fB", "12.3\u202fkB", "4.19\u202fMB"]
    assert millions(36_657_534) == "36.7\u202fM" and millions(12) == "12"
    assert [signed(x) for x in (0.126, -0.0002, -0.03)] == ["+12.6%", "±0.0%", "−3.0%"]
    assert shape([1, 25, 5, 64]) == "25×5×64" and shape(None) == "–"
    assert fitted("pointwise", 40) == "point…" and fitted("pointwise", 20) == ""
