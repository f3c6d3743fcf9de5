"""Sliding windows over an image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcuprune.ir.attributes import ConvAttrs, PoolAttrs
from mcuprune.ir.shapes import explicit_pads, window_output


def windows(
    data: npt.NDArray[np.generic],
    filter_hw: tuple[int, int],
    attrs: ConvAttrs | PoolAttrs,
    fill: int,
) -> npt.NDArray[np.generic]:
    """Windows of (1, in_h, in_w, in_ch) as a view (out_h, out_w, kernel_h, kernel_w, in_ch); outside is `fill`."""
    dilation = attrs.dilation if isinstance(attrs, ConvAttrs) else (1, 1)
    in_hw = (data.shape[1], data.shape[2])
    top, left, bottom, right = explicit_pads(in_hw, filter_hw, attrs.stride, dilation, attrs.padding)
    image = np.pad(data[0], ((top, bottom), (left, right), (0, 0)), constant_values=fill)
    out_h, out_w = (
        window_output(n, k, s, d, attrs.padding)
        for n, k, s, d in zip(in_hw, filter_hw, attrs.stride, dilation, strict=True)
    )
    row, col, channel = image.strides
    return np.lib.stride_tricks.as_strided(
        image,
        (out_h, out_w, *filter_hw, image.shape[2]),
        (row * attrs.stride[0], col * attrs.stride[1], row * dilation[0], col * dilation[1], channel),
        writeable=False,
    )
