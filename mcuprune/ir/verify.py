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
    for op in graph.ops:
        try:
            OPERATORS[op.kind].check(graph, op)
        except ModelError as error:
            error.where = f"{graph.source}, op {op.index} {op.kind} '{op.name}'"
            raise
