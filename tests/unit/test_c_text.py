"""Numbers as C text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcuprune.emit.c_text import array_body, float_literal, is_identifier, name_fault, struct_body
from mcuprune.generate import default_name


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float_literal_reads_back(value: float) -> None:
    """The literal of a float32 is that float32."""
    text = float_literal(value)
    assert text.endswith("f")
    assert np.float32(text[:-1]) == np.float32(value)


def test_array_body_holds_every_value() -> None:
    """Values stand in order, 16 a line for bytes, and the smallest int32 and int64 are written so that C reads them."""
    bytes_ = np.arange(-20, 20, dtype=np.int8)
    body = array_body(bytes_)
    assert [int(v) for v in body.replace("\n", "").split(",")[:-1]] == bytes_.tolist()
    assert body.splitlines()[0].count(",") == 16
    assert array_body(np.array([-(2**31)], np.int32)).strip() == "(-2147483647 - 1),"
    assert array_body(np.array([-(2**63)], np.int64)).strip() == "(-9223372036854775807 - 1),"


def test_struct_body_nests() -> None:
    """A nested struct of a few members stands on one line, array members in braces."""
    assert struct_body({"a": 1, "b": {"c": 2, "d": "name"}, "e": (1, 2)}).splitlines() == [
        "    .a = 1,",
        "    .b = {.c = 2, .d = name},",
        "    .e = {1, 2},",
    ]


@pytest.mark.parametrize(
    ("name", "good"), [("kws", True), ("4kws", False), ("int", False), ("a-b", False), ("_x", False)]
)
def test_identifiers(name: str, good: bool) -> None:
    """Names that C would not take are seen."""
    assert is_identifier(name) is good


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("int", "keyword"),
        ("_x", "reserved"),
        ("a-b", "letters, digits"),
        ("mp", "runtime"),
        ("mp_model", "runtime"),
        ("MP_x", "runtime"),
        ("mcuprune_nn", "runtime"),
        ("string", "string.h is a header"),
        ("StdInt", "stdint.h is a header"),
        ("clean", "target of CMake"),
    ],
)
def test_names_that_collide(name: str, reason: str) -> None:
    """A name that generated C cannot use is refused with its reason, and a file of that name gets another."""
    assert reason in (name_fault(name) or "")
    made = default_name(Path(f"{name}.tflite"))
    assert is_identifier(made) and made != name


def test_names_near_those() -> None:
    """Names that only look like reserved ones are good."""
    assert all(is_identifier(name) for name in ("mpx", "strings", "model", "mcuprune", "kws_mp_1"))
