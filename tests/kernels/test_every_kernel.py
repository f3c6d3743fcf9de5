"""One tester that every kernel of the catalog passes: on this computer under ASan and UBSan, and on emulated cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from mcuprune.kernels.catalog import CATALOG
from mcuprune.kernels.kernel import Kernel
from tests.c.c_build import needs_cc
from tests.c.kernel_cases import adversarial_convs
from tests.kernels.layers import Layer, conv_layer, depthwise_layers, fully_connected_layers, plain_layers
from tests.kernels.program import MACHINES, Program, program, run
from tests.kernels.vector_layers import moved_blocks, vector_convs, vector_depthwise

LEVELS = {
    "cortex-m0": ("ref", "armv6m"),
    "cortex-m3": ("ref", "armv7m"),
    "cortex-m4f": ("ref", "armv7m", "dsp"),
    "cortex-m7": ("dsp",),
    "cortex-m33": ("dsp",),
    "cortex-m55": ("dsp", "mve"),
}
"""Levels that are run on a core: at least once on the core that they are made for."""


def _conv_layers() -> Iterator[Layer]:
    return map(conv_layer, adversarial_convs())


def _vector_layers() -> Iterator[Layer]:
    return chain(vector_convs(), moved_blocks(), vector_depthwise())


GROUPS: dict[str, tuple[tuple[str, ...], Callable[[], Iterator[Layer]]]] = {
    "conv": (("conv2d_s8",), _conv_layers),
    "depthwise": (("depthwise_conv2d_s8",), depthwise_layers),
    "fully_connected": (("fully_connected_s8",), fully_connected_layers),
    "vectors": (("conv2d_s8", "depthwise_conv2d_s8"), _vector_layers),
    "plain": (("average_pool_s8", "max_pool_s8", "softmax_s8", "add_s8", "mul_s8"), plain_layers),
}
CASES = list(dict.fromkeys((g, k.isa) for g, (families, _) in GROUPS.items() for k in CATALOG if k.family in families))
CASES = [(group, isa) for group, isa in CASES if group != "vectors" or isa in ("ref", "mve")]
ON_CORE = [(group, isa, core) for group, isa in CASES for core in MACHINES if isa in LEVELS[core]]
UNOPTIMIZED = {"dsp": "cortex-m4f", "mve": "cortex-m55"}
MIN_CHECKS = 8


def kernels_of(group: str, isa: str) -> list[Kernel]:
    """The catalog's kernels of one level in a group of families."""
    return [k for k in CATALOG if k.isa == isa and k.family in GROUPS[group][0]]


@cache
def _layers(group: str) -> tuple[Layer, ...]:
    return tuple(GROUPS[group][1]())


@cache
def _program(group: str, isa: str, host: bool) -> Program:
    return program(kernels_of(group, isa), _layers(group), host)


def check(group: str, isa: str, core: str, folder: Path, objects: Path, optimize: str = "-O3") -> None:
    """All kernels of a group and level give the expected bytes on a core; each one got enough checks."""
    made = _program(group, isa, core == "host")
    assert made.checks and min(made.checks.values()) >= MIN_CHECKS, made.checks
    done = run(made, folder, core, objects, optimize)
    total, said = sum(made.checks.values()), done.stdout[-3000:] + done.stderr[-3000:]
    assert done.returncode == 0, f"{done.returncode} of {total} checks failed:\n{said}"


@needs_cc
@pytest.mark.parametrize("group,isa", CASES)
def test_on_host(group: str, isa: str, tmp_path: Path, objects: Path) -> None:
    """Portable code and the C twins of other levels, with sanitizers."""
    check(group, isa, "host", tmp_path, objects)


@pytest.mark.qemu
@pytest.mark.parametrize("group,isa,core", ON_CORE)
def test_on_core(group: str, isa: str, core: str, tmp_path: Path, objects: Path) -> None:
    """The code that a core runs."""
    check(group, isa, core, tmp_path, objects)


@pytest.mark.qemu
@pytest.mark.parametrize("group,isa", [(group, isa) for group, isa in CASES if isa in UNOPTIMIZED])
def test_without_optimization(group: str, isa: str, tmp_path: Path, objects: Path) -> None:
    """Assembler blocks hold where the compiler has fewer registers to spare."""
    check(group, isa, UNOPTIMIZED[isa], tmp_path, objects, "-O0")


@pytest.mark.qemu
@pytest.mark.parametrize("core", ["host", "cortex-m4f", "cortex-m55"])
def test_a_wrong_byte_is_seen(core: str, tmp_path: Path, objects: Path) -> None:
    """The program tells a wrong result by its exit code."""
    layer = next(_conv_layers())
    wrong = replace(layer, expected=layer.expected ^ 1)
    made = program(kernels_of("conv", "ref")[:1], [layer, wrong], core == "host")
    assert run(made, tmp_path, core, objects).returncode == 1
