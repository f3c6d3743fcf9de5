"""The catalog of kernels: family x encoding x instruction-set level -> C symbol, struct, source, workspace.

`family` is the word after mp_ in a kernel's name. A new kernel is a new row here and a C file of the symbol's name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mcuprune.kernels.params import Geometry, LayerParams

LANE_BOUND = 2**22
"""Kernels that pack two sums into 64 bits need every |accumulator| below this."""

LANE_TILE = 8
"""Positions of a tile of such a kernel."""


def _no_workspace(geometry: Geometry) -> int:
    return 0


def _two_columns(geometry: Geometry) -> int:
    """mp_conv2d_s8_ref_workspace(): two im2col columns, none for a pointwise convolution."""
    return 0 if geometry.pointwise else 2 * geometry.cols


def _lane_tile(geometry: Geometry) -> int:
    """mp_conv2d_s8_gap_dsp_workspace(): 16 bytes a column for 8 positions, behind it the im2col columns."""
    return 16 * geometry.cols + -(-_two_columns(geometry) // 4) * 4


def _lanes_hold(params: LayerParams) -> str | None:
    """Two sums share an accumulator: the lower one is read back as a signed 23-bit number."""
    worst = max(params.row_bound, default=0)
    return None if worst < LANE_BOUND else f"an accumulator can reach {worst}, a lane holds {LANE_BOUND - 1}"


def _nothing(params: LayerParams) -> str | None:
    return None


def _taps(geometry: Geometry) -> int:
    """mp_depthwise_conv2d_s8_ref_workspace(): 8 bytes for each tap."""
    return 8 * geometry.depthwise_taps


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel.

    Attributes:
        family: which layers it serves.
        encoding: how its weights lie in flash; "" for families without encoded weights.
        isa: instruction-set level.
        workspace: bytes of scratch for a geometry; mirrors the C function of the same kernel.
        obstacle: why the kernel cannot give this layer's bytes; None where it can. Proved from the real weights.
        tile: positions that share one walk along the weights: of a pointwise layer, of a gathered one.
    """

    family: str
    encoding: str
    isa: str
    workspace: Callable[[Geometry], int] = _no_workspace
    obstacle: Callable[[LayerParams], str | None] = _nothing
    tile: tuple[int, int] = (1, 1)

    def passes(self, geometry: Geometry) -> tuple[int, int]:
        """Walks along the weights that a layer takes: over tiles, and over a short last tile that is cheaper.

        What is left behind the last whole tile is done in halves of it; lane kernels have one short walk for 1 or 2
        positions instead.
        """
        tile = self.tile[0 if geometry.pointwise else 1]
        walks, left = divmod(geometry.positions, tile)
        if tile == LANE_TILE:
            return walks + (left > 2), int(left in (1, 2))
        while left:
            tile //= 2
            walks, left = walks + left // tile, left % tile
        return walks, 0

    @property
    def struct(self) -> str:
        """C type of the kernel's parameters."""
        return f"mp_{self.family}_{self.encoding}" if self.encoding else f"mp_{STRUCTS.get(self.family, self.family)}"

    @property
    def symbol(self) -> str:
        return "_".join(part for part in ("mp", self.family, self.encoding, self.isa) if part)

    @property
    def takes_workspace(self) -> bool:
        """Whether the C function has a workspace argument."""
        return self.workspace is not _no_workspace

    @property
    def source(self) -> str:
        """Path below firmware/."""
        return f"kernels/{self.symbol.removeprefix('mp_')}.c"


STRUCTS = {"quantize_f32_s8": "affine", "dequantize_s8_f32": "affine"}
"""Families whose struct has another name than the family."""

CATALOG: tuple[Kernel, ...] = (
    Kernel("conv2d_s8", "dense", "ref", _two_columns, tile=(2, 2)),
    Kernel("conv2d_s8", "bitmap", "ref", _two_columns, tile=(4, 2)),
    Kernel("conv2d_s8", "gap", "ref", _two_columns, tile=(4, 2)),
    Kernel("conv2d_s8", "block", "ref", _two_columns, tile=(4, 2)),
    Kernel("conv2d_s8", "gap", "dsp", _lane_tile, _lanes_hold, tile=(LANE_TILE, LANE_TILE)),
    Kernel("depthwise_conv2d_s8", "dense", "ref", _taps),
    Kernel("fully_connected_s8", "dense", "ref"),
    Kernel("fully_connected_s8", "bitmap", "ref"),
    Kernel("fully_connected_s8", "gap", "ref"),
    Kernel("fully_connected_s8", "block", "ref"),
    Kernel("average_pool_s8", "", "ref"),
    Kernel("mean_s8", "", "ref"),
    Kernel("softmax_s8", "", "ref"),
    Kernel("add_s8", "", "ref"),
    Kernel("pad_s8", "", "ref"),
    Kernel("requantize_s8", "", "ref"),
    Kernel("quantize_f32_s8", "", "ref"),
    Kernel("dequantize_s8_f32", "", "ref"),
)


def kernels_for(family: str, isas: tuple[str, ...]) -> list[Kernel]:
    """The kernels of a family that a core can run, fastest instruction-set level first."""
    return [kernel for isa in isas for kernel in CATALOG if kernel.family == family and kernel.isa == isa]
