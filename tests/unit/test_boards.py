"""Board files: all that ship load, and each check refuses what it is there for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcuprune.boards import board_names, load_board
from mcuprune.errors import BoardFileError
from mcuprune.resources import resource_dir

GOOD = (resource_dir("boards") / "mps2-an386.toml").read_text()


@pytest.mark.parametrize("name", board_names())
def test_shipped_boards_load(name: str) -> None:
    """Every board file that ships passes every check, and its name is its file's."""
    assert load_board(name).name == name


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("name = ", "nome = ", "name is missing"),
        ('"cortex-m4f"', '"cortex-m9"', "core 'cortex-m9' is not known"),
        ("ram = { base = 0x2000_0000", "ram = { base = 0x0010_0000", "overlaps"),
        ("flash = { base = 0x0000_0000", "flash = { base = 0x0000_0010", "vector table"),
        ("bytes = 8192", "bytes = 9_999_999", "stack is larger"),
        ("\n[stack]", "vectors = { base = 0x0000_0400, bytes = 1024 }\n[stack]", "flash 0x.* overlaps vectors"),
        ("\n[stack]", "vectors = { base = 0x1000_0010, bytes = 1024 }\n[stack]", "vectors base 0x10000010"),
        ("\n[stack]", "vectors = { base = 0x1000_0000, bytes = 0 }\n[stack]", "memory.vectors.bytes = 0"),
        ('driver = "cmsdk_uart"', 'driver = "morse"', "driver 'morse'"),
        ('kind = "qemu"', 'kind = "pigeon"', "runner 'pigeon'"),
        ('machine = "mps2-an386"', "", "needs machine"),
        ("clock_hz = 25_000_000", "clock_hz = -1", "must be positive"),
        ("clock_hz = 25_000_000", 'clock_hz = "fast"', "clock_hz is 'fast'"),
        ("[uart]", "[usart]", "needs a [uart] section"),
    ],
)
def test_faulty_board_is_refused(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    """A wrong field is named in the error."""
    assert old in GOOD
    path = tmp_path / "board.toml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(BoardFileError, match=complaint.replace("[", r"\[")):
        load_board(str(path))


def test_unknown_board_lists_the_known_ones() -> None:
    """A misspelt board name is answered with the names there are."""
    with pytest.raises(BoardFileError) as caught:
        load_board("mps2-an368")
    assert "mps2-an386" in str(caught.value)
