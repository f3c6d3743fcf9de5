"""Which weights of a Keras model can be pruned, their names, and the matrix that patterns lie on."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mcuprune.errors import ModelError, UsageError
from mcuprune.masks import (
    NM,
    Budget,
    Candidate,
    Channels,
    Goal,
    Pattern,
    Rule,
    assign_goals,
    check_blocks,
    check_columns,
    zero_count,
)

Array = NDArray[Any]

_OUTPUT_LAST, _TRANSPOSED, _DEPTHWISE, _ROWS, _EINSUM = "DHWIO", "DHWOI", "HWCM", "OI", ""  # the last axes of these

_L = keras.layers
_KERNELS: tuple[tuple[tuple[type, ...], tuple[tuple[str, str], ...]], ...] = (
    ((_L.SeparableConv1D, _L.SeparableConv2D), (("depthwise_kernel", _DEPTHWISE), ("pointwise_kernel", _OUTPUT_LAST))),
    ((_L.DepthwiseConv1D, _L.DepthwiseConv2D), (("kernel", _DEPTHWISE),)),
    ((_L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose), (("kernel", _TRANSPOSED),)),
    ((_L.Conv1D, _L.Conv2D, _L.Conv3D, _L.Dense), (("kernel", _OUTPUT_LAST),)),
    ((_L.EinsumDense,), (("kernel", _EINSUM),)),
    ((_L.Embedding,), (("_embeddings", _ROWS),)),
    ((_L.LSTMCell, _L.GRUCell, _L.SimpleRNNCell), (("kernel", _OUTPUT_LAST), ("recurrent_kernel", _OUTPUT_LAST))),
)
"""Layers whose weights are known, subclasses of a class after it: their variables, and the meaning of each's axes."""

_SCALES = (_L.PReLU, _L.LayerNormalization, _L.SpectralNormalization)
"""Layers of Keras with weights of several axes that are no kernels."""


class PrunableLayer:
    """A layer of one's own that says which of its weights can be pruned; a class that has the method need not inherit.

    The last axis of such a weight counts outputs, the others are the weights of one output.
    """

    def get_prunable_weights(self) -> list[Any]:
        """The variables, once the layer is built."""
        raise NotImplementedError(f"{type(self).__name__} has no get_prunable_weights()")


