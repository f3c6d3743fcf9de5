"""The passes, an ordered table of Graph -> Graph rewrites, and what they took away.

A pass leaves every output byte of the model as it is. Operators keep their indices; a tensor that lost channels says in
`Tensor.kept` which of the file's it holds, so that layers can still be compared with the model file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mcuprune.errors import UsageError
from mcuprune.ir.graph import Graph, Op
from mcuprune.ir.verify import verify
from mcuprune.passes.dead_channels import drop_dead_channels
from mcuprune.passes.still_moves import drop_still_moves

PASSES: Mapping[str, Callable[[Graph], Graph]] = {
    "dead_channels": drop_dead_channels,
    "still_moves": drop_still_moves,
}
"""In the order in which they run."""


def run_passes(graph: Graph, names: Iterable[str] = PASSES) -> Graph:
    """Rewrite a graph by the named passes, in the table's order; what they make is verified.

    Raises:
        UsageError: there is no pass of a name.
    """
    wanted = set(names)
    unknown = sorted(wanted - set(PASSES))
    if unknown:
        raise UsageError(f"there is no pass {unknown[0]!r}", hint=f"one of {', '.join(PASSES)}")
    for name, rewrite in PASSES.items():
        if name in wanted:
            graph = rewrite(graph)
            verify(graph)
    return graph


@dataclass(frozen=True, slots=True)
class Change:
    """What passes took from one operator: output channels, weights, multiplications."""

    layer: str
    channels: int
    weights: int
    macs: int

    def to_json(self) -> dict[str, int]:
        return {"channels": self.channels, "weights": self.weights, "macs": self.macs}


NO_CHANGE: Mapping[str, int] = Change("", 0, 0, 0).to_json()
"""Of an operator that is as it was in the file."""


def changes(before: Graph, after: Graph) -> tuple[Change, ...]:
    """The operators that became smaller, by comparing a graph with what passes made of it."""
    smaller = {op.name: op for op in after.ops}
    found = []
    for op in before.ops:
        old, new = _size(before, op), _size(after, smaller[op.name])
        if old != new:
            found.append(Change(op.name, *(a - b for a, b in zip(old, new, strict=True))))
    return tuple(found)


def _size(graph: Graph, op: Op) -> tuple[int, int, int]:
    """Output channels, weights and multiplications of an operator."""
    output, weights = graph.output_of(op), graph.input_of(op, 1)
    channels = output.shape[-1] if output.shape else 1
    if weights is None or op.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        return channels, 0, 0
    return channels, weights.size, output.size // channels * weights.size
