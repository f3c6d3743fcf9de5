"""Lines to boards that already run: a pty, through pyserial; a socket; and one on which nobody answers."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mcuprune.cli import run
from tests.models import every_operator
from tests.qemu.test_road import small_data

pytestmark = pytest.mark.qemu


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built folder for mps2-an386."""
    folder = tmp_path_factory.mktemp("lines")
    model, out = folder / "m.tflite", folder / "out"
    model.write_bytes(every_operator())
    assert run(["generate", str(model), "--board", "mps2-an386", "-o", str(out)]) == 0
    assert run(["build", str(out)]) == 0
    return out


@contextmanager
def qemu_on_a_pty(image: Path) -> Iterator[str]:
    """A running board whose UART is a pty; yields its name."""
    command = ["qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "pty"]
    process = subprocess.Popen(
        [*command, "-kernel", str(image)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"/dev/pts/\d+", line)
        assert found, line
        yield found.group()
    finally:
        process.kill()
        process.wait()


def test_pty_through_pyserial(built: Path, tmp_path: Path) -> None:
    """A board on a pty is checked like one on a serial port."""
    with qemu_on_a_pty(built / "build" / "m.elf") as port:
        assert run(["check", str(built), "--data", small_data(tmp_path, 5), "--port", port]) == 0


def test_silent_port(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A port on which nobody answers ends in one error with a hint, exit code 5, within the time-out."""
    ours, theirs = os.openpty()
    began = time.monotonic()
    code = run(["check", str(built), "--data", small_data(tmp_path, 5), "--port", os.ttyname(theirs)])
    os.close(ours)
    os.close(theirs)
    assert code == 5
    errors = capsys.readouterr().err
    assert "stays silent" in errors and "try: " in errors and "Traceback" not in errors
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("port", ["/dev/ttyNONE7", "socket://127.0.0.1:1", "unix:/nowhere/there"])
def test_port_that_is_not_there(built: Path, tmp_path: Path, port: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A port that cannot be opened is named."""
    assert run(["check", str(built), "--data", small_data(tmp_path, 5), "--port", port]) == 5
    assert port.removeprefix("unix:") in capsys.readouterr().err
