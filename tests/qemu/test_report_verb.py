"""`report` by itself: it counts in QEMU, checks the flashed board, and the page shows both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.qemu

EXAMPLE = Path(__file__).parents[2] / "examples" / "spoken-words"


def test_report_counts_and_checks(tool: Any, tmp_path: Path) -> None:
    """One call gives modelled cycles and accuracy; what was printed by profile and check gives the same page."""
    out, data = tmp_path / "out", EXAMPLE / "small_test.npz"
    tool("generate", EXAMPLE / "small_int8.tflite", "--board", "mps2-an386", "-o", out)
    tool("build", out)
    tool("flash", out)
    said = tool("report", out, "--data", data, "--samples", "3", "-o", tmp_path / "a.html")
    assert said["profile"] and said["check"]
    page = (tmp_path / "a.html").read_text()
    assert "modelled cycles" in page and "no measurement" in page and "accuracy on the board" in page
    for verb, more in (("profile", ()), ("check", ("--data", data, "--samples", "3"))):
        (tmp_path / f"{verb}.json").write_text(json.dumps(tool(verb, out, *more)))
    files = ("--profile", tmp_path / "profile.json", "--check", tmp_path / "check.json")
    tool("report", out, *files, "-o", tmp_path / "b.html")
    assert (tmp_path / "b.html").read_text() == page
    bare = tool("report", out, "--no-profile", "-o", tmp_path / "c.html")
    assert not bare["profile"] and "modelled cycles" not in (tmp_path / "c.html").read_text()
