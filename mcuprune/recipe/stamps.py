"""Stamps: what a finished stage was made from, so that it is not made again.

A stamp is a JSON file beside the stage's results: a key (hash of everything the stage depends on) and what it reported.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcuprune import __version__
from mcuprune.data import Spec, parse_spec
from mcuprune.files import write_file_atomic


def stage_key(name: str, parts: Mapping[str, Any]) -> str:
    """Hash of a stage's name, the tool's version, and all it depends on (JSON values)."""
    text = json.dumps([name, __version__, parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def data_hash(spec_text: str, base: Path) -> str:
    """What a data spec depends on, as far as it can be known without loading: its file, or its module's sources.

    Modules beside the data module count, too: it may import them.
    """
    spec: Spec = parse_spec(spec_text, base)
    if spec.file is not None:
        return stage_key(spec_text, {"file": file_hash(spec.file)})
    sources = {p.name: file_hash(p) for p in sorted(base.glob("*.py"))}
    return stage_key(spec_text, sources)


class Stamps:
    """The stamps of one results folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, stage: str) -> Path:
        return self._folder / f"{stage}.json"

    def find(self, stage: str, key: str) -> dict[str, Any] | None:
        """What the stage reported when it was made from the same things; None where it was not."""
        try:
            stamp = json.loads(self._path(stage).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(stamp, dict) or stamp.get("key") != key:
            return None
        result = stamp.get("result")
        return result if isinstance(result, dict) else None

    def store(self, stage: str, key: str, result: Mapping[str, Any]) -> None:
        """Note that the stage is done."""
        self._folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"key": key, "result": result}, indent=1) + "\n"
        write_file_atomic(self._path(stage), text.encode())

    def drop(self, stage: str) -> None:
        """Forget a stage."""
        self._path(stage).unlink(missing_ok=True)
