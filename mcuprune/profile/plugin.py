"""The counting plugin: built on first use by the host's compiler, kept in the user's cache folder.

Its source, mp_count.c, ships with the package and needs no header of QEMU.
"""

from __future__ import annotations

import hashlib
import platform
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from mcuprune.errors import BoardError, BuildError, UsageError
from mcuprune.files import write_file_atomic
from mcuprune.tools import find_tool, run_tool

SOURCE = Path(__file__).parent / "mp_count.c"
FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-fvisibility=hidden")
_SCOREBOARDS_SINCE = 9  # QEMU's version that replaced plain counters


@dataclass(frozen=True, slots=True)
class Window:
    """What is counted: code of `size` bytes from `base` on; from `begin` on, a phase at each `mark`."""

    base: int
    size: int
    begin: int
    mark: int


def qemu_version() -> tuple[int, int]:
    """Version of the QEMU that runs boards.

    Raises:
        ToolMissingError: there is none.
        BoardError: it does not tell.
    """
    program = find_tool("qemu-system-arm", "count instructions")
    said = run_tool([program, "--version"]).stdout
    found = re.search(r"version (\d+)\.(\d+)", said)
    if found is None:
        raise BoardError(f"QEMU does not tell its version: {said.strip()[:200]!r}", where=f"{program} --version")
    return int(found[1]), int(found[2])


def plugin_api(version: tuple[int, int]) -> int:
    """Version of the plugin interface that a QEMU speaks, of the two that the plugin knows."""
    return 2 if version[0] >= _SCOREBOARDS_SINCE else 1


def build_plugin(api: int, cache: Path | None = None) -> Path:
    """The plugin for a version of QEMU's interface; compiled unless it is in the cache.

    Args:
        cache: folder of compiled plugins; the user's cache folder by default.
    Raises:
        ToolMissingError: no compiler for this machine.
        BuildError: the compiler complains.
        UsageError: the cache cannot be written.
    """
    content = SOURCE.read_bytes() + " ".join((*FLAGS, platform.machine())).encode()
    key = hashlib.sha256(content).hexdigest()[:16]
    target = (cache or platformdirs.user_cache_path("mcuprune") / "plugin") / f"mp_count-api{api}-{key}.so"
    if target.is_file():
        return target
    compiler = find_tool("gcc", "build the counting plugin for QEMU")
    with tempfile.TemporaryDirectory(prefix="mcuprune-plugin-") as scratch:
        made = Path(scratch) / target.name
        done = run_tool([compiler, *FLAGS, f"-DMP_PLUGIN_API={api}", "-o", made, SOURCE])
        if done.returncode != 0:
            lines = done.stdout.strip().splitlines() or [f"gcc ended with exit code {done.returncode}"]
            raise BuildError(
                f"the counting plugin does not compile: {next((s for s in lines if 'error' in s), lines[-1])}",
                where=str(SOURCE),
                hint="is a C library for this machine installed? sudo apt-get install gcc libc6-dev",
            )
        try:
            write_file_atomic(target, made.read_bytes())
        except UsageError as fault:
            raise UsageError(f"the counting plugin's {fault.what}", hint="XDG_CACHE_HOME names another cache") from None
    return target


def plugin_option(plugin: Path, counts: Path, window: Window) -> str:
    """Value of QEMU's option -plugin; its commas separate, so those in names are doubled."""
    parts: Sequence[object] = (
        plugin,
        f"out={counts}",
        f"base={window.base:#x}",
        f"bytes={window.size}",
        f"begin={window.begin:#x}",
        f"mark={window.mark:#x}",
    )
    return ",".join(str(part).replace(",", ",,") for part in parts)


Counts = dict[int, int]
"""Executions by address."""


def read_phases(text: str) -> list[Counts]:
    """Phases of the last run that the plugin's file tells of."""
    phases: list[Counts] = []
    for line in text.splitlines():
        if line == "B":
            phases = []
        elif line == "P":
            phases.append({})
        else:
            address, count = line.split()
            phases[-1][int(address, 16)] = int(count)
    return phases
