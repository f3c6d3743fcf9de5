"""Packing for specialised 3x3 depthwise kernels: levels armv6m and armv7m."""

from __future__ import annotations

import numpy as np

from mcuprune.encodings import Array, Encoding
from mcuprune.kernels.dsp_lanes import row_records
from mcuprune.kernels.kernel import Packed
from mcuprune.kernels.params import Geometry, LayerParams
from mcuprune.kernels.tile8 import constant_rows, live, plain_fields

STRUCT = "mp_depthwise_conv2d_s8_rows"
MAX_STRIDE_W = 13
_BAND_ROWS = 16
_PITCH = 64


def plane(geometry: Geometry) -> int:
    """mp_depthwise3x3_workspace(): what one band of outputs along the longer side sees, four channels of 16 pixels."""
    out_h = geometry.positions // geometry.out_w
    turned = geometry.out_w > out_h and geometry.stride_w <= 2
    rows = min(geometry.out_w if turned else out_h, _BAND_ROWS)
    rows += rows % 2
    return _PITCH * ((rows - 1) * (geometry.stride_w if turned else geometry.stride_h) + 3)


def shape_fits(params: LayerParams) -> str | None:
    """What the specialised kernels do not do is left to the reference."""
    shape = params.fields["shape"]
    assert isinstance(shape, dict)
    window = (shape["kernel_h"], shape["kernel_w"])
    if window != (3, 3):
        return f"the window is {window[0]}x{window[1]}, the kernel takes 3x3"
    if (shape["dilation_h"], shape["dilation_w"]) != (1, 1):
        return "the window is dilated"
    if shape["stride_h"] > 2 or shape["stride_w"] > MAX_STRIDE_W:
        return f"the stride is {shape['stride_h']}x{shape['stride_w']}, the kernel takes at most 2x{MAX_STRIDE_W}"
    if shape["in_ch"] != shape["out_ch"] or shape["in_ch"] < 4:
        return f"{shape['in_ch']} input channels make {shape['out_ch']}, the kernel takes 4 and more, one for one"
    return None


def pack_depthwise(params: LayerParams, encoding: Encoding | None) -> Packed:
    """mp_depthwise_conv2d_s8_rows of a layer: a record a channel, weights as they are."""
    assert params.rows is not None
    channels = np.arange(params.rows.shape[1])
    fields = {**plain_fields(params), "rows": "", "weights": ""}
    params = constant_rows(params, ~live(params))
    assert params.rows is not None
    records = row_records(params, channels, np.zeros_like(channels))
    arrays = (Array("rows", "mp_row", records), Array("weights", "int8_t", params.rows.reshape(-1)))
    return Packed(fields, arrays, int(params.rows.size))
