"""The data goes one way and imports follow it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mcuprune

ROOT = Path(mcuprune.__file__).parent

# A room may import the rooms named before it, and these, which stand below all of them.
COMMON = {"errors", "numerics", "boards", "resources", "tools", "files", "ir.graph"}
ORDER = [
    "masks",
    "tflite",
    "sizes",
    "ir",
    "data",
    "inputs",
    "sparsity",
    "datasets",
    "importers",
    "passes",
    "pruning",
    "quantization",
    "encodings",
    "kernels",
    "plan",
    "emit",
    "generate",
    "build",
    "link",
    "flash",
    "check",
    "profile",
    "bench",
    "report",
    "recipe",
    "doctor",
    "cli",
]


def rooms() -> dict[str, list[Path]]:
    """Python files by room: a folder or a module at the top of the package."""
    found: dict[str, list[Path]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found.setdefault(parts[0], []).append(path)
    return found


def imports(path: Path) -> set[str]:
    """Modules of mcuprune that a file imports, as dotted paths below mcuprune."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "mcuprune":
            base = node.module.split(".")[1:]
            names |= {".".join(base)} if base else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {a.name.partition(".")[2] for a in node.names if a.name.startswith("mcuprune.")}
    return names


def allowed(room: str, module: str) -> bool:
    """Whether `room` may import `module`."""
    target = module.split(".")[0]
    if target == room or module in COMMON or target in COMMON or module == "__version__":
        return True
    if room in COMMON or room not in ORDER:
        return False
    return target in ORDER and ORDER.index(target) < ORDER.index(room)


@pytest.mark.parametrize("room", [r for r in rooms() if r not in ("__init__", "__main__")])
def test_imports_follow_the_data(room: str) -> None:
    """A room imports only rooms before it."""
    assert room in ORDER or room in COMMON, f"{room} has no place in the order: give it one"
    wrong = {(p.name, m) for p in rooms()[room] for m in imports(p) if not allowed(room, m)}
    assert not wrong


def test_tensorflow_only_where_training_is() -> None:
    """TensorFlow and Keras are imported in sparsity and quantization; TensorFlow for features of audio in datasets."""
    for room, paths in rooms().items():
        for path in paths:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
            names |= {(n.module or "").split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
            if names & {"tensorflow", "keras"}:
                assert room in ("sparsity", "quantization") or path == ROOT / "datasets" / "mfcc.py", path


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["data", "speech-commands", "--help"],
        *([verb, "--help"] for verb in ("sensitivity", "prune", "shrink", "quantize", "size", "verify", "generate")),
        *([verb, "--help"] for verb in ("profile", "report")),
    ],
)
def test_help_imports_no_tensorflow(arguments: list[str]) -> None:
    """--help starts at once: neither TensorFlow nor Keras is imported."""
    code = (
        "import sys; from mcuprune.cli import run; code = run(sys.argv[1:]); "
        "bad = {'tensorflow', 'keras'} & set(sys.modules); sys.exit(code or (9 if bad else 0))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
