"""Which weights of a Keras model can be pruned, their names, and the matrix that patterns lie on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mcuprune.errors import ModelError, UsageError
from mcuprune.masks import NM, Candidate, Goal, Pattern, Rule, assign_goals, check_columns

Array = NDArray[Any]

_LAYERS = keras.layers
_OUTPUT_LAST = (_LAYERS.Conv1D, _LAYERS.Conv2D, _LAYERS.Conv3D, _LAYERS.Dense)  # kernels (..., I, O)
_DEPTHWISE = (_LAYERS.DepthwiseConv1D, _LAYERS.DepthwiseConv2D)  # kernels (..., C, multiplier)


@dataclass(frozen=True, slots=True, eq=False)
class PrunableLayer:
    """A layer with weights. index counts such layers in the model's order; `variable` is the kernel.

    The matrix is that of masks/patterns.py: kernels HWIO become (O, H*W*I), depthwise HWCM (C*M, H*W), dense (O, I).
    """

    index: int
    name: str
    kind: str
    variable: Any
    depthwise: bool

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(int(n) for n in self.variable.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def pointwise(self) -> bool:
        """Whether the columns of the matrix are the input channels."""
        return not self.depthwise and all(n == 1 for n in self.shape[:-2])

    def to_rows(self, kernel: Array) -> Array:
        """A kernel, or anything of its shape, as the matrix (rows, cols)."""
        outputs = self.shape[-2] * self.shape[-1] if self.depthwise else self.shape[-1]
        return kernel.reshape(-1, outputs).T

    def to_kernel(self, rows: Array) -> Array:
        """The inverse of to_rows()."""
        return np.ascontiguousarray(rows.T).reshape(self.shape)

    def rows(self) -> Array:
        """The weights as they are now, float (rows, cols)."""
        return self.to_rows(keras.ops.convert_to_numpy(self.variable))

    def describe(self, source: str) -> str:
        """The layer for errors."""
        layout = "HWCM" if self.depthwise else "DHWIO"[-len(self.shape) :]
        return f"{source}, layer {self.index} {self.kind} '{self.name}', kernel {layout} {self.shape}"


def prunable_layers(model: Any) -> tuple[PrunableLayer, ...]:
    """The convolutions and dense layers of a model, nested ones too, each kernel once, in the model's order.

    Raises:
        ModelError: the model is not built, or has no such layer.
    """
    name = getattr(model, "name", type(model).__name__)
    if not model.built or not model.weights:
        raise ModelError(f"model '{name}' has no weights yet", hint="build it: call it once on a batch of samples")
    found: list[tuple[Any, Any, bool]] = []
    seen: set[int] = set()
    for layer in _leaves(model):
        depthwise = isinstance(layer, _DEPTHWISE)
        if not depthwise and not isinstance(layer, _OUTPUT_LAST):
            continue
        kernel = layer.kernel
        if not isinstance(kernel, keras.Variable) or id(kernel) in seen:
            continue
        seen.add(id(kernel))
        found.append((layer, kernel, depthwise))
    if not found:
        raise ModelError(f"model '{name}' has no layer that can be pruned", hint="Conv1D, Conv2D, Conv3D and Dense can")
    names = _names([(layer.name, kernel.path.rpartition("/")[0]) for layer, kernel, _ in found])
    return tuple(
        PrunableLayer(i, names[i], type(layer).__name__, kernel, depthwise)
        for i, (layer, kernel, depthwise) in enumerate(found)
    )


def other_kernels(model: Any) -> tuple[str, ...]:
    """`name (Class)` of the layers whose kernels are left dense because nothing here prunes their kind."""
    known = (*_OUTPUT_LAST, *_DEPTHWISE)
    others = []
    for layer in _leaves(model):
        own = [v for v in getattr(layer, "_trainable_variables", []) if len(v.shape) > 1]
        if own and not isinstance(layer, known):
            others.append(f"{layer.name} ({type(layer).__name__})")
    return tuple(others)


def assign_layer_goals(
    layers: Sequence[PrunableLayer],
    sparsity: float | None,
    pattern: Pattern,
    rules: Sequence[Rule],
    source: str,
) -> tuple[Goal, ...]:
    """The goal of each layer; depthwise layers and the classifier (the last layer) are left unless a rule names them.

    Raises:
        UsageError: as assign_goals(), or a pattern that does not fit a layer.
    """
    candidates = [Candidate(layer.index, layer.name, _left(layer, layer is layers[-1])) for layer in layers]
    goals = assign_goals(candidates, sparsity, pattern, rules, source)
    for layer, goal in zip(layers, goals, strict=True):
        if goal.pattern is not None:
            _check_fit(layer, goal.pattern, source)
    if all(goal.pattern is None for goal in goals):
        left = ", ".join(f"{layer.name} ({goal.note})" for layer, goal in zip(layers, goals, strict=True))
        raise UsageError(f"no layer would be pruned: {left}", where=source, hint="name one: --layer 'GLOB=0.8'")
    return goals


def _leaves(model: Any) -> list[Any]:
    """All layers below a model in their order, depth first."""
    found: list[Any] = []
    for layer in getattr(model, "layers", None) or model._layers:
        found.append(layer)
        if layer._layers or getattr(layer, "layers", None):
            found.extend(_leaves(layer))
    return list({id(layer): layer for layer in found}.values())


def _left(layer: PrunableLayer, last: bool) -> str:
    if layer.depthwise:
        return "depthwise"
    return "classifier" if last else ""


def _names(candidates: Sequence[tuple[str, str]]) -> list[str]:
    """The layers' names; where several have one name, the path of their kernel; then a number."""
    counts = Counter(name for name, _ in candidates)
    taken: set[str] = set()
    names = []
    for name, path in candidates:
        chosen = base = name if counts[name] == 1 else path or name
        number = 2
        while chosen in taken:
            chosen, number = f"{base}_{number}", number + 1
        taken.add(chosen)
        names.append(chosen)
    return names


def _check_fit(layer: PrunableLayer, pattern: Pattern, source: str) -> None:
    """N:M groups must divide a row; the error says which layer, and what would help."""
    cols = layer.size // (layer.shape[-1] * (layer.shape[-2] if layer.depthwise else 1))
    try:
        check_columns(pattern, cols, "input channels" if layer.pointwise else "weights of an output channel")
    except UsageError as error:
        assert isinstance(pattern, NM)
        error.where = layer.describe(source)
        error.hint = f"--layer {layer.name}=0 leaves it dense" + (
            f", or widen the layer to {-(-cols // pattern.m) * pattern.m} channels" if layer.pointwise else ""
        )
        raise
