"""Kernels for cores with the DSP extension: Cortex-M4, M7, M33."""

from __future__ import annotations

from mcuprune.kernels.kernel import Kernel, tiles
from mcuprune.kernels.params import Geometry, LayerParams
from mcuprune.kernels.ref import two_columns

LANE_BOUND = 2**22
"""Kernels that pack two sums into 64 bits need every |accumulator| below this."""


def lanes_hold(params: LayerParams) -> str | None:
    """Two sums share an accumulator: the lower one is read back as a signed 23-bit number."""
    worst = max(params.row_bound, default=0)
    return None if worst < LANE_BOUND else f"an accumulator can reach {worst}, a lane holds {LANE_BOUND - 1}"


def _lane_tile(geometry: Geometry) -> int:
    """mp_conv2d_s8_gap_dsp_workspace(): 16 bytes a column for 8 positions, behind it the im2col columns."""
    return 16 * geometry.cols + two_columns(geometry)


KERNELS: tuple[Kernel, ...] = (Kernel("conv2d_s8", "gap", "dsp", _lane_tile, lanes_hold, walks=tiles(8, 2)),)
