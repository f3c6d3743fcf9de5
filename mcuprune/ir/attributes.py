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
    """CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV; pairs are (height, width). depth_multiplier: of the second."""

    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: Padding
    activation: Activation
    depth_multiplier: int = 1


@dataclass(frozen=True, slots=True)
class FullyConnectedAttrs(Attrs):
    activation: Activation
    keep_num_dims: bool = False


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
    """ADD, SUB, MUL, DIV: their fused activation."""

    activation: Activation


@dataclass(frozen=True, slots=True)
class PadAttrs(Attrs):
    before: tuple[int, ...]  # one per dimension
    after: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NoAttrs(Attrs):
    """RESHAPE, QUANTIZE, DEQUANTIZE, RELU, RELU6: the tensors say it all."""
