"""What a Keras model computes, step by step, and which steps become one int8 operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from mcuprune.errors import ModelError
from mcuprune.quantization.fake_quant import FakeQuantize
from mcuprune.quantization.layers import QuantizeAnnotate, QuantizedLayer, activation_of, is_softmax

_L = keras.layers
WEIGHTED = (_L.Conv2D, _L.DepthwiseConv2D, _L.Dense)
"""Layers that become operators with int8 weights."""
RANGED = (_L.Add, _L.GlobalAveragePooling2D, _L.ReLU, _L.Activation)
"""Layers whose outputs have a range of their own."""
SAME_RANGE = (_L.AveragePooling2D, _L.MaxPooling2D, _L.Flatten, _L.Reshape, _L.ZeroPadding2D, _L.Dropout)
"""Layers whose outputs have the range of their input, in TFLite, too."""
SUPPORTED = (
    "Conv2D, DepthwiseConv2D and Dense, each with BatchNormalization and ReLU or ReLU6; Add, GlobalAveragePooling2D, "
    f"Softmax, {', '.join(kind.__name__ for kind in SAME_RANGE)}"
)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One call of a layer (or of a function of keras.ops). Tensors are told apart by id()."""

    operation: Any
    arguments: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    annotated: bool

    @property
    def kind(self) -> str:
        return type(self.operation).__name__


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """The steps of a model in order, nested models seen through; inputs and outputs by id().

    aliases: tensors of nested models, as the tensors outside that they stand for.
    """

    name: str
    steps: tuple[Step, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    aliases: dict[int, int]

    def consumers(self, tensor: int) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if tensor in step.inputs)

    def only_consumer(self, tensor: int) -> Step | None:
        """The one step that reads a tensor; None where others, or the user of the model, do, too."""
        steps = self.consumers(tensor)
        return steps[0] if len(steps) == 1 and tensor not in self.outputs else None


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """A step with weights, and the batch norm and the activation that become part of its operator."""

    weighted: Step
    norm: Step | None
    activation: Step | None

    @property
    def last(self) -> Step:
        return self.activation or self.norm or self.weighted


def read_structure(model: Any) -> Structure:
    """The steps of a Sequential or Functional model.

    Raises:
        ModelError: the model is subclassed, not built, or calls a nested model twice.
    """
    name = str(getattr(model, "name", type(model).__name__))
    if not _has_graph(model):
        raise ModelError(
            f"{type(model).__name__} is no Sequential or Functional model that is built",
            where=name,
            hint="call it once on a batch; write a subclassed model as keras.Model(inputs, outputs)",
        )
    aliases: dict[int, int] = {}
    steps: list[Step] = []
    _collect(model, name, aliases, steps)
    outputs = tuple(_resolve(id(t), aliases) for t in model.outputs)
    return Structure(name, tuple(steps), tuple(id(t) for t in model.inputs), outputs, aliases)


def group_of(structure: Structure, step: Step) -> Group:
    """A weighted step with what folds into it: a batch norm and then an activation that nothing else reads."""
    norm = activation = None
    if activation_of(step.operation) is None:
        follower = structure.only_consumer(step.outputs[0])
        if follower is not None and _folds(follower):
            norm = follower
            follower = structure.only_consumer(norm.outputs[0])
        if follower is not None and is_clamp(follower.operation) and not is_softmax(step.operation):
            activation = follower
    return Group(step, norm, activation)


def range_step(structure: Structure, step: Step) -> Step | None:
    """The step whose output gets the range of a step without weights: itself, or the ReLU that ends an Add.

    None where the range is another's, or there is one already.
    """
    follower = structure.only_consumer(step.outputs[0])
    if follower is not None and isinstance(step.operation, _L.Add) and is_clamp(follower.operation):
        return range_step(structure, follower)
    layer = step.operation
    if not isinstance(layer, RANGED) or (isinstance(layer, _L.Activation) and activation_of(layer) is None):
        return None
    return None if follower is not None and isinstance(follower.operation, FakeQuantize) else step


def check_step(structure: Structure, step: Step) -> None:
    """Refuse a step that cannot be computed as int8 will.

    Raises:
        ModelError: the kind of layer, or one of its settings, is not supported.
    """
    layer = step.operation
    fault = _fault(layer, step, structure)
    if fault:
        raise ModelError(
            f"layer '{layer.name}' ({step.kind}) cannot be trained for int8: {fault[0]}",
            where=structure.name,
            hint=fault[1],
        )


