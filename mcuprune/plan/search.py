"""Branch and bound: whether blocks fit an arena of so many bytes, and where they lie then.

Of two blocks that are live at the same step, one lies below the other. A plan is looked for from below: the next block
is one that lies lowest of those that are left, as low as what is placed lets it. What cannot be the lowest, because
another one fits below it, is not tried; neither is what leaves too little room at some step for those that are left.

Where all buffers of each block start together, a search that ends has looked at every plan that matters: there is none,
then. Blocks with holes under some buffers (an output with its parts) are taken as solid, so that more may fit.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from mcuprune.plan.blocks import Block, height, turning_steps

MOST_BLOCKS = 250
"""A search goes one call deeper with each block."""


class Searched(enum.Enum):
    """How a search ended."""

    FOUND = "found"
    IMPOSSIBLE = "impossible"
    GAVE_UP = "gave up"


def search(blocks: Sequence[Block], limit: int, nodes: int) -> list[int] | None:
    """Offsets of blocks in an arena of `limit` bytes; None where none were found.

    Args:
        nodes: placings that are tried at most.
    """
    solid = [i for i, block in enumerate(blocks) if height(block) > 0]
    if len(solid) > MOST_BLOCKS:
        return None
    problem = _Problem([blocks[i] for i in solid], limit)
    for preference in range(len(_PREFERENCES)):
        problem.nodes, problem.preference = nodes // len(_PREFERENCES), preference
        ended = problem.run()
        if ended is Searched.FOUND:
            offsets = [0] * len(blocks)
            for i, offset in zip(solid, problem.offsets, strict=True):
                offsets[i] = offset
            return offsets
        if ended is Searched.IMPOSSIBLE:
            break
    return None


_PREFERENCES = (
    lambda offset, high, long: (offset, -high, -long),
    lambda offset, high, long: (offset, -long, -high),
    lambda offset, high, long: (-high * long, offset, 0),
    lambda offset, high, long: (-long, offset, -high),
)
"""Which of the blocks that may come next is tried first."""


@dataclass(slots=True)
class _State:
    """low: how low each block may lie that is not placed yet. room: bytes by step that are still to be placed."""

    low: list[int]
    room: list[int]
    left: list[int]


class _Problem:
    """Blocks as what they take at the steps where something begins."""

    def __init__(self, blocks: Sequence[Block], limit: int) -> None:
        steps = turning_steps(blocks)
        self.limit = limit
        self.nodes = 0
        self.preference = 0
        self.spans = [_spans(block, steps) for block in blocks]
        self.flat = all(bottom == 0 for span in self.spans for bottom, _ in span.values())
        self.high = [height(block) for block in blocks]
        self.long = [len(span) for span in self.spans]
        self.apart = _apart(self.spans)
        self.offsets = [0] * len(blocks)
        self.steps = len(steps)

    def run(self) -> Searched:
        room = [0] * self.steps
        for span in self.spans:
            for step, (bottom, top) in span.items():
                room[step] += top - bottom
        everything = list(range(len(self.spans)))
        if max(room, default=0) > self.limit:
            return Searched.IMPOSSIBLE
        return self._next(_State([0] * len(everything), room, everything), (0, -1))

    def _next(self, state: _State, last: tuple[int, int]) -> Searched:
        """Place one more block, and all that are left behind it. last: offset and number of the one before."""
        if not state.left:
            return Searched.FOUND
        for i in self._candidates(state, last):
            self.nodes -= 1
            if self.nodes < 0:
                return Searched.GAVE_UP
            self.offsets[i] = offset = state.low[i]
            following = self._placed(state, i, offset)
            if self._fits(following, offset):
                ended = self._next(following, (offset, i))
                if ended is not Searched.IMPOSSIBLE:
                    return ended
        return Searched.IMPOSSIBLE

    def _candidates(self, state: _State, last: tuple[int, int]) -> list[int]:
        """Blocks that may come next, the most promising first."""
        found = state.left
        if self.flat:  # from below: the next one lies no lower, and nothing that is left fits whole below it
            lowest_top = min(max(state.low[i], last[0]) + self.high[i] for i in state.left)
            found = [i for i in found if last < (state.low[i], i) and state.low[i] < lowest_top]
        prefer = _PREFERENCES[self.preference]
        return sorted(found, key=lambda i: (prefer(state.low[i], self.high[i], self.long[i]), i))

    def _placed(self, state: _State, i: int, offset: int) -> _State:
        low, room = state.low.copy(), state.room.copy()
        for other, distance in self.apart[i].items():
            if low[other] < offset + distance:
                low[other] = offset + distance
        for step, (bottom, top) in self.spans[i].items():
            room[step] -= top - bottom
        return _State(low, room, [j for j in state.left if j != i])

    def _fits(self, state: _State, last: int) -> bool:
        """Whether each step has room: all that is left there lies above the lowest place that any of it can have."""
        floor = [self.limit] * self.steps
        for i in state.left:
            low = max(state.low[i], last) if self.flat else state.low[i]
            if low + self.high[i] > self.limit:
                return False
            for step, (bottom, _) in self.spans[i].items():
                if low + bottom < floor[step]:
                    floor[step] = low + bottom
        return all(low + room <= self.limit for low, room in zip(floor, state.room, strict=True) if room)


def _spans(block: Block, steps: Sequence[int]) -> dict[int, tuple[int, int]]:
    """By the number of a step, where the block begins and ends there."""
    found = {}
    for number, step in enumerate(steps):
        live = [b for b in block if b.first <= step <= b.last]
        if live:
            found[number] = (min(b.at for b in live), max(b.at + b.bytes for b in live))
    return found


def _apart(spans: Sequence[dict[int, tuple[int, int]]]) -> list[dict[int, int]]:
    """Of each block, by those that meet it, how far above its start they start at least where they lie above it."""
    found: list[dict[int, int]] = [{} for _ in spans]
    for i, span in enumerate(spans):
        for j, other in enumerate(spans):
            shared = span.keys() & other.keys() if i != j else ()
            if shared:
                found[i][j] = max(span[step][1] - other[step][0] for step in shared)
    return found
