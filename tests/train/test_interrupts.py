"""Ctrl-C while TensorFlow is loaded, trains, or converts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mcuprune.sparsity.runtime import held_interrupts

pytestmark = pytest.mark.train

EXAMPLE = Path(__file__).parents[2] / "examples" / "spoken-words"


@pytest.mark.parametrize("delay_s", [2.0, 12.0])
@pytest.mark.parametrize("verb", ["prune", "quantize"])
def test_interrupt_leaves_nothing(tmp_path: Path, verb: str, delay_s: float) -> None:
    """Exit code 130 (or the verb was done), no traceback, no half-written file."""
    output = tmp_path / ("out.keras" if verb == "prune" else "out.tflite")
    options = ["--sparsity", "0.5", "--epochs", "50"] if verb == "prune" else []
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "mcuprune", verb, str(EXAMPLE / "dense.keras"), *options]
    child = subprocess.Popen(
        [*command, "--data", str(EXAMPLE / "small_test.npz"), "-o", str(output)],
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        time.sleep(delay_s)
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=180)
    finally:
        child.kill()
    assert child.returncode in ({130} if verb == "prune" else {0, 130}), errors
    assert "Traceback" not in errors, errors
    assert output.exists() == (child.returncode == 0)
    assert {p.name for p in tmp_path.iterdir()} <= {"tmp", output.name}


def test_interrupt_waits_for_imports() -> None:
    """One that comes while modules are loaded is told when they are, and not at all where it is ignored."""
    reached = []
    with pytest.raises(KeyboardInterrupt), held_interrupts():
        signal.raise_signal(signal.SIGINT)
        reached.append(1)
    assert reached
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with held_interrupts():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
