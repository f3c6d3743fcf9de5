"""Fixtures that every test folder shares."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from mcuprune.bench.objects import ObjectStore
from mcuprune.build import compile as compile_module
from mcuprune.build.folder import Folder
from mcuprune.recipe import road

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # `from tests.tflite_builder import Builder`

SHARED = Path(os.environ.get("MCUPRUNE_SHARED", ROOT.parent / "shared"))
NO_SHARED = "no folder of real models and data (MCUPRUNE_SHARED, default ../shared)"

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:  # each worker has its share of the cores; more threads only wait
    share = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(share))

settings.register_profile("repeatable", deadline=None, derandomize=True)  # machines are noisy, runs comparable
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real models and data; a test without it is skipped, and the summary counts it by this reason."""
    if not (SHARED / "models").is_dir():
        pytest.skip(NO_SHARED)
    return SHARED


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled kernels, one for each file and command; workers of pytest-xdist share them."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "objects"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def compiled_before() -> Iterator[None]:
    """Verbs that build a fresh folder find what earlier tests compiled from the same sources for the same board."""
    store, plain = ObjectStore(), compile_module.compile_folder

    def compile_folder(folder: Folder) -> Path:
        if not (folder.path / "build").exists():
            store.lend(folder)
        elf = plain(folder)
        store.keep(folder)
        return elf

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compile_module, "compile_folder", compile_folder)
        patch.setattr(road, "compile_folder", compile_folder)
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    """Seeded random numbers."""
    return np.random.default_rng(20)


@pytest.fixture(scope="session")
def real_inputs(shared: Path) -> Callable[[str], np.ndarray]:
    """Real samples of a model of shared/models, each of the shape and dtype of its input."""

    def load(model: str) -> np.ndarray:
        if model.startswith("ds_cnn"):
            with np.load(shared / "data" / "speech_commands_kws01_dev500.npz") as data:
                return data["mfcc_arm"].reshape(-1, 1, 490)
        if model.startswith("kws"):
            with np.load(shared / "data" / "kws01_mlperf_mfcc_int8_dev500.npz") as data:
                return data["mfcc_int8"].reshape(-1, 1, 49, 10, 1)
        name = "vww01_dev200.npz" if model.startswith("vww") else "ic01_cifar10_200.npz"
        with np.load(shared / "data" / name) as data:
            images = next(data[key] for key in data.files if data[key].ndim == 4)
        return (images.astype(np.int16) - 128).astype(np.int8)[:, None]

    return load
