"""Kernels for ARMv7-M, Cortex-M3 first: one SMLAL for two positions."""

from __future__ import annotations

from mcuprune.kernels.depthwise3x3 import STRUCT as DEPTHWISE
from mcuprune.kernels.depthwise3x3 import pack_depthwise, plane, shape_fits
from mcuprune.kernels.dsp_lanes import LANE_BOUND, in_place
from mcuprune.kernels.kernel import Kernel
from mcuprune.kernels.params import Geometry, LayerParams
from mcuprune.kernels.ref import two_columns
from mcuprune.kernels.tile8 import STRUCT, pack_tile8, sums_fit, tile8_walks

SUM_BOUND = 2**30
"""Twice an accumulator fits a word."""


def _tile(geometry: Geometry) -> int:
    """mp_conv2d_s8_*_armv7m_workspace(): 16 bytes a column for 8 positions, behind it the im2col columns."""
    return 16 * geometry.cols + two_columns(geometry)


def _obstacle(params: LayerParams) -> str | None:
    return sums_fit(params, LANE_BOUND)


def _depthwise_obstacle(params: LayerParams) -> str | None:
    return sums_fit(params, SUM_BOUND) or shape_fits(params)


KERNELS: tuple[Kernel, ...] = (
    Kernel("conv2d_s8", "dense", "armv7m", _tile, _obstacle, pack_tile8, tile8_walks, in_place, STRUCT),
    Kernel("conv2d_s8", "gap", "armv7m", _tile, _obstacle, pack_tile8, tile8_walks, in_place, STRUCT),
    Kernel("depthwise_conv2d_s8", "dense", "armv7m", plane, _depthwise_obstacle, pack_depthwise, struct=DEPTHWISE),
)
