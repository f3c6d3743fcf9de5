"""prune_low_magnitude() and strip_pruning(): TensorFlow Model Optimization's way to prune, over masks on variables."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import keras

from mcuprune.errors import ModelError, UsageError
from mcuprune.sparsity.schedule import ConstantSparsity, PolynomialDecay, PruningSchedule
from mcuprune.sparsity.tfmot.graphs import clone, is_graph
from mcuprune.sparsity.tfmot.layer_masks import HALF, LayerMasks, PruningSettings
from mcuprune.sparsity.tfmot.policy import PruningPolicy
from mcuprune.sparsity.tfmot.support import can_have_masks, check_kernels, check_prunable, masked_weights
from mcuprune.sparsity.tfmot.wrapper import PruneLowMagnitude, collect_prunable_layers
from mcuprune.sparsity.weights import has_other_kernels, leaves

_IN_PLACE: WeakKeyDictionary[Any, tuple[LayerMasks, ...]] = WeakKeyDictionary()
"""Masks of models that are pruned without wrappers."""

_KEPT = (keras.layers.InputLayer, keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
"""Layers of a model or list that are not wrapped."""

_KINDS = "a Keras layer, a list of layers, or a Sequential, functional or subclassed model"


def prune_low_magnitude(
    to_prune: Any,
    pruning_schedule: PruningSchedule = HALF,
    block_size: tuple[int, int] = (1, 1),
    block_pooling_type: str = "AVG",
    pruning_policy: PruningPolicy | None = None,
    sparsity_m_by_n: tuple[int, int] | None = None,
    **kwargs: Any,
) -> Any:
    """A layer, each layer of a list, or a model, to be pruned while it trains under UpdatePruningStep.

    Sequential and functional models: a new model, not compiled, with PruneLowMagnitude around the same layers, nested
    models too, a shared layer once. Models with a class of their own: the same model, its layers as they are, with
    masks on their weights. Depthwise convolutions of models and lists stay dense; one that is asked for alone does not.

    Args:
        to_prune: what to prune; its weights stay what they are until it trains.
        pruning_schedule: how sparse at which step.
        block_size: (a, b), zeros in blocks of a inputs by b outputs of a kernel, with convolutions along H*W*I.
        block_pooling_type: `AVG`, `MAX` or `L2` of |weight| says which blocks go.
        pruning_policy: which layers are pruned; None: all.
        sparsity_m_by_n: (m, n), m zeros in each n consecutive input channels; they come as the schedule goes, scaled
            to its end.
        **kwargs: of the wrapping layer, such as input_shape; for a layer alone.
    Raises:
        UsageError: something else, a layer about whose weights nothing is known, or settings that make no sense or do
            not fit a layer. (Of an unbuilt layer this is told when it is built.)
        ModelError: a subclassed model that is not built; a model or list in which nothing can be pruned. (Where layers
            are not built, this is told when the training begins. A layer alone that has no weights is wrapped, as
            upstream, and passed through. A policy that leaves nothing to prune is told by a warning.)
    """
    settings = PruningSettings(pruning_schedule, block_size, block_pooling_type, sparsity_m_by_n)
    if pruning_policy is not None and not isinstance(pruning_policy, PruningPolicy):
        raise UsageError(
            f"pruning_policy is a PruningPolicy, got {pruning_policy!r}",
            hint="pruning_policy=sparsity.PruneForLatencyOnXNNPack()",
        )
    arguments: dict[str, Any] = {
        "pruning_schedule": pruning_schedule,
        "block_size": settings.block_size,
        "block_pooling_type": block_pooling_type,
        "sparsity_m_by_n": settings.sparsity_m_by_n,
    }
    done: dict[int, Any] = {}

    def pruned(layer: Any) -> Any:
        if id(layer) not in done:
            done[id(layer)] = wrapped(layer)
        return done[id(layer)]

    def wrapped(layer: Any) -> Any:
        if is_graph(layer):
            return clone(layer, pruned)
        kept = not isinstance(layer, keras.Layer) or isinstance(layer, (PruneLowMagnitude, *_KEPT))
        if kept or (pruning_policy is not None and not pruning_policy.allow_pruning(layer)):
            return layer
        return PruneLowMagnitude(layer, **arguments)

    if isinstance(to_prune, (list, tuple)):
        if not all(isinstance(layer, keras.Layer) for layer in to_prune):
            raise UsageError(f"only layers of a list can be pruned: {_KINDS}")
        return _some_pruned([pruned(layer) for layer in to_prune], "the list", pruning_policy)
    if not isinstance(to_prune, keras.Layer):
        raise UsageError(f"a {type(to_prune).__name__} cannot be pruned", hint=f"pass {_KINDS}")
    if isinstance(to_prune, keras.Model) and pruning_policy is not None:
        pruning_policy.ensure_model_supports_pruning(to_prune)
    if is_graph(to_prune):
        if not to_prune.layers:
            _nothing_pruned(f"model '{to_prune.name}'", None)
        return _some_pruned([pruned(to_prune)], f"model '{to_prune.name}'", pruning_policy)[0]
    if isinstance(to_prune, keras.Model):
        return _prune_in_place(to_prune, settings, pruning_policy)
    if isinstance(to_prune, PruneLowMagnitude):
        return to_prune
    return PruneLowMagnitude(to_prune, **{**arguments, **kwargs})


def strip_pruning(model: Any) -> Any:
    """The plain model with its zeros: no wrappers, no masks; the layers are the same objects, so are their weights.

    Nothing holds the zeros from now on: what trains on should be stripped afterwards. A model pruned in place is
    returned itself.

    Raises:
        UsageError: it is no model.
    """
    if not isinstance(model, keras.Model):
        raise UsageError(f"a {type(model).__name__} is not a Keras model", hint="pass what prune_low_magnitude() gave")
    for masks in masks_of(model):
        masks.disarm()
    _IN_PLACE.pop(model, None)
    done: dict[int, Any] = {}

    def stripped(layer: Any) -> Any:
        if id(layer) not in done:
            inside = layer.layer if isinstance(layer, PruneLowMagnitude) else layer
            done[id(layer)] = clone(inside, stripped) if is_graph(inside) else inside
        return done[id(layer)]

    return stripped(model)


def prune_scope() -> Any:
    """A scope for keras.models.load_model() of pruned models. Where mcuprune.sparsity.PruneLowMagnitude was imported
    before, none is needed."""
    return keras.saving.CustomObjectScope(
        {
            "PruneLowMagnitude": PruneLowMagnitude,
            "ConstantSparsity": ConstantSparsity,
            "PolynomialDecay": PolynomialDecay,
        }
    )


def prune_for_benchmark(keras_model: Any, target_sparsity: float, block_size: tuple[int, int] = (1, 1)) -> Any:
    """A model pruned at once, without training: for what-if size and speed, its accuracy will suffer.

    As prune_low_magnitude(), with the zeros in place; strip_pruning() gives the plain model.

    Raises:
        UsageError: as prune_low_magnitude().
        ModelError: the model is not built.
    """
    schedule = ConstantSparsity(target_sparsity, 0)
    model = prune_low_magnitude(keras_model, pruning_schedule=schedule, block_size=block_size)
    if not all(masks.built for masks in masks_of(model)):
        raise ModelError(f"model '{keras_model.name}' has no weights yet", hint="build it: call it once on a batch")
    for masks in masks_of(model):
        masks.update(0)
    return model


def masks_of(model: Any) -> tuple[LayerMasks, ...]:
    """The masks of all pruned layers of a model, nested ones too."""
    wrapped = [layer.masks for layer in collect_prunable_layers(model)]
    in_place = [masks for layer in leaves(model) for masks in _IN_PLACE.get(layer, ())]
    return (*wrapped, *in_place)


def _prune_in_place(model: Any, settings: PruningSettings, policy: PruningPolicy | None) -> Any:
    """Masks on the weights of a model that cannot be made again."""
    if not model.built or not model.weights:
        raise ModelError(
            f"model '{model.name}' has no weights yet, and masks lie on weights",
            hint="build it: call it once on a batch, model(x[:1]), then prune it",
        )
    layers = [layer for layer in _direct_layers(model) if not isinstance(layer, _KEPT)]
    layers = [layer for layer in layers if policy is None or policy.allow_pruning(layer)]
    for layer in layers:
        if not isinstance(layer, PruneLowMagnitude):
            check_prunable(layer)
            check_kernels(layer)
    masks = []
    for layer in layers:
        if not isinstance(layer, PruneLowMagnitude) and masked_weights(layer):
            masks.append(LayerMasks(settings, f"model '{model.name}', layer '{layer.name}'"))
            masks[-1].take(masked_weights(layer))
    if not masks:
        _nothing_pruned(f"model '{model.name}'", policy)
    _IN_PLACE[model] = tuple(masks)
    own = [each.name for each in leaves(model) if isinstance(each, keras.Model) and has_other_kernels(each)]
    if own:
        hint = "only those of its layers are pruned; put them into a layer with get_prunable_weights()"
        warnings.warn(f"model '{own[0]}' has weights of its own, which stay dense: {hint}", stacklevel=3)
    return model


def _some_pruned(made: list[Any], what: str, policy: PruningPolicy | None) -> list[Any]:
    """What was made; none of its layers having, or getting once it is built, weights that are pruned is not silent."""
    inside = [layer.layer for each in made for layer in collect_prunable_layers(each)]
    if not any(map(can_have_masks, inside)) and not any(masks.entries for each in made for masks in masks_of(each)):
        _nothing_pruned(what, policy)
    return made


def _nothing_pruned(what: str, policy: PruningPolicy | None) -> None:
    """A policy may leave a model dense, and says so in a warning; without one it is a mistake.

    Raises:
        ModelError: there is no policy.
    """
    told = f"{what} has no layer that would be pruned"
    if policy is None:
        hint = "convolutions, dense, embedding and recurrent layers can be; a depthwise one where it is asked for alone"
        raise ModelError(told, hint=hint)
    asked = f"does {type(policy).__name__}.allow_pruning() take one of its layers?"
    warnings.warn(f"{told}: it stays dense; {asked}", stacklevel=4)


def _direct_layers(model: Any) -> Sequence[Any]:
    """The layers of a subclassed model and of the models inside it, but no cells or parts of layers."""
    found: list[Any] = []
    for layer in model.layers:
        found += _direct_layers(layer) if isinstance(layer, keras.Model) else [layer]
    return list({id(layer): layer for layer in found}.values())
