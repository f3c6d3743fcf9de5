"""The oldest Python that pyproject.toml allows reads the package: its grammar, and what modules of its library have."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import mcuprune

FILES = sorted(Path(mcuprune.__file__).parent.rglob("*.py"))
NEWER = {
    "typing": {
        "LiteralString",
        "Never",
        "NotRequired",
        "Required",
        "Self",
        "TypeAliasType",
        "TypeVarTuple",
        "Unpack",
        "assert_never",
        "assert_type",
        "dataclass_transform",
        "override",
        "reveal_type",
    },
    "enum": {"EnumCheck", "ReprEnum", "StrEnum", "member", "nonmember", "verify"},
    "datetime": {"UTC"},
    "itertools": {"batched"},
    "contextlib": {"chdir"},
    "hashlib": {"file_digest"},
    "asyncio": {"TaskGroup", "timeout"},
    "operator": {"call"},
    "math": {"cbrt", "exp2", "sumprod"},
}
"""What came with Python 3.11 or later."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FILES[0].parent).as_posix())
def test_python_3_10(path: Path) -> None:
    """No newer syntax, no newer name."""
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))
    used = {
        (node.module, name.name) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names
    }
    used |= {
        (node.value.id, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    assert not {(module, name) for module, name in used if name in NEWER.get(module or "", ())}
