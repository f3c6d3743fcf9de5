"""What happens to the accumulators of a layer with weights, in integers: bias, multipliers, shifts, range."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mcuprune.errors import QuantError
from mcuprune.ir.attributes import ConvAttrs, FullyConnectedAttrs
from mcuprune.ir.graph import Graph, Op, Quant, Tensor
from mcuprune.numerics import activation_range, quantize_multiplier, round_once_multiplier


@dataclass(frozen=True, slots=True, eq=False)
class Rescale:
    """out = clamp(requant(acc, mult[o], shift[o]) + out_zp, act_min, act_max), one entry per output channel o.

    bias: int32 as in the file (zeros where the layer has none); folded_bias has -in_zp * sum(row o) added, for kernels
    that multiply stored inputs. scale: the real multiplier in double. bound: largest magnitude of an accumulator.
    rounds_once: the layer is fully connected: requantize_once(), else requantize().
    """

    bias: npt.NDArray[np.int32]
    folded_bias: npt.NDArray[np.int32]
    mult: npt.NDArray[np.int32]
    shift: npt.NDArray[np.int8]
    scale: npt.NDArray[np.float64]
    bound: npt.NDArray[np.int64]
    out_zp: int
    act_min: int
    act_max: int
    rounds_once: bool


def quant_of(tensor: Tensor) -> Quant:
    """Quantization of a tensor that has one."""
    if tensor.quant is None:
        raise QuantError(f"tensor {tensor.index} '{tensor.name}' has no quantization")
    return tensor.quant


def weight_rows(kind: str, weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Weights as (output channels, weights of each): OHWI or (rows, cols) as they lie, 1HWC transposed."""
    if kind == "DEPTHWISE_CONV_2D":
        return weights.reshape(-1, weights.shape[-1]).T
    return weights.reshape(weights.shape[0], -1)


def layer_tensors(graph: Graph, op: Op) -> tuple[Tensor, Tensor, Tensor | None]:
    """(input, weights, bias or None) of a convolution or fully-connected layer."""
    data, weights, bias = (graph.input_of(op, i) for i in range(3))
    if data is None or weights is None:
        raise QuantError(f"{op.place} lacks an input")
    return data, weights, bias


def _bias_values(bias: Tensor | None, channels: int) -> npt.NDArray[np.int32]:
    if bias is None or bias.data is None:
        return np.zeros(channels, np.int32)
    return bias.data.reshape(-1).astype(np.int32)


def _multipliers(
    scale: npt.NDArray[np.float64], bound: npt.NDArray[np.int64], least: npt.NDArray[np.int64], low: int, high: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int8]]:
    """Q31 multipliers and shifts that round once; [low, high] is the range that must be right before the clamp.

    bound, least: largest and smallest magnitude of each channel's accumulator.
    """
    channels = zip(scale.tolist(), bound.tolist(), least.tolist(), strict=True)
    return _packed([round_once_multiplier(s, low, high, most, few) for s, most, few in channels])


def _packed(pairs: list[tuple[int, int]]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int8]]:
    mult, shift = zip(*pairs, strict=True)
    return np.array(mult, np.int32), np.array(shift, np.int8)


@lru_cache(maxsize=128)  # a graph and its operators are frozen
def layer_rescale(graph: Graph, op: Op) -> Rescale:
    """Rescaling of CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV or FULLY_CONNECTED.

    Raises:
        QuantError: a multiplier is out of range, or an accumulator could overflow int32 in some channel.
    Source: PopulateConvolutionQuantizationParams in TensorFlow Lite, kernels/kernel_util.cc.
    """
    if not isinstance(op.attrs, ConvAttrs | FullyConnectedAttrs):
        raise QuantError(f"{op.place} has no weights")
    data, weights, bias_tensor = layer_tensors(graph, op)
    in_q, w_q, out_q = quant_of(data), quant_of(weights), quant_of(graph.output_of(op))
    if weights.data is None:
        raise QuantError(f"{op.place}: the weights are not constant")
    rows = weight_rows(op.kind, weights.data).astype(np.int64)
    bias = _bias_values(bias_tensor, len(rows))
    scales = np.array(w_q.scales if len(w_q.scales) > 1 else w_q.scales * len(rows), np.float64)
    scale = in_q.scale * scales / out_q.scale
    spread = np.abs(rows).sum(axis=1) * (128 + abs(in_q.zero_point))
    bound = np.abs(bias.astype(np.int64)) + spread
    act_min, act_max = activation_range(out_q.scale, out_q.zero_point, op.attrs.activation.value)
    once = op.kind == "FULLY_CONNECTED"
    low, high = act_min - out_q.zero_point - 1, act_max - out_q.zero_point + 1
    if int(bound.max()) >= 2**31 - 256:
        channel = int(bound.argmax())
        raise QuantError(f"the accumulator of output channel {channel} can reach {bound[channel]}: int32 overflows")
    if once:
        least = np.maximum(0, np.abs(bias.astype(np.int64)) - spread)
        mult, shift = _multipliers(scale, bound, least, low, high)
    else:
        mult, shift = _packed([quantize_multiplier(s) for s in scale.tolist()])
    shifted = bound * 2.0 ** np.maximum(shift.astype(np.float64), 0)
    if float(shifted.max()) >= 2**31 - 256:
        channel = int(shifted.argmax())
        raise QuantError(f"scale {scale[channel]!r} of output channel {channel} makes int32 overflow")
    folded = (bias - in_q.zero_point * rows.sum(axis=1)).astype(np.int32)
    return Rescale(bias, folded, mult, shift, scale, bound, out_q.zero_point, act_min, act_max, once)
