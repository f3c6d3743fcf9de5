"""Fake quantization: float values rounded to the steps of int8, with gradients as if they were not. TensorFlow only."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

WEIGHT_FLOOR = 2.0**-14
"""Least range of an output channel, in units of the layer's largest: a dead channel has a scale, too."""
RANGE_FLOOR = 2.0**-16
"""Activations that stay within this are taken for dead, and get a range of 1: softmax cannot take smaller scales."""


def weight_ranges(kernel: Any, per_channel: bool) -> Any:
    """The largest |weight| of each output channel (last axis), or of all; never 0, without a gradient."""
    size = tf.abs(tf.stop_gradient(kernel))
    top = tf.reduce_max(size)
    top = tf.where(top > 0, top, tf.ones_like(top))
    if not per_channel:
        return top
    return tf.maximum(tf.reduce_max(size, axis=list(range(len(kernel.shape) - 1))), WEIGHT_FLOOR * top)


def fake_quantize_weights(kernel: Any, per_channel: bool) -> Any:
    """Weights (..., O) rounded to codes -127..127 of scale range / 127, symmetric: zero stays exactly zero."""
    top = weight_ranges(kernel, per_channel)
    if per_channel:
        return tf.quantization.fake_quant_with_min_max_vars_per_channel(kernel, -top, top, 8, narrow_range=True)
    return tf.quantization.fake_quant_with_min_max_vars(kernel, -top, top, 8, narrow_range=True)


@keras.saving.register_keras_serializable(package="mcuprune")
class FakeQuantize(keras.layers.Layer):  # type: ignore[misc]
    """Activations rounded to the 256 codes of int8 over a range that follows them.

    In training the range is a moving average of the batches' smallest and largest values, a quick one at first: batch n
    (from 0) leaves min((1 + n) / (10 + n), momentum) of the old range. 0 is always in it. Where nothing was seen yet,
    values pass as they are.

    Attributes:
        learning: the range follows what passes outside of training, too; values are not rounded.
        exporting: the range is taken as it is, without a way round it.


    Args:
        nonnegative: the values are never below 0, as after ReLU.
        momentum: of the moving average.
    """

    def __init__(self, nonnegative: bool = False, momentum: float = 0.99, **more: Any) -> None:
        more["dtype"] = "float32"
        super().__init__(**more)
        self.nonnegative = nonnegative
        self.momentum = momentum
        self.learning = False
        self.exporting = False

    def build(self, input_shape: Any) -> None:
        weights = {"shape": (), "initializer": "zeros", "trainable": False, "aggregation": "mean"}
        self.low = self.add_weight(name="low", **weights)
        self.high = self.add_weight(name="high", **weights)
        self.seen = self.add_weight(name="seen", **weights)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if training or self.learning:
            low, high = self._follow(inputs)
            if self.learning:
                return inputs
            return tf.quantization.fake_quant_with_min_max_vars(inputs, *_usable(low, high))
        low, high = (tf.convert_to_tensor(v) for v in (self.low, self.high))
        rounded = tf.quantization.fake_quant_with_min_max_vars(inputs, *_usable(low, high))
        return rounded if self.exporting else tf.where(tf.convert_to_tensor(self.seen) > 0, rounded, inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "nonnegative": self.nonnegative, "momentum": self.momentum}

    @property
    def calibrated(self) -> bool:
        """Whether there is a range."""
        return bool(keras.ops.convert_to_numpy(self.seen) > 0)

    @property
    def range(self) -> tuple[float, float]:
        """(low, high) as they are used, float32 values."""
        low, high = (np.float32(keras.ops.convert_to_numpy(v)) for v in (self.low, self.high))
        used = _usable(tf.constant(low), tf.constant(high))
        return float(used[0]), float(used[1])

    def _follow(self, inputs: Any) -> tuple[Any, Any]:
        """The range after this batch."""
        inputs = tf.stop_gradient(inputs)
        seen = tf.convert_to_tensor(self.seen)
        old = tf.where(seen > 0, tf.minimum((1 + seen) / (10 + seen), self.momentum), 0.0)
        high = old * self.high + (1 - old) * tf.maximum(tf.reduce_max(inputs), 0)
        self.high.assign(high)
        self.seen.assign(seen + 1)
        if self.nonnegative:
            return tf.zeros_like(high), high
        low = old * self.low + (1 - old) * tf.minimum(tf.reduce_min(inputs), 0)
        self.low.assign(low)
        return low, high


def _usable(low: Any, high: Any) -> tuple[Any, Any]:
    """A range that has a scale."""
    return low, tf.where(high - low > RANGE_FLOOR, high, low + 1)
