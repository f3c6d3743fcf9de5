"""Compile a generated folder with its own Makefile."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mcuprune.build.folder import Folder
from mcuprune.errors import BuildError, FitError
from mcuprune.tools import find_tool, run_tool

_OVERFLOW = re.compile(r"region `?'?(\w+)'? overflowed by (\d+) bytes")

_COMPLAINT = re.compile(r"error: |undefined reference|: No such file|cannot find|\bld: ")


def compile_folder(folder: Folder) -> Path:
    """Run make; returns the ELF file.

    Raises:
        ToolMissingError: make or the compiler is not installed.
        FitError: the linker says that a memory overflows.
        BuildError: anything else that the compiler or linker complains about.
    """
    make = find_tool("make", "build the generated folder")
    find_tool(f"{folder.board.core.cross}gcc", f"compile for {folder.board.name}")
    done = run_tool([make, "-C", folder.path, f"-j{os.cpu_count() or 1}", "all"])
    if done.returncode == 0:
        return folder.elf
    overflow = {name.lower(): int(size) for name, size in _OVERFLOW.findall(done.stdout)}
    if overflow:
        raise _fit_error(folder, overflow)
    lines = done.stdout.splitlines()
    complaint = [line for line in lines if _COMPLAINT.search(line)] or lines[-3:]
    raise BuildError(
        complaint[0].strip() if complaint else f"make ended with exit code {done.returncode}",
        where=f"make -C {folder.path}",
        hint="run that command yourself to see all of its output",
    )


def _fit_error(folder: Folder, overflow: dict[str, int]) -> FitError:
    memories = {"flash": folder.board.flash.bytes, "ram": folder.board.ram.bytes}
    parts = [
        f"{name} by {extra} bytes (it has {memories[name]})" if name in memories else f"{name} by {extra} bytes"
        for name, extra in overflow.items()
    ]
    return FitError(
        f"the image does not fit {folder.board.name}: it overflows {' and '.join(parts)}",
        where=str(folder.path),
        hint=_advice(folder, overflow),
    )


def _advice(folder: Folder, overflow: dict[str, int]) -> str:
    if "flash" in overflow:
        smallest = int(folder.manifest["totals"]["smallest_weight_flash_bytes"])
        saved = int(folder.manifest["totals"]["weight_flash_bytes"]) - smallest
        if saved >= overflow["flash"]:
            return f"generate with --optimize flash: its encodings need {saved} bytes less and fit"
        return (
            f"even the smallest encodings save only {saved} of the {overflow['flash']} bytes: prune further, "
            "take a smaller model, or a board with more flash"
        )
    return "a smaller model, or a board with more RAM"
