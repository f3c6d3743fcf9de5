"""Builds a Functional model along the steps of another one, with other layers in their places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from mcuprune.quantization.layers import QuantizedLayer
from mcuprune.quantization.structure import Group, Step, Structure


class Builder:
    """Builds a Functional model along the steps of another one."""

    def __init__(self, model: Any, structure: Structure) -> None:
        self.structure = structure
        self.name = structure.name
        self.inputs = [keras.Input(batch_shape=t.shape, dtype=t.dtype, name=t.name) for t in model.inputs]
        self.values: dict[int, Any] = dict(zip(structure.inputs, self.inputs, strict=True))
        self.names: set[str] = {t.name for t in self.inputs}

    def model(self) -> Any:
        """The model that was built."""
        outputs = [self.values[tensor] for tensor in self.structure.outputs]
        return self.model_of(outputs[0] if len(outputs) == 1 else outputs)

    def model_of(self, outputs: Any) -> Any:
        """The part of it that computes these tensors."""
        return keras.Model(self.inputs[0] if len(self.inputs) == 1 else self.inputs, outputs, name=self.name)

    def alias(self, step: Step) -> None:
        """The step computes nothing."""
        self.values[step.outputs[0]] = self.values[step.inputs[0]]

    def round(self, tensor: int, layer: Any) -> None:
        """Put a layer behind a tensor."""
        self.values[tensor] = self.unique(layer)(self.values[tensor])

    def call(self, step: Step, operation: Any) -> None:
        """The step with this operation, its arguments as they were."""
        found = {id(t): self.values[i] for t, i in zip(step.arguments.keras_tensors, step.inputs, strict=True)}
        args, kwargs = step.arguments.fill_in(found)
        outputs = keras.tree.flatten(operation(*args, **kwargs))
        self.values.update(zip(step.outputs, outputs, strict=True))

    def chain(self, step: Step, layers: Sequence[Any]) -> None:
        """The step as copies of these layers, one behind the other."""
        first, *others = (self.copy(layer) for layer in layers)
        self.call(step, first)
        for layer in others:
            self.values[step.outputs[0]] = layer(self.values[step.outputs[0]])
        for layer, copy in zip(layers, (first, *others), strict=True):
            _copy_weights(layer, copy)

    def replace(self, step: Step, layer: Any) -> None:
        """The step as this layer, with the weights that it had."""
        self.call(step, self.unique(layer))
        _copy_weights(step.operation, layer)

    def group(self, group: Group, preserve_sparsity: bool) -> None:
        """The quantized layer of a group."""
        steps = (group.weighted, group.norm, group.activation)
        parts = [None if step is None else step.operation for step in steps]
        layer, norm, activation = copies = [None if part is None else _float32_copy(part) for part in parts]
        kernel = keras.ops.convert_to_numpy(group.weighted.operation.kernel)
        held = bool(preserve_sparsity and (kernel == 0).any())
        quantized = self.unique(QuantizedLayer(layer, norm, activation, held, name=group.weighted.operation.name))
        layer.name = quantized.name  # type: ignore[union-attr]
        self.call(group.weighted, quantized)
        for part, copy in zip(parts, copies, strict=True):
            if part is not None:
                _copy_weights(part, copy)
        if held:
            quantized.hold_zeros()
        self.values[group.last.outputs[0]] = self.values[group.weighted.outputs[0]]

    def copy(self, operation: Any) -> Any:
        """A new layer like this one; functions of keras.ops as they are."""
        if not isinstance(operation, keras.layers.Layer):
            return operation
        return self.unique(operation.__class__.from_config(operation.get_config()))

    def unique(self, layer: Any) -> Any:
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
