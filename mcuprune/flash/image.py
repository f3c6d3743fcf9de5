"""The loadable parts of an ELF file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from mcuprune.errors import BuildError


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes and the address they are stored at."""

    address: int
    data: bytes


def load_segments(path: Path) -> list[Segment]:
    """What a flash tool writes: PT_LOAD segments at their physical addresses, by address.

    Raises:
        BuildError: no readable ELF file, or nothing to load.
    """
    try:
        with path.open("rb") as stream:
            segments = [
                Segment(s["p_paddr"], s.data())
                for s in ELFFile(stream).iter_segments()
                if s["p_type"] == "PT_LOAD" and s["p_filesz"] > 0
            ]
    except Exception as fault:  # elftools raises many kinds on damaged files
        raise BuildError(f"{path} is not a readable ELF file ({fault})", hint="run `mcuprune build` again") from fault
    if not segments:
        raise BuildError(f"{path} holds nothing to load", hint="run `mcuprune build` again")
    return sorted(segments, key=lambda s: s.address)
