"""Kernels for ARMv6-M, Cortex-M0 and M0+: 32-bit products only."""

from __future__ import annotations

from mcuprune.kernels.depthwise3x3 import STRUCT as DEPTHWISE
from mcuprune.kernels.depthwise3x3 import pack_depthwise, plane, shape_fits
from mcuprune.kernels.dsp_lanes import in_place
from mcuprune.kernels.kernel import Kernel
from mcuprune.kernels.params import Geometry, LayerParams
from mcuprune.kernels.ref import two_columns
from mcuprune.kernels.tile8 import STRUCT, pack_tile8, sums_fit, tile8_walks

SUM_BOUND = 2**28
"""Requantization from halves of 16 bits needs every |accumulator| below this."""


def _tile(geometry: Geometry) -> int:
    """mp_conv2d_s8_*_armv6m_workspace(): 32 bytes a column for 8 positions, behind it the im2col columns."""
    return 32 * geometry.cols + two_columns(geometry)


def _obstacle(params: LayerParams) -> str | None:
    return sums_fit(params, SUM_BOUND)


def _depthwise_obstacle(params: LayerParams) -> str | None:
    return sums_fit(params, SUM_BOUND) or shape_fits(params)


KERNELS: tuple[Kernel, ...] = (
    Kernel("conv2d_s8", "dense", "armv6m", _tile, _obstacle, pack_tile8, tile8_walks, in_place, STRUCT),
    Kernel("conv2d_s8", "gap", "armv6m", _tile, _obstacle, pack_tile8, tile8_walks, in_place, STRUCT),
    Kernel("depthwise_conv2d_s8", "dense", "armv6m", plane, _depthwise_obstacle, pack_depthwise, struct=DEPTHWISE),
    Kernel("fully_connected_s8", "dense", "armv6m"),
)
