"""Kernels for cores with the DSP extension: Cortex-M4, M7, M33."""

from __future__ import annotations

from mcuprune.kernels import dsp_depthwise, dsp_fully_connected, dsp_lanes, dsp_pairs, dsp_plain, dsp_smlad
from mcuprune.kernels.kernel import Kernel

KERNELS: tuple[Kernel, ...] = (
    *dsp_smlad.KERNELS,
    *dsp_pairs.KERNELS,
    *dsp_lanes.KERNELS,
    *dsp_depthwise.KERNELS,
    *dsp_fully_connected.KERNELS,
    *dsp_plain.KERNELS,
)
