"""What happens to the accumulators of a layer with int16 activations and int8 weights: bias, multipliers, range."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mcuprune.errors import QuantError
from mcuprune.ir.attributes import ConvAttrs, FullyConnectedAttrs
from mcuprune.ir.graph import DType, Graph, Op
from mcuprune.ir.rescale import layer_tensors, quant_of, weight_rows
from mcuprune.numerics import (
    Int64Array,
    activation_range,
    quantize_multiplier,
    reduced_multiplier,
    requantize_wide,
    round_product,
)
from mcuprune.numerics import requantize as requantize_twice
from mcuprune.numerics.requant import MAX_WIDE_SHIFT, WIDE_BOUND

INT32_BOUND = 2**31 - 256
ROUNDED_BOUND = 2**30 - 1  # of a product with a double: the firmware makes an int32 of it twice, and adds 1


@dataclass(frozen=True, slots=True, eq=False)
class Rescale16:
    """How a layer's accumulators become int16, one entry per output channel.

    bias: int64, zeros where the layer has none. scale: the real multiplier in double, which FULLY_CONNECTED rounds
    with. mult, shift: what convolutions do; wide: in 64 bits, mult has 16 bits then, else in 32 bits as int8 layers do.
    """

    bias: Int64Array
    scale: npt.NDArray[np.float64]
    mult: npt.NDArray[np.int32]
    shift: npt.NDArray[np.int8]
    wide: bool
    act_min: int
    act_max: int

    def convolved(self, sums: Int64Array) -> npt.NDArray[np.int16]:
        """Output of a convolution. sums: without bias, channels last."""
        requantize = requantize_wide if self.wide else requantize_twice
        return self._clamped(requantize(sums + self.bias, self.mult, self.shift))

    def rounded(self, sums: Int64Array) -> npt.NDArray[np.int16]:
        """Output of a fully-connected layer."""
        return self._clamped(round_product(sums + self.bias, self.scale))

    def _clamped(self, values: Int64Array) -> npt.NDArray[np.int16]:
        return np.clip(values, self.act_min, self.act_max).astype(np.int16)


@lru_cache(maxsize=128)  # a graph and its operators are frozen
def layer_rescale16(graph: Graph, op: Op) -> Rescale16:
    """Rescaling of CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV or FULLY_CONNECTED on int16.

    Raises:
        QuantError: a multiplier is out of range, or an accumulator or its product could leave what the reference holds
            it in.
    Source: PopulateConvolutionQuantizationParams and MultiplyByQuantizedMultiplier of int64 in TensorFlow Lite,
        kernels/kernel_util.cc, kernels/internal/common.cc.
    """
    assert isinstance(op.attrs, ConvAttrs | FullyConnectedAttrs)
    data, weights, bias_tensor = layer_tensors(graph, op)
    in_q, w_q, out_q = quant_of(data), quant_of(weights), quant_of(graph.output_of(op))
    assert weights.data is not None
    rows = weight_rows(op.kind, weights.data).astype(np.int64)
    bias = np.zeros(len(rows), np.int64)
    if bias_tensor is not None and bias_tensor.data is not None:
        bias = bias_tensor.data.reshape(-1).astype(np.int64)
    scales = np.array(w_q.scales if len(w_q.scales) > 1 else w_q.scales * len(rows), np.float64)
    scale = in_q.scale * scales / out_q.scale
    bounds = [abs(b) + 2**15 * w for b, w in zip(bias.tolist(), np.abs(rows).sum(axis=1).tolist(), strict=True)]
    wide = not op.attrs.int32_sums
    multiplier = _rounded_multiplier if op.kind == "FULLY_CONNECTED" else wide_multiplier if wide else _multiplier
    pairs = [multiplier(real, bound) for real, bound in zip(scale.tolist(), bounds, strict=True)]
    if not wide:
        _below(max(bounds), INT32_BOUND)
    mults, shifts = np.array([m for m, _ in pairs], np.int32), np.array([shift for _, shift in pairs], np.int8)
    low, high = activation_range(out_q.scale, out_q.zero_point, op.attrs.activation.value, DType.INT16.limits)
    return Rescale16(bias, scale, mults, shifts, wide, low, high)


def _below(bound: int, limit: int) -> None:
    """Raise where an accumulator could leave what the reference holds it in."""
    if bound >= limit:
        held = "2**47" if limit == WIDE_BOUND else "int32"
        raise QuantError(f"an accumulator can reach {bound}: beyond {held}")


def _scaled_below(fits: bool, scale: float) -> None:
    if not fits:
        raise QuantError(f"scale {scale!r} makes int32 overflow")


def wide_multiplier(scale: float, bound: int) -> tuple[int, int]:
    """Q15 multiplier and shift, for requantize_wide(), of sums whose magnitudes reach `bound`.

    Raises:
        QuantError: a sum could leave 2**47, or a scaled one int32.
    """
    _below(bound, WIDE_BOUND)
    mult, shift = quantize_multiplier(scale)
    short, total = reduced_multiplier(mult), 15 - shift
    _scaled_below(shift <= MAX_WIDE_SHIFT and (bound * short >> total) + 1 < 2**31, scale)
    return short, shift


def _multiplier(scale: float, bound: int) -> tuple[int, int]:
    """Q31 multiplier and shift of sums in int32."""
    mult, shift = quantize_multiplier(scale)
    _scaled_below(bound << max(shift, 0) < INT32_BOUND, scale)
    return mult, shift


def _rounded_multiplier(scale: float, bound: int) -> tuple[int, int]:
    """Multiplier and shift that nobody reads, of sums that are multiplied by a double."""
    _below(bound, WIDE_BOUND)
    _scaled_below(bound * scale < ROUNDED_BOUND, scale)
    return quantize_multiplier(scale)
