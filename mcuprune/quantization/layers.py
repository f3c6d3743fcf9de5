"""Layers of a model in quantization-aware training: a kernel with what folds into it, and marks. TensorFlow only."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from mcuprune.quantization.fake_quant import FakeQuantize, fake_quantize_weights

_FLOAT32 = "float32"


@keras.saving.register_keras_serializable(package="mcuprune")
class QuantizedLayer(keras.layers.Layer):  # type: ignore[misc]
    """A Conv2D, DepthwiseConv2D or Dense with the batch norm and ReLU that follow it, computed as int8 will.

    The batch norm is folded into kernel and bias by its running statistics, which stay as they are; its gamma and beta
    are trained. Weights are rounded per output channel (Dense: with one scale), the output by the range that it had.

    Args:
        layer: the float layer; its kernel is the variable that is trained.
        norm: BatchNormalization after it, or None.
        activation: a ReLU or Activation layer after that, or None; the layer's own activation counts as well.
        preserve_sparsity: hold the zeros that hold_zeros() finds.
    """

    def __init__(
        self,
        layer: Any,
        norm: Any = None,
        activation: Any = None,
        preserve_sparsity: bool = False,
        momentum: float = 0.99,
        **more: Any,
    ) -> None:
        more["dtype"] = _FLOAT32
        super().__init__(**more)
        self.layer, self.norm, self.activation = (_restored(part) for part in (layer, norm, activation))
        self.preserve_sparsity = preserve_sparsity
        self.momentum = momentum
        self.output_range = FakeQuantize(self.clamp is not None, momentum, name="output")

    @property
    def depthwise(self) -> bool:
        return isinstance(self.layer, keras.layers.DepthwiseConv2D)

    @property
    def clamp(self) -> str | None:
        """`relu`, `relu6` or None."""
        return activation_of(self.activation) if self.activation is not None else activation_of(self.layer)

    def build(self, input_shape: Any) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
        shape = self.layer.compute_output_shape(input_shape)
        if self.norm is not None and not self.norm.built:
            self.norm.build(shape)
        self.output_range.build(shape)
        if self.preserve_sparsity:
            kernel = self.layer.kernel
            self.kept = self.add_weight(
                shape=tuple(kernel.shape), initializer="ones", dtype="bool", trainable=False, name="kept"
            )
            kernel.constraint = KeepZeros(self.kept, kernel.constraint)

    def hold_zeros(self) -> None:
        """Where the kernel is zero now, it will be zero after each update."""
        self.kept.assign(keras.ops.not_equal(self.layer.kernel, 0))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        kernel, bias = self.folded()
        outputs = self._product(inputs, self._rounded(kernel))
        if bias is not None:
            outputs = tf.nn.bias_add(outputs, _unlike(bias) if self.output_range.exporting else bias)
        if self.clamp is not None:
            outputs = tf.nn.relu(outputs) if self.clamp == "relu" else tf.nn.relu6(outputs)
        outputs = self.output_range(outputs, training=training)
        return tf.nn.softmax(outputs) if is_softmax(self.layer) else outputs

    def folded(self) -> tuple[Any, Any]:
        """Kernel and bias (None where there is none) with the batch norm in them."""
        kernel = tf.convert_to_tensor(self.layer.kernel)
        bias = tf.convert_to_tensor(self.layer.bias) if self.layer.use_bias else None
        norm = self.norm
        if norm is None:
            return kernel, bias
        factor = tf.math.rsqrt(tf.convert_to_tensor(norm.moving_variance) + norm.epsilon)
        if norm.scale:
            factor *= tf.convert_to_tensor(norm.gamma)
        shift = -tf.convert_to_tensor(norm.moving_mean) if bias is None else bias - norm.moving_mean
        bias = shift * factor
        if norm.center:
            bias += tf.convert_to_tensor(norm.beta)
        return kernel * (tf.reshape(factor, kernel.shape[-2:]) if self.depthwise else factor), bias

    def channels_last(self, kernel: Any) -> Any:
        """A kernel with the output channels last: depthwise (H, W, C, M) as (H, W, 1, C * M), TFLite's order."""
        return tf.reshape(kernel, (*kernel.shape[:2], 1, -1)) if self.depthwise else kernel

    def _rounded(self, kernel: Any) -> Any:
        per_channel = not isinstance(self.layer, keras.layers.Dense)
        return tf.reshape(fake_quantize_weights(self.channels_last(kernel), per_channel), kernel.shape)

    def _product(self, inputs: Any, kernel: Any) -> Any:
        layer = self.layer
        if isinstance(layer, keras.layers.Dense):
            return tf.matmul(inputs, kernel)
        operation = keras.ops.depthwise_conv if self.depthwise else keras.ops.conv
        return operation(
            inputs,
            kernel,
            strides=layer.strides,
            padding=layer.padding,
            dilation_rate=layer.dilation_rate,
            data_format="channels_last",
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        parts = {name: getattr(self, name) for name in ("layer", "norm", "activation")}
        return {
            **super().get_config(),
            **{name: part and keras.saving.serialize_keras_object(part) for name, part in parts.items()},
            "preserve_sparsity": self.preserve_sparsity,
            "momentum": self.momentum,
        }


@keras.saving.register_keras_serializable(package="mcuprune")
class QuantizeAnnotate(keras.layers.Wrapper):  # type: ignore[misc]
    """A layer that quantize_apply() is to quantize; it computes what the layer does."""

    def build(self, input_shape: Any) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True
        self.built = True

    def call(self, inputs: Any, **more: Any) -> Any:
        return self.layer(inputs, **more)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)


class KeepZeros(keras.constraints.Constraint):  # type: ignore[misc]
    """Zero where a mask is false, after the constraint that the variable had, if any."""

    def __init__(self, kept: Any, inner: Any) -> None:
        self.kept = kept
        self.inner = inner

    def __call__(self, w: Any) -> Any:
        value = w if self.inner is None else self.inner(w)
        return keras.ops.where(self.kept, value, keras.ops.zeros_like(value))


def _unlike(bias: Any) -> Any:
    """A bias whose values are not all equal: the converter (TF 2.21) gives those one scale."""
    count = int(bias.shape[0])
    return bias * tf.constant([1.0 + 2.0**-22] + [1.0] * (count - 1), tf.float32)


def activation_of(layer: Any) -> str | None:
    """What a layer clamps its output to: `relu`, `relu6`, None for nothing (softmax, too); `?` for anything else."""
    if isinstance(layer, keras.layers.ReLU):
        if layer.negative_slope or layer.threshold or layer.max_value not in (None, 6):
            return "?"
        return "relu6" if layer.max_value == 6 else "relu"
    return {"linear": None, "softmax": None, "relu": "relu", "relu6": "relu6"}.get(_activation_name(layer), "?")


def is_softmax(layer: Any) -> bool:
    """Whether a layer is a softmax, or ends in one."""
    return isinstance(layer, keras.layers.Softmax) or _activation_name(layer) == "softmax"


def _activation_name(layer: Any) -> str:
    """The activation that a layer has as an argument; `linear` where it has none."""
    if isinstance(layer, keras.layers.ReLU) or getattr(layer, "activation", None) is None:
        return "linear"
    name = keras.activations.serialize(layer.activation)
    return name if isinstance(name, str) else "?"


def _restored(part: Any) -> Any:
    """A layer from its config, or as it is."""
    return keras.saving.deserialize_keras_object(part) if isinstance(part, dict) else part
