"""Every emulated board: a sparse model walks the road from `generate` to `check`, flashed through the gdb server."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcuprune.boards import board_names, load_board
from mcuprune.flash.image import load_segments
from tests.qemu.conftest import Tool
from tests.qemu.test_road import EXAMPLE

pytestmark = pytest.mark.qemu
BOARDS = [name for name in board_names() if load_board(name).runner.kind == "qemu"]


@pytest.mark.parametrize("name", BOARDS)
def test_board_walks_the_road(tool: Tool, tmp_path: Path, name: str) -> None:
    """Every layer is bit-exact, time counts, and the image lies where the board file says."""
    sparse, out = tmp_path / "sparse.tflite", tmp_path / "out"
    tool("prune", EXAMPLE / "small_int8.tflite", "--one-shot", "--sparsity", "0.8", "-o", sparse)
    tool("generate", sparse, "--board", name, "-o", out)
    built = tool("build", out)
    board = load_board(name)
    regions = [region for region in (board.vectors, board.flash) if region]
    segments = load_segments(out / "build" / "sparse.elf")
    assert segments[0].address == regions[0].base, "the core looks for its vector table there"
    for segment in segments:
        assert any(r.base <= segment.address and segment.address + len(segment.data) <= r.end for r in regions)
    assert tool("flash", out)["build_id"] == built["build_id"]
    checked = tool("check", out, "--data", EXAMPLE / "small_test.npz", "--samples", "3", "--layers")
    assert checked["results"]["bit_exact"] == checked["results"]["samples"] == 3
    assert all(layer["equal"] for layer in checked["results"]["layers"])
    assert checked["timing"]["counter"] == "systick" and checked["timing"]["median_ticks"] > 0
    assert 0 < checked["memory"]["stack_used"] < checked["memory"]["stack_bytes"]


def test_image_of_a_board_with_vectors_apart_stays_small(tool: Tool, tmp_path: Path) -> None:
    """A flat .bin would hold the gap between vector table and code: such a board gets a .hex."""
    out = tmp_path / "out"
    tool("generate", EXAMPLE / "small_int8.tflite", "--board", "mps3-an547", "-o", out)
    tool("build", out)
    images = [path for path in (out / "build").iterdir() if path.suffix in (".bin", ".hex")]
    assert [path.suffix for path in images] == [".hex"] and images[0].stat().st_size < 500_000
