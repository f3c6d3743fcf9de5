"""The models that mutants are made of: small ones built here, some of every family of the grid (tests/grid), and the
real ones where the shared folder is."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as s

from tests.models import every_operator
from tests.recurrent import lstm16
from tests.tflite_builder import RELU, RELU6, SAME, VALID, Builder, random_bias, random_int8

SHARED = Path(os.environ.get("MCUPRUNE_SHARED", Path(__file__).parents[3] / "shared")) / "models"
REAL = {
    "ds_cnn_s_int8": 3,
    "kws_ref_model_int8": 3,
    "pretrainedResnet_quant": 2,
    "ds_cnn_m_int8": 1,
    "vww_96_int8": 1,
    "ds_cnn_l_int8": 1,
}
"""Real models and their weights in the draw, smaller ones more often."""

FAMILIES = sorted(path.stem for path in (Path(__file__).parents[1] / "grid" / "families").glob("*.py"))
OF_EACH_FAMILY = 12

Net = Callable[[Builder, np.random.Generator], int]


def _conv(**options: Any) -> Net:
    def net(b: Builder, rng: np.random.Generator) -> int:
        x = b.input((1, 7, 6, 3), 0.05, -3)
        weights = {"bias": random_bias(rng, 4), "weight_scales": [0.01, 0.02, 0.005, 0.01]}
        return b.conv_2d(x, random_int8(rng, (4, 3, 2, 3)), **weights, scale=0.3, zero_point=5, **options)

    return net


def _depthwise(multiplier: int, **options: Any) -> Net:
    def net(b: Builder, rng: np.random.Generator) -> int:
        x, channels = b.input((1, 6, 6, 4), 0.04, 7), 4 * multiplier
        weights = {"bias": random_bias(rng, channels), "weight_scales": [0.01] * channels}
        return b.depthwise_conv_2d(x, random_int8(rng, (1, 3, 3, channels)), **weights, scale=0.1, **options)

    return net


def _fully_connected(per_channel: bool, **options: Any) -> Net:
    def net(b: Builder, rng: np.random.Generator) -> int:
        scales = [0.01, 0.003, 0.02, 0.01, 0.01] if per_channel else 0.01
        x = b.input((1, 12), 0.05, 4)
        return b.fully_connected(x, random_int8(rng, (5, 12)), random_bias(rng, 5), weight_scales=scales, **options)

    return net


def _float_io(b: Builder, rng: np.random.Generator) -> int:
    x = b.quantize(b.input((1, 4, 4, 2), dtype=np.float32), 0.02, -1)
    x = b.conv_2d(x, random_int8(rng, (3, 1, 1, 2)), random_bias(rng, 3), weight_scales=[0.02] * 3, scale=0.1)
    return b.dequantize(x)


def _residual(b: Builder, rng: np.random.Generator) -> int:
    x = b.input((1, 5, 5, 4), 0.05, 0)
    y = b.conv_2d(x, random_int8(rng, (4, 1, 1, 4)), random_bias(rng, 4), weight_scales=[0.01] * 4, scale=0.06)
    z = b.add(x, y, 0.1, -20)
    z = b.mean(z, (1, 2), 0.05)
    z = b.fully_connected(z, random_int8(rng, (3, 4)), random_bias(rng, 3), scale=0.2)
    return b.softmax(z)


def _conv16(b: Builder, rng: np.random.Generator) -> int:
    x = b.input((1, 7, 6, 3), 1e-4, dtype=np.int16)
    weights = {"bias": rng.integers(-(2**34), 2**34, 4), "weight_scales": [0.01, 0.02, 0.005, 0.01]}
    return b.conv_2d(x, random_int8(rng, (4, 3, 2, 3)), **weights, scale=3e-4, stride=(1, 2), activation=RELU)


def _softmax16(b: Builder, x: int) -> int:
    options = s.SoftmaxOptionsT()
    options.beta = 1.0
    return b.op("SOFTMAX", [x], [b.tensor(b.shape(x), np.int16, 1 / 32768)], options, 3)


def _add16(b: Builder, x: int, y: int) -> int:
    return b.op("ADD", [x, y], [b.tensor(b.shape(x), np.int16, 4e-4)], s.AddOptionsT(), 2)


def _residual16(b: Builder, rng: np.random.Generator) -> int:
    x = b.input((1, 5, 5, 4), 1e-4, dtype=np.int16)
    y = b.conv_2d(x, random_int8(rng, (4, 1, 1, 4)), rng.integers(-9999, 9999, 4), weight_scales=[0.01] * 4, scale=2e-4)
    z = b.average_pool_2d(_add16(b, x, y), (5, 5), (1, 1), VALID)
    z = b.fully_connected(b.reshape(z, (1, 4)), random_int8(rng, (3, 4)), rng.integers(-9999, 9999, 3), scale=1e-3)
    return _softmax16(b, z)


def _lstm16(b: Builder, rng: np.random.Generator) -> int:
    return lstm16(b, b.input((1, 3, 4), 3e-4, dtype=np.int16), rng, 5)


def _image(b: Builder) -> int:
    return b.input((1, 6, 5, 3), 0.06, 11)


BUILT: Mapping[str, Net] = {
    "conv": _conv(),
    "conv-stride": _conv(stride=(2, 1), padding=VALID, activation=RELU),
    "conv-dilated": _conv(dilation=(2, 3), padding=SAME, activation=RELU6),
    "depthwise": _depthwise(1, stride=(2, 2)),
    "depthwise-multiplier": _depthwise(2, activation=RELU),
    "fully-connected": _fully_connected(False, scale=0.3, zero_point=-9),
    "fully-connected-per-channel": _fully_connected(True, scale=0.2, activation=RELU),
    "average-pool": lambda b, rng: b.average_pool_2d(_image(b), (3, 2), (2, 2), SAME, RELU),
    "mean": lambda b, rng: b.mean(_image(b), (1, 2), 0.03, -4, keep_dims=True),
    "softmax": lambda b, rng: b.softmax(b.input((1, 10), 0.1, 20)),
    "add": lambda b, rng: b.add(_image(b), b.input((1, 1, 5, 3), 0.02, -128), 0.1, 3, RELU),
    "pad": lambda b, rng: b.pad(_image(b), [(0, 0), (1, 2), (0, 1), (0, 0)]),
    "reshape": lambda b, rng: b.reshape(_image(b), (1, 90)),
    "relu": lambda b, rng: b.relu(_image(b), 0.05, -128),
    "relu6": lambda b, rng: b.relu(_image(b), 0.04, -90, "RELU6"),
    "requantize": lambda b, rng: b.quantize(_image(b), 0.03, -50),
    "float-io": _float_io,
    "residual": _residual,
    "conv16": _conv16,
    "add16": lambda b, rng: _add16(
        b, b.input((1, 5, 3), 3e-4, dtype=np.int16), b.input((1, 1, 3), 1e-4, dtype=np.int16)
    ),
    "softmax16": lambda b, rng: _softmax16(b, b.input((1, 10), 3e-4, dtype=np.int16)),
    "lstm16": _lstm16,
    "residual16": _residual16,
}


@cache
def _grid() -> Mapping[str, bytes]:
    """Some models of each family, evenly spread."""
    models = {}
    for family in FAMILIES:
        cases = list(importlib.import_module(f"tests.grid.families.{family}").cases())
        for case in cases[:: -(-len(cases) // OF_EACH_FAMILY)]:
            models[f"{family} {case.name}"] = case.content
    return models


@cache
def base(name: str) -> bytes:
    """Bytes of a base model."""
    if name in REAL:
        return (SHARED / f"{name}.tflite").read_bytes()
    if name == "every-operator":
        return every_operator()
    if name in _grid():
        return _grid()[name]
    builder = Builder()
    return builder.build([BUILT[name](builder, np.random.default_rng(7))])


@cache
def draw() -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names of the bases and their weights in the draw."""
    weights = dict.fromkeys(BUILT, 4) | {"every-operator": 8, "residual": 8} | dict.fromkeys(_grid(), 1)
    weights |= {name: n for name, n in REAL.items() if (SHARED / f"{name}.tflite").is_file()}
    return tuple(weights), tuple(weights.values())
