"""The command line itself: streams that close, user text, errors, hints."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.cli.common import PlainConsole, out, table
from mcuprune.errors import LinkError
from mcuprune.flash.store import require_image
from tests.models import CLASSES, INPUT, every_operator

PROGRAM = [sys.executable, "-m", "mcuprune"]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """m.tflite in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "m.tflite"
    path.write_bytes(every_operator())
    return path


# streams


@pytest.mark.parametrize("arguments", [["boards"], ["boards", "--json"], ["--help"], ["prune", "--help"]])
def test_a_reader_that_left(arguments: list[str]) -> None:
    """Output into a closed pipe ends quietly with 0."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        done = subprocess.run([*PROGRAM, *arguments], stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("arguments", [["boards"], ["boards", "--json"], ["--help"]])
def test_a_full_disk(arguments: list[str]) -> None:
    """Output that cannot be written is one error."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*PROGRAM, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: No space left") and len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&-"])
def test_closed_streams(closed: str) -> None:
    """Streams that are closed from the start are no error."""
    shell = f'"$0" -m mcuprune boards {closed}'
    done = subprocess.run(["sh", "-c", shell, sys.executable], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# text of the user's


@pytest.mark.parametrize("text", ["[silence]", "[/b]", "[bold]x", ":smile:"])
def test_user_text_is_shown_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What looks like markup is no markup, in lines, cells and headers; a bold row is a row."""
    rows = table(None, "", text)
    rows.add_row(text, "1")
    rows.add_row("total", "2", style="bold")
    out.print(rows)
    out.print(text)
    lines = capsys.readouterr().out.splitlines()
    assert [text in line for line in lines] == [True, True, False, True]
    assert lines[2].split() == ["total", "2"]


def test_bold_rows() -> None:
    """Styles of rows work without markup."""
    stream = io.StringIO()
    rows = table(None, "")
    rows.add_row("total", style="bold")
    PlainConsole(file=stream, force_terminal=True, color_system="standard").print(rows)
    assert "\x1b[1mtotal\x1b[0m" in stream.getvalue()


# errors


def fails(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 2) -> str:
    """Runs a verb that must fail; what it said."""
    capsys.readouterr()
    assert run(list(arguments)) == code
    return capsys.readouterr().err


def test_usage_errors_are_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong option under --json is the error object on stdout."""
    assert run(["verify", "m.tflite", "--seed", "-1", "--json"]) == 2
    error: dict[str, Any] = json.loads(capsys.readouterr().out)["error"]
    assert "--seed" in error["what"] and error["where"] == "mcuprune verify" and "--help" in error["hint"]


def test_last_resort(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An OSError that nobody expected is one error with its path."""

    def broken() -> list[str]:
        raise PermissionError(13, "Permission denied", "/some/where")

    monkeypatch.setattr("mcuprune.boards.board_names", broken)
    said = fails(capsys, "boards")
    assert said.splitlines()[:2] == ["error: Permission denied", "   at: /some/where"]


def test_samples_without_data(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """verify --samples counts samples of --data."""
    assert "--samples counts samples of --data" in fails(capsys, "verify", "m.tflite", "--samples", "3")


@pytest.mark.parametrize("verb", [["flash", "d"], ["check", "d", "--data", "x.npz"]])
def test_empty_port(verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """--port '' is an error."""
    assert "it is empty" in fails(capsys, *verb, "--port", "")


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["m.tflite", "--one-shot", "--sparsity", "0.5", "-o", "x.keras"], "the result is a .tflite file", 2),
        ([".", "--one-shot", "-o", "x.tflite"], "neither a .keras nor a .tflite", 2),
        (["x.txt", "--data", "none.npz", "-o", "x.keras"], "x.txt is neither a .keras nor a .tflite", 2),
        (["none.keras", "--data", "none.npz", "-o", "x.keras"], "there is no file none.keras", 3),
        (["none.tflite", "--one-shot", "-o", "x.tflite"], "there is no file none.tflite", 3),
    ],
)
def test_what_prune_takes(
    model: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str, code: int
) -> None:
    """Model and output are looked at before data and TensorFlow are loaded."""
    assert words in fails(capsys, "prune", *arguments, code=code)


@pytest.mark.parametrize(("name", "reason"), [("mp_x", "runtime"), ("string", "header"), ("int", "keyword")])
def test_names_that_are_taken(model: Path, capsys: pytest.CaptureFixture[str], name: str, reason: str) -> None:
    """generate --name says why a name cannot be used, and gives one that can."""
    said = fails(capsys, "generate", "m.tflite", "--board", "host", "--name", name)
    assert reason in said and f"--name model_{name}" in said


# what is said


def test_host_folder(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """generate says why; build of a host folder goes on to check; flash refuses at once."""
    assert run(["prune", "m.tflite", "--one-shot", "--sparsity", "0.8", "-o", "s.tflite"]) == 0
    assert run(["generate", "s.tflite", "--board", "host", "-o", "[b]"]) == 0
    said = capsys.readouterr().out
    assert "why this encoding" in said and "balanced:" in said and "mcuprune build [b]" in said
    assert run(["build", "[b]"]) == 0
    assert "next: mcuprune check [b]" in capsys.readouterr().out
    said = fails(capsys, "flash", "[b]")
    assert said.startswith("error: the host build needs no flashing")


def test_class_names(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Class names with brackets head their columns."""
    assert run(["generate", "m.tflite", "--board", "host", "-o", "host"]) == 0
    assert run(["build", "host"]) == 0
    names = ["[silence]", "[/b]", *(f"c{i}" for i in range(CLASSES - 2))]
    x = np.random.default_rng(1).normal(0, 3, (4, *INPUT[1:])).astype(np.float32)
    np.savez("d.npz", x=x, y=np.zeros(4, int), class_names=np.array(names))
    assert run(["check", "host", "--data", "d.npz"]) == 0
    text = capsys.readouterr().out
    assert "[silence]" in text and "[/b]" in text


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("generate", "Names: dense"),
        ("flash", "emulated board"),
        ("prune", "[default: 0.0006]"),
        ("prune", "whole blocks"),
    ],
)
def test_help(verb: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--help says it."""
    assert run([verb, "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert words in said
    assert verb != "flash" or "/dev" not in said


def test_hint_names_the_port(tmp_path: Path) -> None:
    """An empty board of a name is flashed by that name."""
    with pytest.raises(LinkError) as caught:
        require_image("mps2-an386", "second", Path("out"), tmp_path)
    assert caught.value.hint == "mcuprune flash out --port second"
