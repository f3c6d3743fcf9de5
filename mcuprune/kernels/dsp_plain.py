"""What layers without weights must keep for the kernels of the DSP extension."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mcuprune.kernels.kernel import Kernel, elementwise
from mcuprune.kernels.params import LayerParams

LANES = 4
MAX_TAPS = 255
"""Taps whose int8 values always add up within int16."""

HALF = (2**30, 0)
"""Multiplier and shift of 1/2."""


def pool_obstacle(params: LayerParams) -> str | None:
    """Four channels at a time."""
    shape: Any = params.fields["shape"]
    return None if shape["in_ch"] >= LANES else f"it takes {LANES} channels at a time, here are {shape['in_ch']}"


def average_pool_obstacle(params: LayerParams) -> str | None:
    """Sums of int16."""
    shape: Any = params.fields["shape"]
    taps = shape["kernel_h"] * shape["kernel_w"]
    return pool_obstacle(params) if taps <= MAX_TAPS else f"sums of {taps} taps may leave int16"


def add_obstacle(params: LayerParams) -> str | None:
    """Inputs of one shape, the larger scale as 1/2, right shifts."""
    f: Mapping[str, Any] = params.fields
    dims = f["dims"]
    whole = tuple(math.prod(dims[i + 1 :]) for i in range(4))
    for strides in (f["stride1"], f["stride2"]):
        if any(n > 1 and s != w for n, s, w in zip(dims, strides, whole, strict=True)):
            return "an input is repeated along a dimension"
    scales = [(f["mult1"], f["shift1"]), (f["mult2"], f["shift2"])]
    if HALF not in scales:
        return "no input has the larger scale"
    scales.remove(HALF)
    shifts = [shift for mult, shift in scales if (mult, shift) != HALF] + [f["out_shift"]]
    if f["left_shift"] != 20 or not all(-22 <= shift <= -1 for shift in shifts):
        return f"shifts are {shifts}, not right by 1 to 22"
    return None


def mul_obstacle(params: LayerParams) -> str | None:
    """A right shift of 2 to 15."""
    shift = params.fields["shift"]
    assert isinstance(shift, int)
    return None if -15 <= shift <= -2 else f"the shift is {shift}, not right by 2 to 15"


KERNELS = (
    Kernel("average_pool_s8", "", "dsp", obstacle=average_pool_obstacle),
    Kernel("max_pool_s8", "", "dsp", obstacle=pool_obstacle),
    Kernel("add_s8", "", "dsp", obstacle=add_obstacle, in_place=elementwise),
    Kernel("mul_s8", "", "dsp", obstacle=mul_obstacle, in_place=elementwise),
)
