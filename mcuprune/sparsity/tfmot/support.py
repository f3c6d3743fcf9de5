"""Which layers the API of TensorFlow Model Optimization can prune, and what it prunes of them."""

from __future__ import annotations

from typing import Any

import keras

from mcuprune.errors import UsageError
from mcuprune.sparsity.weights import PrunableWeight, kernels_of, known_weights, leaves, other_kernels

_HINT = "give its class get_prunable_weights() (see sparsity.PrunableLayer), or leave it out with a pruning_policy"
_UNKNOWN = (keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D, keras.layers.ConvLSTM3D)


def check_prunable(layer: Any) -> None:
    """Refuse a layer that may have kernels of which nothing is known.

    Raises:
        UsageError: no layer; a class of one's own that makes weights, without get_prunable_weights(); a ConvLSTM.
    """
    if not isinstance(layer, keras.Layer):
        raise UsageError(
            f"a {type(layer).__name__} is not a Keras layer", hint="wrap keras.layers.Dense(10), or a model"
        )
    for inside in leaves(layer):
        if _refused(inside):
            within = "" if inside is layer else f", inside '{layer.name}'"
            raise UsageError(
                f"it is not known which weights of a {type(inside).__name__} can be pruned",
                where=f"layer '{inside.name}'{within}",
                hint=_HINT,
            )
    if layer.built:
        check_kernels(layer)


def check_kernels(layer: Any) -> None:
    """The same for a layer that is built, whose weights can be seen.

    Raises:
        UsageError: it has kernels of which nothing is known.
    """
    others = other_kernels(layer)
    if others:
        raise UsageError(
            f"it is not known which weights of {', '.join(others)} can be pruned",
            where=f"layer '{layer.name}'",
            hint=_HINT,
        )


def masked_weights(layer: Any) -> tuple[PrunableWeight, ...]:
    """The weights that are pruned of a layer: its kernels at any depth, depthwise ones if it is nothing else."""
    weights = known_weights(layer)
    plain = tuple(weight for weight in weights if not weight.depthwise)
    return plain or (weights if isinstance(layer, (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)) else ())


def can_have_masks(layer: Any) -> bool:
    """Whether the layer has weights that are pruned, or may have some once it is built."""
    if layer.built:
        return bool(masked_weights(layer))
    parts = [inside for inside in leaves(layer) if not isinstance(inside, keras.Sequential)]
    return any(type(inside).build is not keras.Layer.build for inside in parts)


def _refused(layer: Any) -> bool:
    if hasattr(layer, "get_prunable_weights"):
        return False
    if type(layer).__module__.startswith("keras."):
        return isinstance(layer, _UNKNOWN)
    if next(kernels_of(layer), None) is not None:  # a class of one's own made of a layer of Keras
        return True
    own_build = type(layer).build is not keras.Layer.build and not isinstance(layer, keras.Model)
    return own_build and not layer.built
