"""Which layers of a model are pruned: policies of the API of TensorFlow Model Optimization."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import keras

from mcuprune.errors import UsageError
from mcuprune.sparsity.tfmot.graphs import Edges, is_graph
from mcuprune.sparsity.tfmot.wrapper import PruneLowMagnitude

_L = keras.layers
_POINTWISE = (_L.Add, _L.Multiply, _L.ZeroPadding2D, _L.ReLU, _L.LeakyReLU, _L.ELU, _L.Dropout)
_ACTIVATIONS = ("relu", "relu6", "leaky_relu", "elu", "sigmoid")
_OPERATIONS = ("Identity", "Add", "Subtract", "Multiply")  # x + y and the like in a functional model


class PruningPolicy(ABC):
    """Which layers prune_low_magnitude() prunes, and whether it prunes a model at all. To be derived from."""

    @abstractmethod
    def allow_pruning(self, layer: Any) -> bool:
        """Whether the layer is pruned."""

    @abstractmethod
    def ensure_model_supports_pruning(self, model: Any) -> None:
        """Refuse a model.

        Raises:
            ValueError: the model does not suit the policy.
        """


class PruneForLatencyOnXNNPack(PruningPolicy):
    """Prunes the 1x1 convolutions of models that XNNPACK runs with sparse kernels in TensorFlow Lite; refuses others.

    Between a 3x3 convolution of 3 channels (stride 2, `valid` after padding by 1) and GlobalAveragePooling2D all layers
    must be of the kinds that its sparse inference has.
    Source: the section "Sparse Inference" of the README of TensorFlow Lite's XNNPACK delegate.
    """

    def allow_pruning(self, layer: Any) -> bool:
        return isinstance(layer, _L.Conv2D) and tuple(layer.kernel_size) == (1, 1)

    def ensure_model_supports_pruning(self, model: Any) -> None:
        if not is_graph(model):
            raise UsageError(f"model '{model.name}' is subclassed: the policy needs to see how its layers follow")
        if not model.built or not getattr(model, "inputs", None):
            raise UsageError(f"model '{model.name}' is not built", hint="start it with keras.Input(shape)")
        edges = Edges(model)
        starts = edges.search(edges.inputs, lambda layer: _is_start(layer, edges), edges.consumers)
        if not starts:
            raise UsageError(
                "no Conv2D 3x3 of 3 channels with stride 2 and `valid` padding after ZeroPadding2D(1) in each branch "
                "from the inputs",
                where=f"model '{model.name}'",
                hint="XNNPACK's sparse inference starts at one; without the policy every layer is pruned",
            )
        ends = edges.search(
            edges.outputs, lambda layer: isinstance(_inside(layer), _L.GlobalAveragePooling2D), edges.producers
        )
        if not ends:
            raise UsageError(
                "no GlobalAveragePooling2D in each branch to the outputs",
                where=f"model '{model.name}'",
                hint="XNNPACK's sparse inference ends at one; without the policy every layer is pruned",
            )

        def ended(layer: Any) -> bool:
            if layer in ends:
                return True
            if not _supported(layer, edges):
                raise UsageError(
                    f"a {type(_inside(layer)).__name__} like '{layer.name}' has no sparse kernel in XNNPACK",
                    where=f"model '{model.name}'",
                    hint="without the policy every layer is pruned",
                )
            return False

        edges.search([after for layer in starts for after in edges.consumers(layer)], ended, edges.consumers)


def _inside(layer: Any) -> Any:
    return layer.layer if isinstance(layer, PruneLowMagnitude) else layer


def _is_start(operation: Any, edges: Edges) -> bool:
    """Whether sparse inference can start at it."""
    layer = _inside(operation)
    return (
        isinstance(layer, _L.Conv2D)
        and tuple(layer.kernel.shape[:3]) == (3, 3, 3)
        and tuple(layer.strides) == (2, 2)
        and layer.padding == "valid"
        and _padded_by(operation, edges) == 1
    )


def _padded_by(operation: Any, edges: Edges) -> int:
    """The width of a ZeroPadding2D, equal on all sides, that alone goes into the operation; 0 where there is none."""
    producers = [_inside(layer) for layer in edges.producers(operation)]
    if len(producers) != 1 or not isinstance(producers[0], _L.ZeroPadding2D):
        return 0
    width: int = producers[0].padding[0][0]
    return width if producers[0].padding == ((width, width), (width, width)) else 0


def _supported(operation: Any, edges: Edges) -> bool:
    """Whether XNNPACK's sparse inference has the operation."""
    layer = _inside(operation)
    if isinstance(layer, _L.DepthwiseConv2D):
        return _depthwise_supported(layer, _padded_by(operation, edges))
    if isinstance(layer, _L.Conv2D):
        plain = layer.groups == 1 and tuple(layer.dilation_rate) == (1, 1)
        return plain and tuple(layer.kernel_size) == (1, 1) and tuple(layer.strides) == (1, 1)
    if isinstance(layer, _L.GlobalAveragePooling2D):
        return bool(layer.keepdims)
    if isinstance(layer, _L.BatchNormalization):
        return layer.axis in (-1, 3)
    if isinstance(layer, _L.UpSampling2D):
        return bool(layer.interpolation == "bilinear")
    if isinstance(layer, _L.Activation):
        return getattr(layer.activation, "__name__", "") in _ACTIVATIONS
    return isinstance(layer, _POINTWISE) or type(layer).__name__ in _OPERATIONS


def _depthwise_supported(layer: Any, padded: int) -> bool:
    """3x3 and 5x5: `same` at stride 1; `valid` at stride 1 or 2 after the padding that `same` would have."""
    size, strides = tuple(layer.kernel_size), tuple(layer.strides)
    if layer.depth_multiplier != 1 or tuple(layer.dilation_rate) != (1, 1) or size not in ((3, 3), (5, 5)):
        return False
    if layer.padding == "same":
        return strides == (1, 1)
    return strides in ((1, 1), (2, 2)) and padded == size[0] // 2
