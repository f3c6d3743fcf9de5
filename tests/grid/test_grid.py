"""Every operator on a generated grid: the interpreter equals the reference, kernels equal the interpreter."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from mcuprune.kernels.catalog import CATALOG
from mcuprune.kernels.kernel import Kernel
from mcuprune.tflite.reference import ReferenceInterpreter
from tests.c.c_build import needs_cc
from tests.grid.cases import Case, differences, layers_of
from tests.kernels.layers import Layer
from tests.kernels.program import program, run

FAMILIES = sorted(path.stem for path in (Path(__file__).parent / "families").glob("*.py"))
LEVELS = {
    "cortex-m0": ("ref", "armv6m"),
    "cortex-m3": ("armv7m",),
    "cortex-m4f": ("dsp",),
    "cortex-m55": ("ref", "mve"),
}
"""Levels that are run on a core."""


def cases(family: str) -> Iterator[Case]:
    """The models of a family: what its file's cases() yields."""
    yield from importlib.import_module(f"tests.grid.families.{family}").cases()


@cache
def _layers(family: str) -> tuple[Layer, ...]:
    """What kernels are run on; computed once for the host and all cores."""
    return tuple(layer for case in cases(family) for layer in layers_of(case))


def _serving(layers: tuple[Layer, ...], isas: tuple[str, ...]) -> list[Kernel]:
    families = {layer.params.family for layer in layers}
    return [kernel for kernel in CATALOG if kernel.family in families and kernel.isa in isas]


def _check(family: str, isas: tuple[str, ...], core: str, folder: Path, objects: Path) -> None:
    layers = _layers(family)
    kernels = _serving(layers, isas)
    if not kernels and "ref" not in isas:
        return  # this level has portable kernels alone
    made = program(kernels, layers, core == "host")
    assert made.checks, f"no kernel serves {family}"
    done = run(made, folder, core, objects)
    total, said = sum(made.checks.values()), done.stdout[-3000:] + done.stderr[-3000:]
    assert done.returncode == 0, f"{done.returncode} of {total} checks failed:\n{said}"


@pytest.mark.parametrize("family", FAMILIES)
def test_equal_to_reference(family: str) -> None:
    """The interpreter gives the reference's bytes in every layer, before and after the passes."""
    found: list[str] = []
    reference: ReferenceInterpreter | None = None
    made = list(cases(family))
    for case in made:
        if case.stored is None:
            reference = reference or ReferenceInterpreter(case.content)
        found += differences(case, reference)
    assert made, "a family without cases"
    if reference is not None:
        reference.close()
    assert not found, "\n".join(found[:20])


@needs_cc
@pytest.mark.parametrize("family", FAMILIES)
def test_kernels_on_host(family: str, tmp_path: Path, objects: Path) -> None:
    """All kernels that serve a layer give the interpreter's bytes, under ASan and UBSan."""
    _check(family, ("ref", "armv6m", "armv7m", "dsp", "mve"), "host", tmp_path, objects)


@pytest.mark.qemu
@pytest.mark.parametrize("core", LEVELS)
@pytest.mark.parametrize("family", FAMILIES)
def test_kernels_on_core(family: str, core: str, tmp_path: Path, objects: Path) -> None:
    """The code that a core runs."""
    _check(family, LEVELS[core], core, tmp_path, objects)
