"""A graph as text: one line an operator."""

from __future__ import annotations

from mcuprune.ir.graph import Graph, Tensor


def _describe(tensor: Tensor | None) -> str:
    """`int8 (1, 25, 5, 64)`, or `-` for an absent input."""
    return "-" if tensor is None else f"{tensor.dtype.value} {tensor.shape}"


def dump(graph: Graph) -> str:
    """Operators in order: index, kind, name, inputs with their shapes, output, attributes."""
    lines = [f"{graph.source} sha256 {graph.sha256[:8]}"]
    for op in graph.ops:
        inputs = ", ".join(_describe(graph.input_of(op, i)) for i in range(len(op.inputs)))
        output = _describe(graph.output_of(op))
        lines.append(f"{op.index:3} {op.kind:18} {op.name:12} {inputs} -> {output}  {op.attrs}")
    return "\n".join(lines) + "\n"
