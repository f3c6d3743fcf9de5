"""The numpy interpreter: what every operator means, bit for bit as LiteRT's reference kernels (BUILTIN_REF).

docs/numerics.md states the same in integers. Kernels in C are tested against this module, and it against LiteRT.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.errors import DataError, ModelError
from mcuprune.ir import eval_elementwise, eval_layers
from mcuprune.ir.graph import Graph, Op, Tensor

Array = npt.NDArray[Any]

_OPERATORS: dict[str, Callable[..., Array]] = {
    "ADD": eval_elementwise.add,
    "AVERAGE_POOL_2D": eval_layers.average_pool_2d,
    "CONV_2D": eval_layers.conv_2d,
    "DEPTHWISE_CONV_2D": eval_layers.depthwise_conv_2d,
    "DEQUANTIZE": eval_elementwise.dequantize,
    "FULLY_CONNECTED": eval_layers.fully_connected,
    "MEAN": eval_elementwise.mean,
    "PAD": eval_elementwise.pad,
    "QUANTIZE": eval_elementwise.quantize,
    "RELU": eval_elementwise.relu,
    "RELU6": eval_elementwise.relu,
    "RESHAPE": eval_elementwise.reshape,
    "SOFTMAX": eval_elementwise.softmax,
}
DATA_INPUTS: Mapping[str, int] = {"ADD": 2}
"""Inputs that are data; others read one tensor of it, weights and parameters come from the graph."""


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
    """Run a model once.

    Args:
        inputs: one array for each of graph.inputs, of its shape and dtype.
    Returns:
        Output arrays of all operators by tensor index, in order of execution.
    Raises:
        DataError: the inputs do not fit the model.
    """
    if len(inputs) != len(graph.inputs):
        raise DataError(f"the model has {len(graph.inputs)} inputs, got {len(inputs)}", where=graph.source)
    known = {i: check_input(graph.tensor(i), x) for i, x in zip(graph.inputs, inputs, strict=True)}
    results: dict[int, Array] = {}
    for op in graph.ops:
        results[op.outputs[0]] = known[op.outputs[0]] = run_op(graph, op, known)
    return results


def run_op(graph: Graph, op: Op, known: dict[int, Array]) -> Array:
    """Run one operator on the tensors that are known so far; constants come from the graph."""
    function = _OPERATORS.get(op.kind)
    if function is None:
        raise ModelError(f"the interpreter has no operator {op.kind}", where=f"{graph.source}, op {op.index}")
    arguments = []
    for index in op.inputs[: DATA_INPUTS.get(op.kind, 1)]:
        constant = graph.tensor(index).data
        arguments.append(known[index] if constant is None else constant)
    return function(graph, op, *arguments)


def outputs_of(graph: Graph, results: dict[int, Array]) -> list[Array]:
    """Model outputs out of what run() gave."""
    return [results[i] for i in graph.outputs]
