"""Executed instructions do not grow: a small model and a layer-sized one on each core, against stored figures.

Figures repeat exactly with the same compiler. MCUPRUNE_UPDATE_BENCHMARK=1 writes them again.
"""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from mcuprune.bench.cases import BOARDS, Case, Model, Row
from mcuprune.bench.objects import ObjectStore
from mcuprune.bench.run import Measured, measure_case
from mcuprune.tools import find_tool, run_tool
from tests.tflite_builder import RELU, Builder, random_bias, random_int8

pytestmark = pytest.mark.qemu

STORED = Path(__file__).parent / "benchmark.json"
SMALL = Path(__file__).parents[2] / "examples" / "spoken-words" / "small_int8.tflite"
ALLOWED = 1.01
REFRESH = "MCUPRUNE_UPDATE_BENCHMARK=1 python -m pytest tests/qemu/test_benchmark.py"


@pytest.fixture(scope="module")
def objects() -> ObjectStore:
    """Kernels that were compiled for another model on the same board."""
    return ObjectStore()


def compiler() -> str:
    """The version that boards are compiled with."""
    return run_tool([find_tool("arm-none-eabi-gcc", "compile"), "-dumpfullversion"]).stdout.strip()


def layers() -> bytes:
    """A seeded model: 1x1 convolutions, dense, a free mask at 20% and 2x2 blocks at 20%; depthwise; a classifier."""
    rng = np.random.default_rng(7)
    b = Builder()
    scales = {"weight_scales": rng.uniform(0.002, 0.01, 64).astype(np.float32).tolist(), "zero_point": -128}
    free = random_int8(rng, (64, 1, 1, 64)) * (rng.random((64, 1, 1, 64)) < 0.2)
    blocks = random_int8(rng, (64, 64)) * np.kron(rng.random((32, 32)) < 0.2, np.ones((2, 2), bool))
    x = b.input((1, 13, 5, 64), 0.05, -7)
    x = b.conv_2d(x, random_int8(rng, (64, 1, 1, 64)), random_bias(rng, 64), activation=RELU, scale=0.1, **scales)
    x = b.depthwise_conv_2d(x, random_int8(rng, (1, 3, 3, 64)), random_bias(rng, 64), scale=0.1, **scales)
    x = b.conv_2d(x, free.astype(np.int8), random_bias(rng, 64), scale=0.1, **scales)
    x = b.conv_2d(x, blocks.reshape(64, 1, 1, 64).astype(np.int8), random_bias(rng, 64), scale=0.1, **scales)
    x = b.average_pool_2d(x, (13, 5))
    x = b.fully_connected(b.reshape(x, (1, 64)), random_int8(rng, (12, 64)), random_bias(rng, 12))
    return b.build([b.softmax(x)])


def counted(board: str, objects: ObjectStore) -> dict[str, Measured]:
    """Both models on a board, chosen for speed."""
    models = {"small": SMALL.read_bytes(), "layers": layers()}
    row = Row("speed")
    return {
        key: measure_case(Case(Model(key, key, ""), board, row), made, None, objects) for key, made in models.items()
    }


@pytest.mark.parametrize("board", BOARDS)
def test_no_more_instructions(board: str, objects: ObjectStore) -> None:
    """Nothing takes over 1% more instructions than stored; where much less is needed, a warning names the command."""
    version = compiler()
    if os.environ.get("MCUPRUNE_UPDATE_BENCHMARK"):
        _store(board, version, counted(board, objects))
    stored = json.loads(STORED.read_text())
    if version.split(".")[0] != stored["compiler"].split(".")[0]:
        pytest.skip(f"the stored figures are of GCC {stored['compiler']}, here is {version.split('.')[0]}")
    for model, one in counted(board, objects).items():
        want = stored["boards"][board][model]
        got = {layer.name: layer.instructions for layer in one.profile.layers}
        total, limit = one.profile.instructions, ALLOWED * want["instructions"]
        assert total is not None
        grown = {
            name: (want["layers"].get(name), n) for name, n in got.items() if n > ALLOWED * want["layers"].get(name, 0)
        }
        assert total <= limit, f"{model}: {total}, stored {want['instructions']}; by layer {grown}. If meant: {REFRESH}"
        if total * ALLOWED < want["instructions"]:
            warnings.warn(f"{model} on {board} needs {total}, stored {want['instructions']}: {REFRESH}", stacklevel=1)


def _store(board: str, version: str, found: dict[str, Measured]) -> None:
    stored = json.loads(STORED.read_text()) if STORED.is_file() else {"boards": {}}
    figures = {
        model: {
            "instructions": one.profile.instructions,
            "layers": {layer.name: layer.instructions for layer in one.profile.layers},
        }
        for model, one in found.items()
    }
    boards = {**stored["boards"], board: figures}
    ordered = {name: boards[name] for name in BOARDS if name in boards}
    STORED.write_text(json.dumps({"compiler": version, "boards": ordered}, indent=1) + "\n")
