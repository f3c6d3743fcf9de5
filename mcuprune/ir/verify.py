"""Whether a graph has a meaning: the batch, and what each operator demands of its tensors.

The importer calls verify() on what it read; passes call it on what they made.
"""

from __future__ import annotations

from mcuprune.errors import ModelError
from mcuprune.ir.graph import DType, Graph
from mcuprune.ir.operators import OPERATORS
from mcuprune.ir.operators.checks import quantized


def verify(graph: Graph) -> None:
    """Check every operator of a graph.

    Raises:
        ModelError: an operator's tensors do not fit it; `where` names the file, the operator and its place.
    """
    for index in graph.inputs:
        tensor = graph.tensor(index)
        if len(tensor.shape) > 1 and tensor.shape[0] != 1:
            raise ModelError(
                f"input '{tensor.name}' has shape {tensor.shape}: only batch 1 is supported",
                where=graph.source,
                hint="export the model with batch size 1",
            )
        if tensor.dtype is DType.INT8:
            quantized(tensor)
    _verify_states(graph)
    for op in graph.ops:
        try:
            OPERATORS[op.kind].check(graph, op)
        except ModelError as error:
            error.where = graph.within(op.place)
            raise


def _verify_states(graph: Graph) -> None:
    """What is kept fits where it is read, and no constant takes its place."""
    made = {tensor for op in graph.ops for tensor in op.outputs}
    reads = {state.read for state in graph.states}
    for state in graph.states:
        read, written = graph.tensor(state.read), graph.tensor(state.written)
        where = graph.within(f"state '{state.name}'")
        kinds = [(t.dtype.numpy, t.shape) for t in (read, written)] + [(state.initial.dtype, state.initial.shape)]
        if len(set(kinds)) != 1:
            told = ", ".join(f"{dtype} {shape}" for dtype, shape in kinds)
            raise ModelError(f"its value as it is read, written and at first differ: {told}", where=where)
        if state.written not in {*made, *reads, *graph.inputs}:
            raise ModelError("its new value is a constant", where=where)
