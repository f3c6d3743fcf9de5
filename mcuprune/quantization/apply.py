"""From a float Keras model to one that trains as int8 will compute, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from mcuprune.errors import ModelError
from mcuprune.quantization.builder import Builder
from mcuprune.quantization.fake_quant import FakeQuantize
from mcuprune.quantization.layers import KeepZeros, QuantizeAnnotate, QuantizedLayer
from mcuprune.quantization.structure import (
    SAME_RANGE,
    WEIGHTED,
    Group,
    Step,
    Structure,
    check_precision,
    check_step,
    group_of,
    is_clamp,
    is_quantized,
    range_step,
    read_structure,
)

_CLASSES = {kind.__name__: kind for kind in (FakeQuantize, KeepZeros, QuantizeAnnotate, QuantizedLayer)}


def quantize_annotate_layer(layer: Any) -> Any:
    """A layer marked for quantize_apply(); batch norm and ReLU after it are its own then, and need no mark.

    Raises:
        ModelError: it is no layer.
    """
    if isinstance(layer, QuantizeAnnotate):
        return layer
    if not isinstance(layer, keras.layers.Layer) or isinstance(layer, keras.Model):
        raise ModelError(
            f"{type(layer).__name__} is no layer that can be annotated",
            hint="quantize_annotate_layer(keras.layers.Dense(10)); for models quantize_annotate_model(model)",
        )
    return QuantizeAnnotate(layer, name=f"annotated_{layer.name}")


def quantize_annotate_model(model: Any) -> Any:
    """The model with every layer marked for quantize_apply(); the layers are shared with the model.

    Raises:
        ModelError: a layer is not supported, or the model is no Sequential or Functional one.
    """
    structure = read_structure(model)
    if any(is_quantized(step) for step in structure.steps):
        raise _quantized_error(structure)
    _plan(structure, structure.steps)  # refuses here already what quantize_apply() would
    builder = Builder(model, structure)
    for step in structure.steps:
        builder.call(step, builder.unique(quantize_annotate_layer(step.operation)))
    return builder.model()


def quantize_apply(model: Any, preserve_sparsity: bool = True) -> Any:
    """The model with its annotated layers computed as int8 will: a Keras model that is compiled and fitted as usual.

    Weights are copied, the model stays as it was. Layers that are not annotated are float. Ranges of activations follow
    what is seen in training; until then values pass unrounded. The batch norms that fold keep their statistics.

    Args:
        preserve_sparsity: weights that are zero now are held at zero: exactly, after every update.
    Raises:
        ModelError: nothing is annotated, or a layer that is annotated is not supported.
    """
    structure = read_structure(model)
    if any(is_quantized(step) for step in structure.steps):
        raise _quantized_error(structure)
    chosen = [step for step in structure.steps if step.annotated]
    if not chosen:
        raise ModelError(
            "no layer is annotated",
            where=structure.name,
            hint="quantize_model(model) takes all layers; quantize_annotate_layer(layer) marks one",
        )
    return rebuild(model, structure, chosen, preserve_sparsity)


def quantize_model(model: Any, preserve_sparsity: bool = True) -> Any:
    """quantize_apply() with every layer annotated."""
    return quantize_apply(quantize_annotate_model(model), preserve_sparsity)


def strip_quantization(model: Any) -> Any:
    """The plain float model: the layers that there were before quantize_apply(), with the weights as they are now."""
    structure = read_structure(model)
    builder = Builder(model, structure)
    for step in structure.steps:
        layer = step.operation
        if isinstance(layer, FakeQuantize):
            builder.alias(step)
        elif isinstance(layer, QuantizedLayer):
            builder.chain(step, [part for part in (layer.layer, layer.norm, layer.activation) if part is not None])
        else:
            builder.chain(step, [layer])
    return builder.model()


def quantize_scope(*custom_objects: dict[str, Any]) -> Any:
    """A scope to load models in that are annotated or in training: keras.models.load_model() finds the classes here.

    They are registered where mcuprune.quantization is used anyway; further custom objects may be given as dicts.
    """
    known = dict(_CLASSES)
    for objects in custom_objects:
        known.update(objects)
    return keras.saving.custom_object_scope(known)


def rebuild(model: Any, structure: Structure, chosen: Sequence[Step], preserve_sparsity: bool) -> Any:
    """The model with new layers for the chosen steps, and copies of all others.

    Raises:
        ModelError: a chosen step is not supported.
    """
    groups, ranged, absorbed = _plan(structure, chosen)
    builder = Builder(model, structure)
    if any(_reads_input(structure, step) for step in chosen):
        for tensor in structure.inputs:
            builder.round(tensor, FakeQuantize(name="quantized_input"))
    for step in structure.steps:
        if id(step) in groups:
            builder.group(groups[id(step)], preserve_sparsity)
        elif id(step) not in absorbed:
            builder.chain(step, [step.operation])
            if id(step) in ranged:
                name = f"{step.operation.name}_range"
                builder.round(step.outputs[0], FakeQuantize(is_clamp(step.operation), name=name))
    return builder.model()


def _plan(structure: Structure, chosen: Sequence[Step]) -> tuple[dict[int, Group], set[int], set[int]]:
    """Groups by the id() of their weighted step; steps that get a range; steps that are part of a group."""
    check_precision(structure)
    groups = {id(step): group_of(structure, step) for step in chosen if isinstance(step.operation, WEIGHTED)}
    parts = [part for group in groups.values() for part in (group.norm, group.activation) if part is not None]
    absorbed = {id(part) for part in parts}
    ranged: set[int] = set()
    for step in chosen:
        if id(step) in absorbed:
            continue
        check_step(structure, step)
        last = range_step(structure, step)
        if last is not None:
            ranged.add(id(last))
    return groups, ranged, absorbed


def _reads_input(structure: Structure, step: Step) -> bool:
    """Whether a step reads an input of the model, with nothing before it that has a range."""
    for tensor in step.inputs:
        if tensor in structure.inputs:
            return True
        maker = next(s for s in structure.steps if tensor in s.outputs)
        if isinstance(maker.operation, SAME_RANGE) and _reads_input(structure, maker):
            return True
    return False


def _quantized_error(structure: Structure) -> ModelError:
    return ModelError(
        "the model is in quantization-aware training already",
        where=structure.name,
        hint="start from the float model, or from strip_quantization(model)",
    )
