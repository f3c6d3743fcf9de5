"""From a float Keras model to one that trains as int8 will compute, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from mcuprune.errors import ModelError
from mcuprune.quantization.fake_quant import FakeQuantize
from mcuprune.quantization.layers import KeepZeros, QuantizeAnnotate, QuantizedLayer
from mcuprune.quantization.structure import (
    SAME_RANGE,
    WEIGHTED,
    Group,
    Step,
    Structure,
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
    builder = _Builder(model, structure)
    for step in structure.steps:
        if is_quantized(step):
            raise _quantized_error(structure)
        builder.call(step, step.operation if step.annotated else quantize_annotate_layer(step.operation))
    _plan(structure, structure.steps)  # refuses here already what quantize_apply() would
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
    builder = _Builder(model, structure)
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
    builder = _Builder(model, structure)
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


class _Builder:
    """Builds a Functional model along the steps of another one."""

    def __init__(self, model: Any, structure: Structure) -> None:
        self.structure = structure
        self.name = structure.name
        self.inputs = [keras.Input(batch_shape=t.shape, dtype=t.dtype, name=t.name) for t in model.inputs]
        self.values: dict[int, Any] = dict(zip(structure.inputs, self.inputs, strict=True))
        self.names: set[str] = {t.name for t in self.inputs}

    def model(self) -> Any:
        outputs = [self.values[tensor] for tensor in self.structure.outputs]
        one = len(outputs) == 1
        return keras.Model(
            self.inputs[0] if len(self.inputs) == 1 else self.inputs, outputs[0] if one else outputs, name=self.name
        )

    def alias(self, step: Step) -> None:
        """The step computes nothing."""
        self.values[step.outputs[0]] = self.values[step.inputs[0]]

    def round(self, tensor: int, layer: Any) -> None:
        """Put a layer behind a tensor."""
        self.values[tensor] = self._unique(layer)(self.values[tensor])

    def call(self, step: Step, operation: Any) -> None:
        """The step with this operation, its arguments as they were."""
        found = {id(t): self.values[i] for t, i in zip(step.arguments.keras_tensors, step.inputs, strict=True)}
        args, kwargs = step.arguments.fill_in(found)
        outputs = keras.tree.flatten(operation(*args, **kwargs))
        self.values.update(zip(step.outputs, outputs, strict=True))

    def chain(self, step: Step, layers: Sequence[Any]) -> None:
        """The step as copies of these layers, one behind the other."""
        first, *others = (self._copy(layer) for layer in layers)
        self.call(step, first)
        for layer in others:
            self.values[step.outputs[0]] = layer(self.values[step.outputs[0]])
        for layer, copy in zip(layers, (first, *others), strict=True):
            _copy_weights(layer, copy)

    def group(self, group: Group, preserve_sparsity: bool) -> None:
        """The quantized layer of a group."""
        steps = (group.weighted, group.norm, group.activation)
        parts = [None if step is None else step.operation for step in steps]
        layer, norm, activation = copies = [None if part is None else _float32_copy(part) for part in parts]
        kernel = keras.ops.convert_to_numpy(group.weighted.operation.kernel)
        held = bool(preserve_sparsity and (kernel == 0).any())
        quantized = QuantizedLayer(layer, norm, activation, held, name=group.weighted.operation.name)
        self.call(group.weighted, self._unique(quantized))
        for part, copy in zip(parts, copies, strict=True):
            if part is not None:
                _copy_weights(part, copy)
        if held:
            quantized.hold_zeros()
        self.values[group.last.outputs[0]] = self.values[group.weighted.outputs[0]]

    def _copy(self, operation: Any) -> Any:
        if not isinstance(operation, keras.layers.Layer):
            return operation
        return self._unique(operation.__class__.from_config(operation.get_config()))

    def _unique(self, layer: Any) -> Any:
        """The layer under a name that no other one has; names of nested models may be equal."""
        name, number = layer.name, 2
        while layer.name in self.names:
            layer.name, number = f"{name}_{number}", number + 1
        self.names.add(layer.name)
        return layer


def _float32_copy(layer: Any) -> Any:
    return layer.__class__.from_config({**layer.get_config(), "dtype": "float32"})


def _copy_weights(layer: Any, copy: Any) -> None:
    for old, new in zip(getattr(layer, "weights", ()), getattr(copy, "weights", ()), strict=True):
        new.assign(old)
