"""Which tensors lie in one another's memory: in place, inside of what they are concatenated to, under another shape.

A tensor's root is the tensor whose memory it is: RESHAPE makes no buffer, its output is its input. Two roots share
where one of these says so, and all that is live with them allows it:

* in place: a kernel's output starts where an input does that dies there and is not smaller.
* inside: an input that dies at a CONCATENATION lies where the output wants it, so that nothing is copied. It does where
  the output is its inputs one behind the other, that is along the outermost dimension that is not 1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from mcuprune.ir.graph import Graph
from mcuprune.plan.blocks import Buffer, alignment_of

ALIASES = frozenset({"RESHAPE"})
"""Operators whose output is their input's memory."""


@dataclass(frozen=True, slots=True)
class Share:
    """Input number `place` of a step dies there, and the step's output begins: both are roots.

    at: bytes by which the input starts behind the output. in_place: the output is written over the input (at is 0);
    else the input is a part of the output.
    """

    step: int
    place: int
    source: int
    output: int
    at: int = 0
    in_place: bool = False


def roots(graph: Graph) -> dict[int, int]:
    """Of every activation, the tensor whose memory it is."""
    root = {tensor: tensor for tensor in graph.inputs}
    for op in graph.ops:
        for tensor in op.outputs:
            source = op.inputs[0] if op.inputs else -1
            root[tensor] = root[source] if op.kind in ALIASES and source in root else tensor
    return root


def over_inputs(graph: Graph, root: Mapping[int, int], step: int) -> Iterator[Share]:
    """The inputs that the output of a kernel that works in place may be written over, if they die there."""
    op = graph.ops[step]
    output = op.outputs[0]
    for place, tensor in enumerate(op.inputs):
        source = root.get(tensor)
        if source is None or root.get(output) != output:
            continue
        if graph.tensors[source].nbytes >= graph.tensors[output].nbytes:  # not only as whole words
            yield Share(step, place, source, output, in_place=True)


def parts(graph: Graph, root: Mapping[int, int], step: int) -> Iterator[Share]:
    """The inputs of a CONCATENATION that may lie where its output wants them, if they die there."""
    op = graph.ops[step]
    if op.kind != "CONCATENATION":
        return
    output = graph.output_of(op)
    axis = int(getattr(op.attrs, "axis")) % len(output.shape)  # noqa: B009
    if prod(output.shape[:axis]) != 1:
        return
    at, seen, alignment = 0, set[int](), alignment_of(graph)
    for place, tensor in enumerate(graph.tensors[i] for i in op.inputs):
        source = root.get(tensor.index)
        same = (tensor.dtype, tensor.quant) == (output.dtype, output.quant)
        whole = source is not None and graph.tensors[source].nbytes == tensor.nbytes
        if source is not None and whole and same and at % alignment == 0 and source not in seen:
            seen.add(source)
            yield Share(step, place, source, output.index, at)
        at += tensor.nbytes


class Joined:
    """Roots in blocks: at first each in its own; join() brings two together where nothing else is in the way."""

    def __init__(self, lives: Mapping[int, Buffer]) -> None:
        self.lives = lives
        self.at = dict.fromkeys(lives, 0)
        self.members = {root: [root] for root in lives}
        self.block = {root: root for root in lives}
        self.shares: list[Share] = []
        self._allowed = set[frozenset[int]]()

    def join(self, share: Share) -> bool:
        """Whether the two lie as the share says now."""
        source, output = share.source, share.output
        if self.lives[source].last != share.step or self.lives[output].first != share.step:
            return False
        shift = self.at[output] + share.at - self.at[source]
        ours, theirs = self.block[output], self.block[source]
        if ours == theirs:
            return False
        allowed = self._allowed | {frozenset((source, output))}
        for a in self.members[ours]:
            for b in self.members[theirs]:
                if frozenset((a, b)) not in allowed and self._collide(a, b, shift):
                    return False
        self._allowed = allowed
        self.shares.append(share)
        for b in self.members.pop(theirs):
            self.at[b] += shift
            self.block[b] = ours
            self.members[ours].append(b)
        return True

    def _collide(self, a: int, b: int, shift: int) -> bool:
        """Whether two are live at the same step and share addresses, with b's block moved up."""
        start = self.at[b] + shift
        apart = self.at[a] + self.lives[a].bytes <= start or start + self.lives[b].bytes <= self.at[a]
        return self.lives[a].meets(self.lives[b]) and not apart

    def blocks(self) -> list[tuple[int, ...]]:
        """The roots of each block."""
        return [tuple(members) for members in self.members.values()]


def join_all(lives: Mapping[int, Buffer], shares: Iterable[Share]) -> Joined:
    """Take every share that can be had: those that spare most come first."""
    joined = Joined(lives)

    def spared(share: Share) -> int:
        return min(lives[share.source].bytes, lives[share.output].bytes)

    for share in sorted(shares, key=lambda s: (-spared(s), s.step, s.place)):
        joined.join(share)
    return joined


def possible_shares(
    graph: Graph, lives: Mapping[int, Buffer], root: Mapping[int, int], in_place: Collection[int], whole: Sequence[int]
) -> list[Share]:
    """Every share that the operators and the lives of tensors allow.

    Args:
        in_place: steps whose kernel works in place.
        whole: steps that do not run by turns with others.
    """
    found = [
        share
        for step in whole
        for share in (*(over_inputs(graph, root, step) if step in in_place else ()), *parts(graph, root, step))
        if share.source in lives and share.output in lives
    ]
    return [s for s in found if lives[s.source].last == s.step and lives[s.output].first == s.step]
