"""Sequential and functional models as graphs: how their layers follow each other, and the same of other layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import keras


def is_graph(layer: Any) -> bool:
    """Whether it is a Sequential or functional model of Keras's own class, which can be made again of other layers."""
    if not isinstance(layer, keras.Model) or not type(layer).__module__.startswith("keras."):
        return False
    return isinstance(layer, keras.Sequential) or hasattr(layer, "operations")


def clone(model: Any, change: Callable[[Any], Any]) -> Any:
    """The model again, of changed layers, not compiled."""
    compiled, model.compiled = model.compiled, False
    try:
        inputs = None if isinstance(model, keras.Sequential) else keras.tree.map_structure(_input_like, model.input)
        return keras.models.clone_model(model, input_tensors=inputs, clone_function=change)
    finally:
        model.compiled = compiled


def _input_like(tensor: Any) -> Any:
    """A new input with the name of the old one's layer, which clone_model() would change."""
    layer = tensor._keras_history.operation
    return keras.Input(
        batch_shape=tensor.shape, dtype=tensor.dtype, sparse=tensor.sparse, name=layer.name, optional=layer.optional
    )


class Edges:
    """Which operation's output goes into which, models inside the model unfolded; inputs and outputs are its ends."""

    def __init__(self, model: Any) -> None:
        self._before: dict[Any, set[Any]] = {}
        self._after: dict[Any, set[Any]] = {}
        self._fed: dict[int, list[Any]] = {}  # id of an inner model's input: the tensors that go into it
        model = getattr(model, "_functional", model)  # of a Sequential
        self._take(model)
        self.inputs = [operation for tensor in model.inputs for operation in self._sources(tensor)]
        self.outputs = [operation for tensor in model.outputs for operation in self._sources(tensor)]

    def consumers(self, operation: Any) -> set[Any]:
        return self._after.get(operation, set())

    def producers(self, operation: Any) -> set[Any]:
        return self._before.get(operation, set())

    def search(
        self, start: Iterable[Any], found: Callable[[Any], bool], following: Callable[[Any], set[Any]]
    ) -> set[Any]:
        """The first operation on each way from the start for which found() is true; none if one way lacks it."""
        todo = list(start)
        seen, hits = set(todo), set()
        while todo:
            operation = todo.pop()
            if found(operation):
                hits.add(operation)
                continue
            after = following(operation)
            if not after:
                return set()
            todo += after - seen
            seen |= after
        return hits

    def _take(self, model: Any) -> None:
        todo, seen = list(model.outputs), set()
        while todo:
            operation, index, _ = todo.pop()._keras_history
            node = operation._inbound_nodes[index]
            if id(node) in seen:
                continue
            seen.add(id(node))
            todo += node.input_tensors
            if is_graph(operation):
                inner = getattr(operation, "_functional", operation)
                for tensor, outer in zip(inner.inputs, node.input_tensors, strict=True):
                    self._fed.setdefault(id(tensor), []).append(outer)
                self._take(inner)
                continue
            for source in (source for tensor in node.input_tensors for source in self._sources(tensor)):
                self._before.setdefault(operation, set()).add(source)
                self._after.setdefault(source, set()).add(operation)

    def _sources(self, tensor: Any) -> list[Any]:
        if id(tensor) in self._fed:
            return [source for outer in self._fed[id(tensor)] for source in self._sources(outer)]
        operation, _, number = tensor._keras_history
        if is_graph(operation):
            return self._sources(getattr(operation, "_functional", operation).outputs[number])
        return [operation]
