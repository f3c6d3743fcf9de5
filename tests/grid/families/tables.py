"""Functions of one int8 value: every stored value, at scales where the table is steep, flat and saturated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as s

from tests.grid.cases import SCALES, ZERO_POINTS, Case
from tests.tflite_builder import Builder

CODES = np.arange(-128, 128).astype(np.int8)[None]
REAL = ("TANH", "EXP", "LOG", "GELU")
ROOTS = ("SQRT", "RSQRT")


def options(kind: str, number: int) -> Any:
    """GELU of both kinds in turn, slopes of LEAKY_RELU."""
    if kind == "GELU":
        made = s.GeluOptionsT()
        made.approximate = bool(number % 2)
        return made
    if kind == "LEAKY_RELU":
        made = s.LeakyReluOptionsT()
        made.alpha = (0.01, 0.2, 1.5, -0.3, 0.0, 1e-9)[number % 6]
        return made
    return s.HardSwishOptionsT() if kind == "HARD_SWISH" else None


def one(kind: str, number: int, scale: float, zero_point: int, out_scale: float, out_zero_point: int) -> Case:
    """The whole table; roots where there are some."""
    model = Builder()
    x = model.input(CODES.shape, scale, zero_point)
    out = model.table(kind, x, out_scale, out_zero_point, options(kind, number))
    codes = np.maximum(CODES, zero_point).astype(np.int8) if kind in ROOTS else CODES
    name = f"{kind}_{number}_{scale}_{zero_point}_{out_scale}_{out_zero_point}".lower()
    return Case(name, model.build([out]), ((codes,),))


def cases() -> Iterator[Case]:
    """All functions."""
    number = 0
    for scale in (0.0005, 0.00390625, 0.0173, 0.05, 0.125, 0.4, 3.0):
        for in_zp, out_zp in zip(ZERO_POINTS, (0, -128, 127, -20, 5), strict=True):
            for out_scale in (1 / 256, 1 / 128, 0.011, 0.09, 2.5):
                number += 1
                for kind in REAL:
                    yield one(kind, number, scale, in_zp, out_scale, out_zp)
                yield one("SQRT", number, scale, in_zp, out_scale, out_zp)
            yield one("LOGISTIC", number, scale, in_zp, 1 / 256, (-128, out_zp)[number % 2])
            yield one("RSQRT", number, scale, in_zp, (0.004, 0.05, 0.3)[number % 3], out_zp)
    for number, scale in enumerate(SCALES):
        for place, ratio in enumerate((1.0, 0.6, 3.7, 0.013, 100.0)):
            for kind in ("ABS", "NEG", "LEAKY_RELU", "HARD_SWISH"):
                fits = kind != "HARD_SWISH" or (ratio > 0.1 and 1e-6 < scale < 1e5)
                zero_points = ZERO_POINTS[(number + place) % 5], ZERO_POINTS[number % 5]
                if fits:
                    yield one(kind, number * 5 + place, scale, zero_points[0], scale * ratio, zero_points[1])
