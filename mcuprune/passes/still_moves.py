"""Operators that leave every element where it is become RESHAPE, which needs no code and no memory of its own.

One that reads a kept value stays: its output is what that value was before the call, after it has changed, too.
"""

from __future__ import annotations

from dataclasses import replace

from mcuprune.ir.attributes import ConcatenationAttrs, NoAttrs, PadAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.walk import Walk, walk_of


def drop_still_moves(graph: Graph) -> Graph:
    """TRANSPOSE of dimensions of 1, SLICE of all there is, PAD by nothing, CONCATENATION of one part, and the like."""
    kept = {state.read for state in graph.states}
    still = []
    for op in graph.ops:
        of_kept = bool(op.inputs) and op.inputs[0] in kept
        still.append(not of_kept and _still(graph, op))
        if of_kept and op.kind == "RESHAPE":
            kept.add(op.outputs[0])
    if not any(still):
        return graph
    ops = (
        replace(op, kind="RESHAPE", inputs=op.inputs[:1], attrs=NoAttrs()) if moves_nothing else op
        for op, moves_nothing in zip(graph.ops, still, strict=True)
    )
    return replace(graph, ops=tuple(ops))


def _still(graph: Graph, op: Op) -> bool:
    """Whether an operator's output is its first input, element by element."""
    source = graph.input_of(op) if op.inputs else None
    if source is None or source.data is not None or source.quant != graph.output_of(op).quant:
        return False  # one whose codes get another scale is no RESHAPE
    if isinstance(op.attrs, PadAttrs):
        return not any((*op.attrs.before, *op.attrs.after))
    if isinstance(op.attrs, ConcatenationAttrs):
        return len(op.inputs) == 1
    whole = Walk(0, ((source.size, 1),)) if source.size > 1 else Walk(0, ())
    return walk_of(op, source.shape) == whole
