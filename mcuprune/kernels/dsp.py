"""Kernels for cores with the DSP extension: Cortex-M4, M7, M33."""

from __future__ import annotations

from mcuprune.kernels import dsp_lanes, dsp_pairs, dsp_smlad
from mcuprune.kernels.kernel import Kernel

KERNELS: tuple[Kernel, ...] = (*dsp_smlad.KERNELS, *dsp_pairs.KERNELS, *dsp_lanes.KERNELS)
