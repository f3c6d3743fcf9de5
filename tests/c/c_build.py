"""How the tests compile C: the warnings are errors, and the sanitizers end the program."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
FIRMWARE = HERE.parents[1] / "firmware"
INCLUDE = [f"-I{FIRMWARE / part}" for part in ("include", "numerics", "kernels", "runtime", "link", "drivers")]
WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
SANITIZE = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (apt install gcc)")


def build(output: Path, sources: list[Path], *flags: str) -> Path:
    """Compiles and links; the compiler's words are the assertion's."""
    command = ["cc", *WARNINGS, *flags, *INCLUDE, f"-I{HERE}", f"-I{output.parent}", "-o", str(output)]
    done = subprocess.run([*command, *map(str, sources)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return output
