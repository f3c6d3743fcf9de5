"""The wheel alone: in an empty environment in another folder, without TensorFlow, it walks the road."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.models import CLASSES, INPUT, every_operator


def shell(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command; its stdout."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(c) for c in command], cwd=cwd, env=clean | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    shell(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT, cwd=folder)
    (found,) = folder.glob("mcuprune-*.whl")
    return found


def test_wheel_carries_firmware_templates_boards(wheel: Path) -> None:
    """All that generation needs lies inside the wheel."""
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, pattern in (("firmware", "**/*.[ch]"), ("templates", "*.j2"), ("boards", "*.toml")):
        for path in (ROOT / folder).glob(pattern):
            assert f"mcuprune/_data/{path.relative_to(ROOT)}" in names
    assert {"mcuprune/py.typed", "mcuprune/profile/mp_count.c", "mcuprune/profile/cortex_m4.toml"} <= names


@pytest.mark.qemu
def test_wheel_walks_the_road(wheel: Path, tmp_path: Path) -> None:
    """prune --one-shot, generate, build, flash, check from the wheel, with tensorflow not importable."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    shell(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel, cwd=tmp_path)
    assert subprocess.run([python, "-c", "import tensorflow"], capture_output=True, check=False).returncode != 0
    (tmp_path / "m.tflite").write_bytes(every_operator())
    rng = np.random.default_rng(1)
    x = rng.normal(0, 3, (4, *INPUT[1:])).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=rng.integers(0, CLASSES, 4))

    def mcuprune(*arguments: str) -> Any:
        state = str(tmp_path / "state")
        return json.loads(shell(python, "-m", "mcuprune", *arguments, "--json", cwd=tmp_path, MCUPRUNE_STATE=state))

    assert mcuprune("prune", "m.tflite", "--one-shot", "--sparsity", "0.5", "-o", "s.tflite")["layers"]
    mcuprune("generate", "s.tflite", "--board", "mps2-an386", "-o", "out")
    mcuprune("build", "out")
    mcuprune("flash", "out")
    assert mcuprune("check", "out", "--data", "d.npz")["results"]["bit_exact"] == 4
