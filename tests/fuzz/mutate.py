"""Mutants of `.tflite` files: one integer makes one mutant, from bits to edits of the model's meaning."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

import flatbuffers
from ai_edge_litert import schema_py_generated as generated

from mcuprune.tflite.structure import Place, places
from tests.fuzz.bases import base, draw
from tests.fuzz.semantic import EDITS

_WILD = (0, 1, 2, 3, 4, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFF)


ByteEdit = Callable[[random.Random, bytearray], str]


@dataclass(frozen=True, slots=True, eq=False)
class Mutant:
    """A file and how it came to be."""

    seed: int
    base: str
    edits: tuple[str, ...]
    content: bytes

    def __str__(self) -> str:
        return f"{self.base}: {'; '.join(self.edits)}"


def mutant(seed: int) -> Mutant:
    """The mutant of a seed; the same on every machine that has the same base models."""
    r = random.Random(seed)
    name = _drawn(r)
    content = base(name)
    if r.random() < 0.6:
        edits, content = _semantic(r, content)
    else:
        edit = r.choices(list(_BYTE_EDITS), list(_BYTE_EDITS.values()))[0]
        edits, content = _repeat(r, edit, content)
    return Mutant(seed, name, tuple(edits), content)


def base_of(seed: int) -> str:
    """Name of the model that a seed's mutant is made of."""
    return _drawn(random.Random(seed))


def _drawn(r: random.Random) -> str:
    names, weights = draw()
    return r.choices(names, weights)[0]


# bytes


def _repeat(r: random.Random, edit: ByteEdit, content: bytes) -> tuple[list[str], bytes]:
    changed = bytearray(content)
    return [edit(r, changed) for _ in range(r.choice((1, 1, 1, 2, 4)))], bytes(changed)


def _anywhere(r: random.Random, content: bytearray) -> int:
    """A place in the file; mostly outside of the weights, which take most of it."""
    inside = list(_places(bytes(content)))
    if not inside or r.random() < 0.2:
        return r.randrange(len(content))
    place = r.choice(inside)
    return min(place.start + r.randrange(max(place.width * place.items, 1)), len(content) - 1)


def _places(content: bytes) -> list[Place]:
    """Places of the file as far as it can be walked."""
    found = []
    walk = places(content)
    while True:
        try:
            place = next(walk)
        except (StopIteration, ValueError):  # a ModelError is a ValueError: an earlier edit broke the tree
            return found
        if place.what != "data" and place.items:
            found.append(place)


def _flip(r: random.Random, content: bytearray) -> str:
    at, bit = _anywhere(r, content), r.randrange(8)
    content[at] ^= 1 << bit
    return f"bit {bit} of byte {at}"


def _overwrite(r: random.Random, content: bytearray) -> str:
    at, count = _anywhere(r, content), r.choice((1, 1, 2, 4, 16))
    new = r.choice((bytes(count), b"\xff" * count, r.randbytes(count)))
    content[at : at + count] = new[: len(content) - at]
    return f"bytes at {at} = {new.hex()}"


def _truncate(r: random.Random, content: bytearray) -> str:
    del content[r.randrange(len(content)) :]
    content += bytes(8 - len(content)) if len(content) < 8 else b""
    return f"cut at {len(content)}"


def _insert(r: random.Random, content: bytearray) -> str:
    at, count = _anywhere(r, content), r.choice((1, 2, 3, 4, 8, 64))
    content[at:at] = r.randbytes(count)
    return f"{count} bytes more at {at}"


def _copy(r: random.Random, content: bytearray) -> str:
    source, at, count = _anywhere(r, content), _anywhere(r, content), r.choice((2, 4, 8, 32))
    part = content[source : source + count][: len(content) - at]
    content[at : at + len(part)] = part
    return f"{len(part)} bytes of {source} copied to {at}"


def _form(r: random.Random, content: bytearray) -> str:
    """An offset, a length, a vtable's entry or a number becomes another."""
    inside = [p for p in _places(bytes(content)) if p.start + p.width * p.items <= len(content)]
    if not inside:
        return _flip(r, content)
    what = r.choice(sorted({p.what for p in inside}))
    place = r.choice([p for p in inside if p.what == what])
    width = 4 if what == "table" else place.width
    at = place.start + place.width * r.randrange(place.items)
    old = int.from_bytes(content[at : at + width], "little")
    other = r.choice(inside).start - at  # another thing's place: tables that overlap, vectors of other vectors
    new = r.choice((r.choice(_WILD), old + r.choice((-8, -4, -2, -1, 1, 2, 4, 8)), other, len(content) - at))
    content[at : at + width] = (new % 256**width).to_bytes(width, "little")
    return f"{what} of {place.path or 'the model'} at {at}: {old} -> {new % 256**width}"


_BYTE_EDITS: dict[ByteEdit, int] = {
    _flip: 3,
    _overwrite: 3,
    _truncate: 2,
    _insert: 2,
    _copy: 2,
    _form: 8,
}


# meaning


def _semantic(r: random.Random, content: bytes) -> tuple[list[str], bytes]:
    """Edits of the object tree, packed again; one that the packer refuses is drawn anew."""
    while True:
        model = generated.ModelT.InitFromPackedBuf(content, 0)
        try:
            edits = [
                r.choices(list(EDITS), list(EDITS.values()))[0](r, model) for _ in range(r.choice((1, 1, 1, 2, 3)))
            ]
            builder = flatbuffers.Builder(len(content))
            builder.Finish(model.Pack(builder), b"TFL3")
            return edits, bytes(builder.Output())
        except (TypeError, ValueError, AttributeError, IndexError, OverflowError, struct.error, AssertionError):
            continue
