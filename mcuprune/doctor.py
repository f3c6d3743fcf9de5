"""What this machine has of what the road needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from mcuprune.tools import install_hint


@dataclass(frozen=True, slots=True)
class Finding:
    """One program or package: whether it is here, and what to do if not."""

    name: str
    purpose: str
    required: bool  # for the road from a .tflite to a QEMU board
    ok: bool
    found: str
    hint: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


PROGRAMS = (
    ("make", "building generated folders", True),
    ("arm-none-eabi-gcc", "compiling for Cortex-M", True),
    ("qemu-system-arm", "QEMU boards", True),
    ("gcc", "verify --target host, profile", False),
    ("cmake", "building generated folders with CMake instead of make", False),
    ("espeak-ng", "the demo's spoken words", False),
)

PACKAGES = (
    ("ai_edge_litert", "the reference interpreter", True, "pip install ai-edge-litert"),
    ("tensorflow", "prune with training, quantize", False, "pip install 'mcuprune[train]'"),
    ("keras", "prune with training, quantize", False, "pip install 'mcuprune[train]'"),
)


def examine(
    which: Callable[[str], str | None], find_spec: Callable[[str], Any], python: tuple[int, int]
) -> list[Finding]:
    """Look for every program and package; nothing is imported or run."""
    findings = [
        Finding(
            "python",
            "mcuprune",
            True,
            (3, 10) <= python <= (3, 13),
            ".".join(map(str, python)),
            "Python 3.10 to 3.13",
        )
    ]
    for name, purpose, required in PROGRAMS:
        path = which(name)
        findings.append(Finding(name, purpose, required, path is not None, path or "", install_hint(name)))
    for name, purpose, required, hint in PACKAGES:
        here = find_spec(name) is not None
        findings.append(Finding(name, purpose, required, here, "installed" if here else "", hint))
    return findings
