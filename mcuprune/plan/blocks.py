"""Stretches of memory with a life, and blocks of them that keep their places beside one another.

Step k of a schedule is its k-th operator. Buffers that are live at the same step lie apart, but for those that were
made to share (mcuprune/plan/sharing.py): these are in one block.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain, pairwise

from mcuprune.ir.graph import Graph

ALIGNMENT = 4
"""Bytes; every buffer starts on a multiple (words are what SIMD kernels load)."""


def alignment_of(graph: Graph) -> int:
    """What every buffer of a model starts on a multiple of: ALIGNMENT, or the bytes of its largest element."""
    made = chain(graph.inputs, *(op.outputs for op in graph.ops))
    return max([ALIGNMENT, *(graph.tensors[tensor].dtype.itemsize for tensor in made)])


@dataclass(frozen=True, slots=True)
class Buffer:
    """A stretch of the arena that is live during steps first..last, both included.

    at: bytes from the start of its block. offset: from the start of the arena, -1 before it is placed.
    """

    label: str
    bytes: int
    first: int
    last: int
    at: int = 0
    offset: int = -1

    def meets(self, other: Buffer) -> bool:
        """Whether both live at some step."""
        return self.first <= other.last and other.first <= self.last


Block = tuple[Buffer, ...]
"""Buffers that move together; those that are live at the same step and share addresses were made to."""


def aligned(size: int, alignment: int) -> int:
    """A size as a multiple of the alignment."""
    return -(-size // alignment) * alignment


def moved(block: Block, offset: int) -> Block:
    """A block placed at an offset."""
    return tuple(replace(buffer, offset=offset + buffer.at) for buffer in block)


def height(block: Block) -> int:
    """Bytes from the start of a block to its end."""
    return max((b.at + b.bytes for b in block), default=0)


def life(block: Block) -> tuple[int, int]:
    """First and last step."""
    return min(b.first for b in block), max(b.last for b in block)


def peak(blocks: Iterable[Block]) -> int:
    """Bytes of the arena that holds placed blocks."""
    return max((b.offset + b.bytes for b in chain.from_iterable(blocks)), default=0)


def turning_steps(blocks: Iterable[Block]) -> list[int]:
    """Steps at which something begins: what lives at any other step lives at the one of these before it."""
    return sorted({b.first for b in chain.from_iterable(blocks)})


def needs(blocks: Sequence[Block]) -> dict[int, int]:
    """By step, the bytes that are live: addresses that several buffers of a block share count once."""
    change = dict[int, int]()
    for block in blocks:
        turns = sorted({b.first for b in block} | {b.last + 1 for b in block})
        for step, following in pairwise(turns):
            size = covered(sorted((b.at, b.at + b.bytes) for b in block if b.first <= step <= b.last))
            change[step] = change.get(step, 0) + size
            change[following] = change.get(following, 0) - size
    sums = accumulate(change.get(step, 0) for step in range(min(change, default=0), max(change, default=0)))
    return dict(enumerate(sums, min(change, default=0)))


def lower_bound(blocks: Sequence[Block]) -> int:
    """The largest live set: no placing of the blocks needs less."""
    return max(needs(blocks).values(), default=0)


def covered(spans: Sequence[tuple[int, int]]) -> int:
    """Length of the union of sorted spans."""
    total = end = 0
    for low, high in spans:
        total += max(0, high - max(low, end))
        end = max(end, high)
    return total
