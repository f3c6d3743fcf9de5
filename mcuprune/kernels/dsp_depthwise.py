"""Packing of the 3x3 depthwise kernel for cores with the DSP extension."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mcuprune.encodings import Array, Encoding
from mcuprune.kernels.dsp_rows import RIGHT, rows_hold
from mcuprune.kernels.kernel import Kernel, Packed
from mcuprune.kernels.params import Geometry, LayerParams

ROW = np.dtype([("bias", "<i4"), ("mult", "<i4"), ("taps", "i1", 12)])
"""mp_depthwise_row."""

TILE_COLUMNS = 24


def workspace(geometry: Geometry) -> int:
    """mp_depthwise_conv2d_s8_dense_dsp_workspace(): 128 bytes for each input column of a tile, and 188 bytes."""
    columns = min(geometry.out_w, TILE_COLUMNS // geometry.stride_w)
    return 128 * ((columns - 1) * geometry.stride_w + 3) + 188


def obstacle(params: LayerParams) -> str | None:
    """What keeps a layer from the kernel: its window, its channels, or its numbers."""
    shape = params.fields["shape"]
    assert isinstance(shape, Mapping)
    window = tuple(shape[k] for k in ("kernel_h", "kernel_w", "dilation_h", "dilation_w"))
    if window != (3, 3, 1, 1):
        return "the window is not 3x3 without dilation"
    if shape["stride_h"] != shape["stride_w"] or shape["stride_w"] not in (1, 2):
        return f"the stride is {shape['stride_h']}x{shape['stride_w']}, not 1x1 or 2x2"
    if shape["in_ch"] != shape["out_ch"]:
        return "the depth multiplier is not 1"
    if params.geometry.rows < 4:
        return f"it takes 4 channels at a time, here are {params.geometry.rows}"
    return rows_hold(params)


def pack(params: LayerParams, encoding: Encoding | None) -> Packed:
    """One record a channel: bias, multiplier, right shift and the nine weights in the order that unpacks fastest."""
    arrays = {array.member: array.data for array in params.arrays}
    rescale = params.fields["rescale"]
    assert isinstance(rescale, Mapping) and params.rows is not None
    w = params.rows.reshape(3, 3, -1)
    rows = np.zeros(w.shape[2], ROW)
    rows["bias"], rows["mult"] = arrays["rescale.bias"], arrays["rescale.mult"]
    right = np.where(rows["mult"] == 0, RIGHT[0], -arrays["rescale.shift"].astype(np.int64))
    none = np.zeros_like(right)
    order = (w[0, 0], w[0, 1], w[1, 0], w[1, 1], w[0, 2], right, w[2, 0], w[2, 1], w[1, 2], none, w[2, 2], none)
    rows["taps"] = np.stack(order, axis=1)
    fields = {"shape": params.fields["shape"], "rows": ""}
    fields |= {k: rescale[k] for k in ("out_zp", "act_min", "act_max")}
    inline = rows.nbytes - w.size
    return Packed(fields, (Array("rows", "mp_depthwise_row", rows),), int(w.size), inline_bytes=inline)


KERNELS = (
    Kernel("depthwise_conv2d_s8", "dense", "dsp", workspace, obstacle, pack, struct="mp_depthwise_conv2d_s8_dsp"),
)
