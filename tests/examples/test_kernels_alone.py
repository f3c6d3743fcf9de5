"""The example that calls one kernel by itself builds as its comment says, and prints what the formula gives."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.c.c_build import WARNINGS, needs_cc

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "examples" / "kernels" / "sparse_1x1.c"


@needs_cc
def test_sparse_1x1(tmp_path: Path) -> None:
    """The command in the file's head, with warnings as errors and sanitizers."""
    head = SOURCE.read_text(encoding="utf-8").split("*/")[0]
    command = head[head.index("cc ") : head.index(" && ")].replace("\\\n *", "").split()
    command[command.index("sparse_1x1")] = str(tmp_path / "sparse_1x1")
    sanitized = [command[0], *WARNINGS, "-fsanitize=address,undefined", *command[1:]]
    subprocess.run(sanitized, cwd=ROOT, check=True, capture_output=True)
    done = subprocess.run([tmp_path / "sparse_1x1"], check=True, capture_output=True, text=True)
    rows = [(1, 2, 3, 4, 5, 6, 7, 8), (-1, -2, -3, -4, -5, -6, -7, -8), (100, 0, 100, 0, 0, 0, -100, 0)]
    exact = [(0.1 * (100 + 5 * x[2] - 3 * x[6]) - 5, 0.25 * (7 * x[0] + x[7] - 20) - 5) for x in rows]
    for line, wanted in zip(done.stdout.splitlines(), exact, strict=True):
        got = [int(text) for text in line.split()[2:]]
        assert all(abs(g - max(-128, min(127, w))) <= 0.5 for g, w in zip(got, wanted, strict=True))
