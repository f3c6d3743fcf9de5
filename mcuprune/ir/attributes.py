"""What operators know beside their tensors: strides, axes, fused activations. One class for each family."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Activation(enum.Enum):
    """Activation fused into an operator."""

    NONE = "NONE"
    RELU = "RELU"
    RELU6 = "RELU6"
    RELU_N1_TO_1 = "RELU_N1_TO_1"


class Padding(enum.Enum):
    """TFLite's two padding rules."""

    SAME = "SAME"
    VALID = "VALID"


@dataclass(frozen=True, slots=True)
class Attrs:
    """Attributes of an operator."""


@dataclass(frozen=True, slots=True)
class ConvAttrs(Attrs):
    """CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV; pairs are (height, width). depth_multiplier: of the second.

    int32_sums: on int16, sums and biases of 32 bits rather than 64.
    """

    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: Padding
    activation: Activation
    depth_multiplier: int = 1
    int32_sums: bool = False


@dataclass(frozen=True, slots=True)
class FullyConnectedAttrs(Attrs):
    activation: Activation
    keep_num_dims: bool = False
    int32_sums: bool = False  # as in ConvAttrs


@dataclass(frozen=True, slots=True)
class MatmulAttrs(Attrs):
    """BATCH_MATMUL: whether the matrices of an operand are read transposed."""

    transpose_first: bool
    transpose_second: bool


@dataclass(frozen=True, slots=True)
class PoolAttrs(Attrs):
    """AVERAGE_POOL_2D and MAX_POOL_2D."""

    filter: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding
    activation: Activation


@dataclass(frozen=True, slots=True)
class ReduceAttrs(Attrs):
    """MEAN, SUM, REDUCE_MAX, REDUCE_MIN, REDUCE_PROD."""

    axes: tuple[int, ...]  # non-negative, sorted
    keep_dims: bool


@dataclass(frozen=True, slots=True)
class ArgAttrs(Attrs):
    """ARG_MAX and ARG_MIN."""

    axis: int  # non-negative


@dataclass(frozen=True, slots=True)
class SoftmaxAttrs(Attrs):
    beta: float


@dataclass(frozen=True, slots=True)
class LeakyReluAttrs(Attrs):
    alpha: float  # slope below zero


@dataclass(frozen=True, slots=True)
class GeluAttrs(Attrs):
    approximate: bool  # by tanh


@dataclass(frozen=True, slots=True)
class ArithmeticAttrs(Attrs):
    """ADD, SUB, MUL, DIV: their fused activation. pot_scale: int16 whose scales are powers of two is only shifted."""

    activation: Activation
    pot_scale: bool = False


@dataclass(frozen=True, slots=True)
class PadAttrs(Attrs):
    """PAD and PADV2. value: what is added, in stored numbers; None: the output's zero point."""

    before: tuple[int, ...]  # one per dimension
    after: tuple[int, ...]
    value: float | None = None


@dataclass(frozen=True, slots=True)
class SliceAttrs(Attrs):
    """Of each dimension (first index, step, count); None: all of it as it is. Steps may be negative."""

    ranges: tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class TransposeAttrs(Attrs):
    """The input seen in the shape `view`; dimension d of the result is dimension order[d] of the view."""

    view: tuple[int, ...]
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GatherAttrs(Attrs):
    """The input seen in the shape `view`; of each dimension the indices that the result takes, None: all of them."""

    view: tuple[int, ...]
    indices: tuple[tuple[int, ...] | None, ...]


@dataclass(frozen=True, slots=True)
class LookupAttrs(Attrs):
    """GATHER with computed positions, GATHER_ND, EMBEDDING_LOOKUP.

    The table is seen as (batches, outer, *sizes, inner), positions as (batches, count, len(sizes)), the output as
    (batches, outer, count, inner). from_end: positions below 0 count from the end of the one size.
    """

    batches: int
    outer: int
    sizes: tuple[int, ...]
    inner: int
    count: int
    from_end: bool = False


@dataclass(frozen=True, slots=True)
class ConcatenationAttrs(Attrs):
    """Inputs side by side along dimension `axis` (non-negative) of the output.

    stacked: each input lacks that dimension, as if it had size 1 there (PACK).
    """

    axis: int
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class ResizeAttrs(Attrs):
    """RESIZE_BILINEAR."""

    align_corners: bool
    half_pixel_centers: bool


@dataclass(frozen=True, slots=True)
class SvdfAttrs(Attrs):
    rank: int  # filters of one unit


@dataclass(frozen=True, slots=True)
class LstmAttrs(Attrs):
    """UNIDIRECTIONAL_SEQUENCE_LSTM; clips are real values, 0 for none. hidden: what the output gate lets through;
    gate_scales: of a gate's sum before layer normalization, in the file's order of gates; empty without it."""

    time_major: bool
    cell_clip: float
    projection_clip: float
    hidden_scale: float
    hidden_zp: int
    gate_scales: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class NoAttrs(Attrs):
    """RESHAPE, SHAPE, QUANTIZE, DEQUANTIZE, RELU, RELU6: the tensors say it all."""
