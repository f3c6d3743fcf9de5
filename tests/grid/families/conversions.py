"""Changes of type or quantization: every form that the reference has, zero points at both ends, values far outside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as s

from mcuprune.ir.operators.conversions import QUANTIZE_FORMS
from tests.grid.cases import Array, Case, case
from tests.tflite_builder import Builder

SHAPE = (1, 3, 40)
SCALES = (1e-5, 0.0042, 0.03125, 0.4, 40.0)
TYPES = ("int8", "uint8", "int16", "int32", "int64", "bool", "float32")


def zero_points(dtype: str) -> tuple[int, ...]:
    """Both ends and between; none where the reference has none."""
    if dtype in ("int16", "int32"):
        return (0,)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return int(low), int(low) + 90, int(low) + 128, int(high)


def sample(number: int, dtype: npt.DTypeLike, spread: float) -> Array:
    """Reals of a spread, ties, huge ones, NaN."""
    rng = np.random.default_rng(number)
    values = (rng.standard_normal(SHAPE) * spread).astype(np.float32)
    values[0, 0, :12] = [0.0, -0.0, 1e9, -1e9, 3e38, -3e38, np.inf, -np.inf, np.nan, 1e-45, 2147483648, -2147483648]
    values[0, 1] = (np.arange(40) - 20.5) * (spread / 100)
    return values.astype(dtype)


def quantize_cases() -> Iterator[Case]:
    """float32 and integers to integers."""
    number = 0
    for source, outputs in QUANTIZE_FORMS.items():
        for output in outputs:
            for scale in SCALES:
                number += 1
                zero_out = zero_points(output.value)[number % len(zero_points(output.value))]
                model = Builder()
                name = f"quantize_{source.value}_{output.value}_{scale}"
                if source.value == "float32":
                    out = model.tensor(SHAPE, output.value, scale, zero_out)
                    model.op("QUANTIZE", [model.input(SHAPE, dtype=np.float32)], [out], s.QuantizeOptionsT())
                    values = tuple(
                        (sample(number + k, np.float32, spread * scale),) for k, spread in enumerate((50, 2e4))
                    )
                    yield Case(name, model.build([out]), values)
                    continue
                ratios = (0.3, 1e-4, 1e-7) if source.value == "int32" else (1.0, 0.3, 1 / 256, 2.0, 77.0)
                for zero_in in zero_points(source.value):
                    ratio = ratios[(number + zero_in) % len(ratios)]
                    yield requantize(f"{name}_{zero_in}", source.value, output.value, scale, ratio, zero_in, zero_out)
    yield requantize("quantize_flip", "uint8", "int8", 0.1, 1.0, 128, 0)
    yield requantize("quantize_flip_back", "int8", "uint8", 0.1, 1.0, 0, 128)


def requantize(name: str, source: str, output: str, scale: float, ratio: float, zero_in: int, zero_out: int) -> Case:
    """QUANTIZE between integers, scale * ratio to scale."""
    model = Builder()
    out = model.tensor(SHAPE, output, scale, zero_out)
    x = model.input(SHAPE, scale * ratio, zero_in, source)
    model.op("QUANTIZE", [x], [out], s.QuantizeOptionsT())
    return case(name, model, [out], zero_in + 128, samples=3)


def dequantize_cases() -> Iterator[Case]:
    """int8, uint8 and int16 to float32."""
    for dtype in ("int8", "uint8", "int16"):
        for scale in (*SCALES, 1e-39, 1e37):
            for zero_point in zero_points(dtype):
                model = Builder()
                x = model.input(SHAPE, scale, zero_point, dtype)
                out = model.tensor(SHAPE, np.float32)
                model.op("DEQUANTIZE", [x], [out], s.DequantizeOptionsT())
                yield case(f"dequantize_{dtype}_{scale}_{zero_point}", model, [out])


def cast_cases() -> Iterator[Case]:
    """Every pair of types."""
    for source in TYPES:
        for output in TYPES:
            model: Any = Builder()
            x, out = model.input(SHAPE, 0.1 if source == "int8" else None, 0, source), model.tensor(SHAPE, output)
            model.op("CAST", [x], [out], s.CastOptionsT())
            made = case(f"cast_{source}_{output}", model, [out])
            if source == "float32":
                values = [(sample(3, np.float32, spread),) for spread in (2.0, 300.0, 1e5, 1e10, 1e19)]
                made = Case(made.name, made.content, tuple(values))
            yield made


def cases() -> Iterator[Case]:
    """All of them."""
    yield from quantize_cases()
    yield from dequantize_cases()
    yield from cast_cases()
