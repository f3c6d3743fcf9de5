"""Object files kept from one build to the next: the same kernels are compiled once a board, not once a row."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from mcuprune.build.folder import Folder


@dataclass(frozen=True, slots=True)
class _Kept:
    """An object file, its make rule, and the hashes of what it was made of."""

    object: bytes
    rule: bytes
    made_of: dict[str, str]


class ObjectStore:
    """Objects of earlier builds by board, macros and path, as bytes in memory."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], dict[str, list[_Kept]]] = {}

    def lend(self, folder: Folder) -> None:
        """Put the objects into a fresh folder whose sources and headers are the same."""
        hashes: dict[str, str] = {}
        for room in _ROOMS:
            for path, kept in self._kept.get(_key(folder, room), {}).items():
                for one in kept:
                    if all(_hash(folder, name, hashes) == value for name, value in one.made_of.items()):
                        target = folder.path / path
                        target.parent.mkdir(parents=True, exist_ok=True)
                        target.with_suffix(".d").write_bytes(one.rule)
                        target.write_bytes(one.object)
                        break

    def keep(self, folder: Folder) -> None:
        """Take the objects of a built folder but for those that see the model."""
        hashes: dict[str, str] = {}
        for room in _ROOMS:
            store = self._kept.setdefault(_key(folder, room), {})
            for rule in sorted((folder.path / "build" / room).rglob("*.d")):
                target = rule.with_suffix(".o")
                names = _made_of(rule.read_text(encoding="utf-8"))
                if not target.is_file() or any(name.startswith(("model/", "/")) for name in names):
                    continue
                made_of = {name: _hash(folder, name, hashes) for name in names}
                kept = store.setdefault(str(target.relative_to(folder.path)), [])
                if all(other.made_of != made_of for other in kept):
                    kept.append(_Kept(target.read_bytes(), rule.read_bytes(), made_of))


_ROOMS = ("traced", "firmware")
"""Below build/: kernels, which see no macros of the model, and the firmware around it."""


def _made_of(rule: str) -> list[str]:
    """Files that a make rule names behind its target; -MP adds a rule without any for each header."""
    names = re.sub(r"^[^:]*:|\\\n", " ", rule).split()
    return [name for name in names if not name.endswith(":")]


def _key(folder: Folder, room: str) -> tuple[str, str]:
    """Board, and the macros that objects of a room are compiled with."""
    return folder.board.name, _macros(folder) if room == "firmware" else ""


def _macros(folder: Folder) -> str:
    """-D options of the folder's Makefile."""
    return " ".join(re.findall(r"-D\S+", (folder.path / "Makefile").read_text(encoding="utf-8")))


def _hash(folder: Folder, name: str, known: dict[str, str]) -> str:
    """Of a file of the folder; "" where it is missing."""
    if name not in known:
        file = folder.path / name
        known[name] = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
    return known[name]
