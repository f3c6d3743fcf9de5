"""Small models of one operator or a few, and what is proven of each: files in families/ make them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.importers.tflite import import_bytes
from mcuprune.ir import interpreter
from mcuprune.ir.graph import DType, Graph, Tensor, file_layers
from mcuprune.kernels.lowering import lower
from mcuprune.passes.passes import run_passes
from mcuprune.tflite.reference import ReferenceInterpreter
from tests.kernels.layers import Layer
from tests.tflite_builder import Builder

Array = npt.NDArray[Any]
SCALES = (1e-5, 3.1e-4, 0.0078125, 0.1, 1.0, 7.3, 1e5)
"""Of activations: ten orders of magnitude, powers of two among them."""
ZERO_POINTS = (-128, -1, 0, 37, 127)


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A model and its inputs, one array for each model input in each sample.

    stored: the output of each sample where LiteRT cannot run the model; tests/grid/stored/ says what gave it.
    """

    name: str
    content: bytes
    samples: tuple[tuple[Array, ...], ...]
    stored: tuple[Array, ...] | None = None


def case(name: str, model: Builder, outputs: Sequence[int], seed: int = 0, samples: int = 2) -> Case:
    """A model with random inputs, one at the ends of the range among them."""
    content = model.build(outputs)
    graph = import_bytes(content, name)
    rng = np.random.default_rng(seed)
    inputs = [tuple(random_input(rng, graph.tensor(i), k == 0) for i in graph.inputs) for k in range(samples)]
    return Case(name, content, tuple(inputs))


def random_input(rng: np.random.Generator, tensor: Tensor, ends: bool = False) -> Array:
    """Random values of a tensor's type; ends: the smallest and the largest only."""
    if tensor.dtype is DType.FLOAT32:
        return (rng.standard_normal(tensor.shape) * (1e3 if ends else 3)).astype(np.float32)
    if tensor.dtype is DType.BOOL:
        return rng.random(tensor.shape) < 0.5
    low, high = tensor.dtype.limits
    if ends:
        return rng.choice(np.array([low, high], tensor.dtype.numpy), tensor.shape)
    return rng.integers(low, high, tensor.shape, tensor.dtype.numpy, endpoint=True)


def differences(case: Case, reference: ReferenceInterpreter | None) -> list[str]:
    """Layers of the graph, and of what the passes make of it, that differ from the reference's.

    Samples are calls in a row where the model keeps state.
    """
    graph = import_bytes(case.content, case.name)
    found = []
    for told, rewritten in (("", graph), (" after passes", run_passes(graph))):
        layers, of_file = [op.outputs[0] for op in rewritten.ops], file_layers(rewritten)
        if reference is not None and case.stored is None:
            reference.load(case.content, case.name, of_file)
        state: Sequence[Array] = interpreter.initial_state(rewritten)
        for number, sample in enumerate(case.samples):
            ours, state = interpreter.step(rewritten, sample, state)
            if reference is not None and case.stored is None:
                whole = reference.run_layers(sample, case.samples[:number] if rewritten.states else ())
                pairs = zip(layers, of_file, strict=True)
                theirs = {i: whole[j] if i == j else whole[j].reshape(ours[i].shape) for i, j in pairs}
            else:
                assert case.stored is not None
                theirs = {layers[-1]: case.stored[number]}
            found += [
                f"{case.name}{told}, sample {number}, {op.kind}: {_first_difference(ours[i], theirs[i])}"
                for op, i in zip(rewritten.ops, layers, strict=True)
                if i in theirs and _bytes_of(ours[i]) != _bytes_of(theirs[i])
            ]
    return found


def layers_of(case: Case) -> Iterator[Layer]:
    """The layers of a case's model that kernels serve, with inputs and outputs out of the interpreter."""
    graph = run_passes(import_bytes(case.content, case.name))
    state: Sequence[Array] = interpreter.initial_state(graph)
    for number, sample in enumerate(case.samples):
        values = dict(zip(graph.inputs, sample, strict=True))
        values |= {kept.read: value for kept, value in zip(graph.states, state, strict=True)}
        results, state = interpreter.step(graph, sample, state)
        values |= results
        for op in graph.ops:
            params = lower(graph, op)
            if params is not None:
                inputs = tuple(_value(graph, values, i) for i in params.inputs)
                kept = tuple((values[s], values[o]) for s, o in zip(params.states, op.outputs[1:], strict=True))
                yield Layer(f"{case.name}_{number}_{op.name}", params, inputs, values[op.outputs[0]], kept)


def _value(graph: Graph, values: dict[int, Array], tensor: int) -> Array:
    constant = graph.tensor(tensor).data
    return values[tensor] if constant is None else constant


def _bytes_of(array: Array) -> tuple[str, tuple[int, ...], bytes]:
    return array.dtype.name, array.shape, array.tobytes()


def _first_difference(ours: Array, theirs: Array) -> str:
    if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
        return f"{ours.dtype} {ours.shape}, reference {theirs.dtype} {theirs.shape}"
    places = np.argwhere(ours != theirs)
    if not len(places):
        return "NaN or signed zeros differ"
    at = tuple(int(n) for n in places[0])
    return f"{len(places)} of {ours.size} differ, first {at}: got {ours[at]}, reference {theirs[at]}"
