"""The catalog of kernels, the fastest instruction-set level first.

A new kernel is a new row in its level's file and a C file of the symbol's name.
"""

from __future__ import annotations

from mcuprune.kernels import armv6m, armv7m, dsp, mve, ref
from mcuprune.kernels.kernel import Kernel

CATALOG: tuple[Kernel, ...] = (*mve.KERNELS, *dsp.KERNELS, *armv7m.KERNELS, *armv6m.KERNELS, *ref.KERNELS)


def kernels_for(family: str, isas: tuple[str, ...]) -> list[Kernel]:
    """The kernels of a family that a core can run, fastest instruction-set level first."""
    return [kernel for isa in isas for kernel in CATALOG if kernel.family == family and kernel.isa == isa]