def check_precision(structure: Structure) -> None:
    """Refuse a model that computes in half precision: its casts would stay in the file, which int8 cannot have.

    Raises:
        ModelError: a layer does.
    """
    for step in structure.steps:
        dtype = getattr(step.operation, "compute_dtype", "float32")
        if dtype != "float32":
            raise ModelError(
                f"layer '{step.operation.name}' computes in {dtype}, training for int8 needs float32",
                where=structure.name,
                hint="keras.mixed_precision.set_global_policy('float32'), make it again, set_weights()",
            )


def _fault(layer: Any, step: Step, structure: Structure) -> tuple[str, str] | None:
    """What is wrong with a layer, and what to do."""
    others = "annotate only other layers, by quantize_annotate_layer()"
    if sum(other.operation is layer for other in structure.steps) > 1:
        return "it is called more than once", "give each place a layer of its own"
    if isinstance(layer, _L.BatchNormalization):
        hint = "put it between a Conv2D, DepthwiseConv2D or Dense without activation and the ReLU, over the last axis"
        return "it does not follow a layer that it folds into", hint
    if not isinstance(layer, (*WEIGHTED, *RANGED, *SAME_RANGE, _L.Softmax)) or isinstance(layer, _UNLIKE):
        if not isinstance(layer, keras.layers.Layer):
            return "it is a function, not a layer", "use the layer of that name: keras.layers.Add() for +"
        return "its kind is not supported", f"{others}; supported: {SUPPORTED}"
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return f"data_format is {layer.data_format}", "build the model with channels_last"
    if activation_of(layer) == "?":
        return "its activation is not supported", "use ReLU, ReLU6 or none; or " + others
    if getattr(layer, "groups", 1) != 1:
        return f"it has {layer.groups} groups", others
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        return "its kernel is quantized or has a LoRA part already", "merge it into a float kernel first"
    if isinstance(layer, _L.Dense) and _rank(step) != 2:
        return f"its input has {_rank(step)} dimensions", "put Flatten() before it"
    if is_softmax(layer) and not set(step.outputs) <= set(structure.outputs):
        return "softmax is not the end of the model", others
    return None


_UNLIKE = (_L.Conv2DTranspose, _L.SeparableConv2D)
"""Subclasses in some versions of Keras, which are not what their base is."""


def _folds(step: Step) -> bool:
    """Whether a step is a batch norm of the last axis."""
    layer = step.operation
    if not isinstance(layer, _L.BatchNormalization):
        return False
    axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
    return axis in (-1, _rank(step) - 1)


def _rank(step: Step) -> int:
    return len(step.arguments.keras_tensors[0].shape)


def is_clamp(layer: Any) -> bool:
    return isinstance(layer, (_L.ReLU, _L.Activation)) and activation_of(layer) in ("relu", "relu6")


def _has_graph(model: Any) -> bool:
    graph = getattr(model, "_functional", None) or model
    return bool(getattr(graph, "_nodes_by_depth", None))


def _collect(model: Any, name: str, aliases: dict[int, int], steps: list[Step]) -> None:
    """Append the steps of a model, nested ones in their place."""
    graph = getattr(model, "_functional", None) or model
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            operation = node.operation
            if isinstance(operation, _L.InputLayer):
                continue
            inputs = tuple(_resolve(id(t), aliases) for t in node.arguments.keras_tensors)
            if not _has_graph(operation):
                steps.append(_step(node, inputs))
                continue
            if any(id(t) in aliases for t in operation.inputs):
                raise ModelError(
                    f"the nested model '{operation.name}' is called more than once", where=name, hint="copy it"
                )
            aliases.update(zip((id(t) for t in operation.inputs), inputs, strict=True))
            _collect(operation, name, aliases, steps)
            inner = (_resolve(id(t), aliases) for t in operation.outputs)
            aliases.update(zip((id(t) for t in node.outputs), inner, strict=True))


def _step(node: Any, inputs: tuple[int, ...]) -> Step:
    operation = node.operation
    annotated = isinstance(operation, QuantizeAnnotate)
    inner = operation.layer if annotated else operation
    return Step(inner, node.arguments, inputs, tuple(id(t) for t in node.outputs), annotated)


def _resolve(tensor: int, aliases: dict[int, int]) -> int:
    while tensor in aliases:
        tensor = aliases[tensor]
    return tensor


Choice = Callable[[Step], bool]
"""Whether a step is to be quantized."""


def is_quantized(step: Step) -> bool:
    """Whether a step is of a model in quantization-aware training already."""
    return isinstance(step.operation, (QuantizedLayer, FakeQuantize))
