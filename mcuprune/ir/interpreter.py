"""The numpy interpreter: what every operator means, bit for bit as LiteRT's reference kernels (BUILTIN_REF).

docs/numerics.md states the same in integers. Kernels in C are tested against this module, and it against LiteRT.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.errors import DataError
from mcuprune.ir.graph import Graph, Op, Tensor
from mcuprune.ir.operators import OPERATORS

Array = npt.NDArray[Any]


def check_input(tensor: Tensor, value: Array) -> Array:
    """A model input, checked.

    Raises:
        DataError: shape or dtype differ from the model's.
    """
    array = np.asarray(value)
    if array.shape != tensor.shape or array.dtype != tensor.dtype.numpy:
        raise DataError(
            f"input '{tensor.name}' is {tensor.dtype.value} {tensor.shape}, got {array.dtype} {array.shape}",
        )
    return array


def run(graph: Graph, inputs: Sequence[Array]) -> dict[int, Array]:
    """Run a model once, from its initial state. Arguments and results as of step()."""
    return step(graph, inputs, initial_state(graph))[0]


def initial_state(graph: Graph) -> tuple[Array, ...]:
    """What a model keeps, before the first call: one array for each of graph.states."""
    return tuple(state.initial for state in graph.states)


def step(graph: Graph, inputs: Sequence[Array], state: Sequence[Array]) -> tuple[dict[int, Array], tuple[Array, ...]]:
    """Run a model once.

    Args:
        inputs: one array for each of graph.inputs, of its shape and dtype.
        state: one array for each of graph.states.
    Returns:
        Output arrays of all operators by tensor index, in order of execution; and the state after the call.
    Raises:
        DataError: the inputs do not fit the model.
    """
    if len(inputs) != len(graph.inputs):
        raise DataError(f"the model has {len(graph.inputs)} inputs, got {len(inputs)}", where=graph.source)
    known = {i: check_input(graph.tensor(i), x) for i, x in zip(graph.inputs, inputs, strict=True)}
    known |= {kept.read: value for kept, value in zip(graph.states, state, strict=True)}
    results: dict[int, Array] = {}
    for op in graph.ops:
        made = dict(zip(op.outputs, run_all(graph, op, known), strict=True))
        results |= made
        known |= made
    return results, tuple(known[kept.written] for kept in graph.states)


def run_op(graph: Graph, op: Op, known: dict[int, Array]) -> Array:
    """The first output of run_all()."""
    return run_all(graph, op, known)[0]


def run_all(graph: Graph, op: Op, known: dict[int, Array]) -> tuple[Array, ...]:
    """Run one operator on the tensors that are known so far; constants come from the graph."""
    operator = OPERATORS[op.kind]
    arguments = []
    for index in op.inputs[: operator.data_inputs]:
        constant = graph.tensor(index).data
        arguments.append(known[index] if constant is None else constant)
    found = operator.run(graph, op, *arguments)
    return found if isinstance(found, tuple) else (found,)


def outputs_of(graph: Graph, results: dict[int, Array]) -> list[Array]:
    """Model outputs out of what run() gave."""
    return [results[i] for i in graph.outputs]
