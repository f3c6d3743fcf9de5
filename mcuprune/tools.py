"""Programs that mcuprune calls: where to find them, and which package brings them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from mcuprune.errors import ToolMissingError

PACKAGES: Mapping[str, str] = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
    "make": "make",
    "cmake": "cmake",
    "gcc": "gcc libc6-dev",
    "espeak-ng": "espeak-ng",
}
"""Debian and Ubuntu package of each program."""

ELSEWHERE: Mapping[str, str] = {"qemu-system-arm": "MCUPRUNE_QEMU"}
"""Environment variables that name another program of the kind, by path or by name."""


def install_hint(program: str) -> str:
    """What to do where a program is missing."""
    package = PACKAGES.get(program)
    return f"sudo apt-get install {package}" if package else f"install {program} and put it on PATH"


def find_tool(program: str, purpose: str) -> Path:
    """The path of a program.

    Raises:
        ToolMissingError: it is not on PATH, nor where the environment says.
    """
    variable = ELSEWHERE.get(program, "")
    named = os.environ.get(variable)
    found = shutil.which(named or program)
    if found is None and named:
        raise ToolMissingError(
            f"{variable}={named} is no program; it is needed to {purpose}",
            hint=f"give the path of a {program}, or unset {variable}",
        )
    if found is None:
        raise ToolMissingError(f"{program} is not installed; it is needed to {purpose}", hint=install_hint(program))
    return Path(found)


def run_tool(arguments: Sequence[str | Path], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end in English, its output captured, both streams in one.

    An exception meanwhile (Ctrl-C) ends it with all that it started.
    """
    command = [str(a) for a in arguments]
    child = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = child.communicate()
    except BaseException:
        _end_group(child)
        raise
    return subprocess.CompletedProcess(command, child.returncode, output)


def _end_group(child: subprocess.Popen[str]) -> None:
    """Ask a program and all it started to leave (compilers remove their scratch files), and insist after 10 s."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.communicate(timeout=10)  # until the last of them has let go of the output
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()