@dataclass(frozen=True, slots=True, eq=False)
class PrunableWeight:
    """A kernel of a layer. index counts them in the model's order; `variable` is the Keras variable.

    The matrix is that of masks/patterns.py: rows run along output_axes, columns along the other axes in their order, so
    that kernels HWIO become (O, H*W*I), depthwise HWCM (C*M, H*W), dense IO (O, I), embeddings (tokens, dimensions).
    """

    index: int
    name: str
    kind: str
    variable: Any
    layout: str
    output_axes: tuple[int, ...]

    @property
    def depthwise(self) -> bool:
        """Whether each row sees one input channel alone."""
        return self.layout.endswith("CM")

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(int(n) for n in self.variable.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """(rows, cols) of rows()."""
        outputs = math.prod(self.shape[axis] for axis in self.output_axes)
        return outputs, self.size // max(outputs, 1)

    @property
    def pointwise(self) -> bool:
        """Whether the columns of the matrix are the input channels."""
        return not self.depthwise and sum(n > 1 for n in (self.shape[axis] for axis in self._input_axes)) <= 1

    @property
    def _input_axes(self) -> tuple[int, ...]:
        return tuple(axis for axis in range(len(self.shape)) if axis not in self.output_axes)

    def to_rows(self, kernel: Array) -> Array:
        """A kernel, or anything of its shape, as the matrix (rows, cols); a view where the layout allows."""
        if self.output_axes == (len(self.shape) - 1,):
            return kernel.reshape(-1, self.shape[-1]).T
        return kernel.transpose(*self.output_axes, *self._input_axes).reshape(self.matrix_shape)

    def to_kernel(self, rows: Array) -> Array:
        """The inverse of to_rows()."""
        order = (*self.output_axes, *self._input_axes)
        split = rows.reshape([self.shape[axis] for axis in order])
        return np.ascontiguousarray(split.transpose(np.argsort(order)))

    def value(self) -> Array:
        """The weights as they are now, in the variable's own shape and order; not to be written to.

        No copy with TensorFlow: the tensor that was read keeps its values when the variable gets others.
        """
        if keras.backend.backend() == "tensorflow":
            with contextlib.suppress(TypeError, ValueError, BufferError):  # such as bfloat16, which buffers do not know
                return np.asarray(memoryview(self.variable.value.read_value()))
        return np.asarray(keras.ops.convert_to_numpy(self.variable))

    def rows(self) -> Array:
        """The weights as they are now, (rows, cols)."""
        return self.to_rows(self.value())

    def describe(self, source: str) -> str:
        """The weight for errors."""
        return f"{source}, layer {self.index} {self.kind} '{self.name}', kernel {self.layout} {self.shape}"


def prunable_weights(model: Any) -> tuple[PrunableWeight, ...]:
    """The kernels of a model or a layer, nested ones too, each variable once, in the model's order.

    Raises:
        ModelError: it is no model or layer, not built, or has no such weight.
    """
    name = getattr(model, "name", type(model).__name__)
    if not isinstance(model, keras.Layer):
        raise ModelError(f"a {name} is no Keras model or layer", hint="pass one model, such as a keras.Sequential")
    if not model.built or not model.weights:
        raise ModelError(f"model '{name}' has no weights yet", hint="build it: call it once on a batch of samples")
    found = known_weights(model)
    if not found:
        others = ", ".join(other_kernels(model)) or "none of its layers has weights of two or more dimensions"
        raise ModelError(
            f"model '{name}' has no weights that can be pruned",
            where=others,
            hint="convolutions, dense, embedding and recurrent layers can be, and layers with get_prunable_weights()",
        )
    return found


def known_weights(model: Any) -> tuple[PrunableWeight, ...]:
    """prunable_weights() without its errors: none where there is none."""
    found: list[tuple[Any, str, Any, str]] = []
    seen: set[int] = set()
    for layer in leaves(model):
        kernels = [entry for entry in kernels_of(layer) if isinstance(entry[1], keras.Variable)]
        for attribute, variable, layout in kernels:
            if id(variable) not in seen:
                seen.add(id(variable))
                name = layer.name if len(kernels) == 1 else f"{layer.name}/{attribute}"
                found.append((layer, name, variable, layout))
    names = _names([(name, variable.path) for _, name, variable, _ in found])
    return tuple(
        PrunableWeight(i, names[i], type(layer).__name__, variable, *_axes(layer, layout, len(variable.shape)))
        for i, (layer, _, variable, layout) in enumerate(found)
    )


def kernels_of(layer: Any) -> Iterator[tuple[str, Any, str]]:
    """(name, variable or None where not built, layout) of a layer's own kernels; layers inside it are not looked at."""
    known = next((kernels for classes, kernels in _KERNELS if isinstance(layer, classes)), ())
    found = [(attribute.lstrip("_"), getattr(layer, attribute, None), layout) for attribute, layout in known]
    if not (isinstance(layer, keras.Layer) and layer.built and hasattr(layer, "get_prunable_weights")):
        yield from found
        return
    usual = {id(kernel[1]): kernel for kernel in found}
    for number, variable in enumerate(layer.get_prunable_weights()):
        yield usual.get(id(variable), (getattr(variable, "name", str(number)), variable, _OUTPUT_LAST))


def other_kernels(model: Any) -> tuple[str, ...]:
    """`name (Class)` of the layers whose kernels are left dense because nothing here prunes their kind."""
    return tuple(f"{layer.name} ({type(layer).__name__})" for layer in leaves(model) if has_other_kernels(layer))


def has_other_kernels(layer: Any) -> bool:
    """Whether the layer itself, without those inside it, has such kernels."""
    known = {id(getattr(layer, "bias", None)), *(id(variable) for _, variable, _ in kernels_of(layer))}
    own = [v for v in getattr(layer, "_trainable_variables", []) if len(v.shape) > 1 and id(v) not in known]
    return bool(own) and not isinstance(layer, _SCALES)


def left_dense(model: Any) -> tuple[str, ...]:
    """A note for reports that names other_kernels(); none where there are none."""
    others = other_kernels(model)
    return (f"left dense, not prunable: {', '.join(others)}",) if others else ()


def assign_weight_goals(
    weights: Sequence[PrunableWeight],
    sparsity: float | None,
    pattern: Pattern,
    rules: Sequence[Rule],
    source: str,
    budget: Budget | None = None,
) -> tuple[Goal, ...]:
    """The goal of each weight; depthwise kernels and the classifier (the last layer) are left unless a rule names them.

    A global budget looks at the weights as they are now.

    Raises:
        UsageError: as assign_goals(), or a pattern that does not fit a weight.
    """
    candidates = [
        Candidate(weight.index, weight.name, why_left(weight, weights), weight.shape, weight.matrix_shape[0])
        for weight in weights
    ]
    goals = assign_goals(
        candidates, sparsity, pattern, rules, source, budget=budget, weights=lambda i: weights[i].rows()
    )
    for weight, goal in zip(weights, goals, strict=True):
        if goal.pattern is not None:
            check_fit(weight, goal.pattern, source)
            try:
                check_blocks(goal.pattern, *weight.matrix_shape, goal.sparsity)
            except UsageError as error:
                error.where = weight.describe(source)
                raise
    goals = tuple(_one_channel_stays(weight, goal) for weight, goal in zip(weights, goals, strict=True))
    if all(goal.pattern is None for goal in goals):
        left = ", ".join(f"{weight.name} ({goal.note})" for weight, goal in zip(weights, goals, strict=True))
        raise UsageError(
            f"no layer would be pruned: {left}", where=source, hint="name one: rules=['NAME=0.8'], --layer 'NAME=0.8'"
        )
    return goals


def _one_channel_stays(weight: PrunableWeight, goal: Goal) -> Goal:
    """The goal, but for `channels` where it would leave none: a layer without any would say nothing."""
    rows = weight.matrix_shape[0]
    if not isinstance(goal.pattern, Channels) or zero_count(rows, goal.sparsity) < rows:
        return goal
    return replace(goal, sparsity=(rows - 1) / rows, note="one channel stays")


def check_fit(weight: PrunableWeight, pattern: Pattern, source: str) -> None:
    """N:M groups must divide a row; the error says which layer, and what would help.

    Raises:
        UsageError: they do not.
    """
    cols = weight.matrix_shape[1]
    try:
        check_columns(pattern, cols, "input channels" if weight.pointwise else "weights of an output channel")
    except UsageError as error:
        assert isinstance(pattern, NM)
        error.where = weight.describe(source)
        error.hint = f"rule (--layer) {weight.name}=0 leaves it dense" + (
            f", or widen the layer to {-(-cols // pattern.m) * pattern.m} channels" if weight.pointwise else ""
        )
        raise


def leaves(model: Any) -> list[Any]:
    """A model or layer and all layers below it, depth first, each once."""
    found: dict[int, Any] = {}
    _collect(model, found)
    return list(found.values())


def _collect(layer: Any, found: dict[int, Any]) -> None:
    if id(layer) in found:
        return
    found[id(layer)] = layer
    for below in layer.layers if isinstance(layer, keras.Model) else layer._layers:
        _collect(below, found)


def _axes(layer: Any, layout: str, rank: int) -> tuple[str, tuple[int, ...]]:
    """A letter for each axis of a kernel, and the axes that count outputs."""
    if layout == _EINSUM:
        inputs, rest = layer.equation.replace(" ", "").split(",")
        kernel, output = rest.split("->")
        outputs = "".join(label for label in kernel if label in output and label not in inputs)
        return kernel, tuple(i for i, label in enumerate(kernel) if label in outputs)
    letters = layout[-rank:]
    return letters, tuple(i for i, letter in enumerate(letters) if letter in ("CM" if layout == _DEPTHWISE else "O"))


def why_left(weight: PrunableWeight, weights: Sequence[PrunableWeight]) -> str:
    """Why a weight among these stays dense unless a rule names it; empty where it does not."""
    if weight.depthwise:
        return "depthwise"
    return "classifier" if weight is weights[-1] else ""


def _names(candidates: Sequence[tuple[str, str]]) -> list[str]:
    """The names; where several weights have one name, the path of the variable, without `/kernel`; then a number."""
    counts = Counter(name for name, _ in candidates)
    taken: set[str] = set()
    names = []
    for name, path in candidates:
        chosen = base = name if counts[name] == 1 else path.removesuffix("/kernel") or name
        number = 2
        while chosen in taken:
            chosen, number = f"{base}_{number}", number + 1
        taken.add(chosen)
        names.append(chosen)
    return names
