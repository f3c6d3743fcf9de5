"""Numbers as C text: arrays of 16 values a line, structs with named members, identifiers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcuprune.kernels.params import Value

_KEYWORDS = frozenset(
    """auto break case char const continue default do double else enum extern float for goto if inline int long main
    register restrict return short signed sizeof static struct switch typedef union unsigned void volatile
    while""".split()  # noqa: SIM905
)

_HEADERS = frozenset(
    """assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic
    stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype""".split()  # noqa: SIM905
)
"""The model's header NAME.h must not hide a standard one, nor on a file system that ignores case."""
_TARGETS = frozenset(["all", "clean", "edit_cache", "help", "install", "preinstall", "rebuild_cache"])


def name_fault(name: str) -> str | None:
    """Why `name` cannot name a model and its files in C; None where it can."""
    low = name.lower()
    if not (name.isascii() and name.isidentifier()):
        return "it needs letters, digits and _, not starting with a digit"
    if name in _KEYWORDS:
        return "it is a keyword of C"
    if name.startswith("_"):
        return "names that start with _ are reserved in C"
    if low == "mp" or low.startswith("mp_") or low in ("mcuprune_nn", "mcuprune_model"):
        return "mp_ and mcuprune_ name things of the runtime"
    if low in _HEADERS:
        return f"{low}.h is a header of the C library"
    if low in _TARGETS:
        return f"{low} is a build target of CMake"
    return None


def is_identifier(name: str) -> bool:
    """Whether `name` can name a model and its files in C."""
    return name_fault(name) is None


def array_body(data: NDArray[np.generic]) -> str:
    """Initialiser of an array, 16 values a line (8 of 32 bits, up to 4 structs, 4 doubles), without braces."""
    if data.dtype.names:
        records = [_record(record) for record in data.reshape(-1).tolist()] or ["{0}"]
        per_line = max(1, min(4, 112 // (max(map(len, records)) + 2)))
        lines = (records[i : i + per_line] for i in range(0, len(records), per_line))
        return "\n".join("    " + ", ".join(line) + "," for line in lines)
    values = [_integer(v) for v in data.reshape(-1).tolist()] or ["0"]
    per_line = 16 if data.dtype.itemsize <= 2 else 4 if data.dtype == np.float64 else 8
    return "\n".join("    " + ", ".join(values[i : i + per_line]) + "," for i in range(0, len(values), per_line))


def struct_body(fields: Mapping[str, Value], indent: int = 4) -> str:
    """Members of a struct, one a line; a nested struct of plain numbers stands on one line if it is short."""
    return "\n".join(f"{' ' * indent}.{name} = {_value(value, indent)}," for name, value in fields.items())


def float_literal(value: float) -> str:
    """A float32 that reads back exactly."""
    if not math.isfinite(value):
        raise ValueError(f"{value!r} has no C literal")
    text = repr(float(np.float32(value)))
    shortest = str(np.float32(value))
    text = shortest if np.float32(shortest) == np.float32(value) else text
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def _record(value: Any) -> str:
    """A number, or a struct or an array of them in braces."""
    if isinstance(value, int | np.integer):
        return _integer(int(value))
    return "{" + ", ".join(map(_record, value)) + "}"


def _integer(value: int) -> str:
    """A literal; the least int32 and int64 have none of their own."""
    return f"({value + 1} - 1)" if value in (-(2**31), -(2**63)) else str(value)


def _value(value: Value, indent: int) -> str:
    if isinstance(value, Mapping):
        flat = ", ".join(f".{name} = {_value(v, 0)}" for name, v in value.items())
        if len(flat) + indent <= 100 and not any(isinstance(v, Mapping) for v in value.values()):
            return "{" + flat + "}"
        return "{\n" + struct_body(value, indent + 4) + "\n" + " " * indent + "}"
    if isinstance(value, tuple):
        return "{" + ", ".join(_integer(v) for v in value) + "}"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int | np.integer):
        return _integer(int(value))
    return float_literal(value) if isinstance(value, float) else value
