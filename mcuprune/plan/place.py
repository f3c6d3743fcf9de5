"""Placing blocks in the arena: many orders first-fit, and a search where none of them reaches the lower bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mcuprune.plan.blocks import Block, height, life, lower_bound, moved, peak
from mcuprune.plan.search import search

TRIES = 20
"""Of each order of placing."""

NODES = 20_000
"""Of one search: what is looked at before it gives up. A count, not a time: equal input gives equal plans."""

SMALL = 40
"""Blocks up to which placing has all of its tries and nodes; among more, each takes longer."""

Distances = list[tuple[int, int, int]]
"""Another block, and the offsets behind its start strictly between which a block may not start."""

LIMITS = 6
"""Arenas between the lower bound and the best one found that are tried where the bound cannot be had."""


def place(blocks: Sequence[Block], nodes: int = NODES) -> list[Block]:
    """The blocks with offsets, in the order given.

    Args:
        nodes: effort of the search for an arena that is smaller than any order of placing reaches; 0: no search.
    """
    placed = _place_by_orders(blocks)
    least = lower_bound(blocks)
    if peak(placed) > least and nodes > 0:
        placed = _place_by_search(blocks, placed, least, nodes * SMALL // max(SMALL, len(blocks)))
    return placed


def _place_by_search(blocks: Sequence[Block], placed: list[Block], least: int, nodes: int) -> list[Block]:
    """The smallest arena that a search finds: the lower bound is tried first and hardest, then what lies between."""
    limit = bound = least
    for _ in range(LIMITS):
        offsets = search(blocks, limit, nodes if limit == bound else nodes // LIMITS)
        if offsets is not None:
            placed = [moved(block, offset) for block, offset in zip(blocks, offsets, strict=True)]
        else:
            least = limit + 1
        most = peak(placed) - 1
        if least > most:
            break
        limit = (least + most) // 2
    return placed


def _place_by_orders(blocks: Sequence[Block]) -> list[Block]:
    """The best of several orders; where one misses the bound, what ended on top is placed first in the next try."""
    sizes = [height(block) for block in blocks]
    lives = [life(block) for block in blocks]
    lengths = [last - first + 1 for first, last in lives]
    orders: tuple[Callable[[int], tuple[int, ...]], ...] = (
        lambda i: (-sizes[i], lives[i][0]),
        lambda i: (-sizes[i] * lengths[i], lives[i][0]),
        lambda i: (lives[i][0], -sizes[i]),
        lambda i: (-lengths[i], -sizes[i]),
        lambda i: (-lives[i][1], -sizes[i]),
    )
    least = lower_bound(blocks)
    distances = _distances(blocks)
    best: tuple[int, list[int]] | None = None
    for key in orders:
        order = sorted(range(len(blocks)), key=lambda i: (key(i), i))
        seen: set[tuple[int, ...]] = set()
        for _ in range(max(1, TRIES * SMALL // max(SMALL, len(blocks)))):
            seen.add(tuple(order))
            offsets = place_in_order(distances, order)
            ends = [offset + size for offset, size in zip(offsets, sizes, strict=True)]
            reached = max(ends, default=0)
            if best is None or reached < best[0]:
                best = reached, offsets
            if reached == least:
                break
            top = {i for i, end in enumerate(ends) if end == reached}
            order = [*(i for i in order if i in top), *(i for i in order if i not in top)]
            if tuple(order) in seen:
                break
        if best is not None and best[0] == least:
            break
    assert best is not None
    return [moved(block, offset) for block, offset in zip(blocks, best[1], strict=True)]


def place_in_order(distances: Sequence[Distances], order: Sequence[int]) -> list[int]:
    """Offsets: one block after the other, each at the lowest that is free during the life of each of its buffers."""
    done: dict[int, int] = {}
    for i in order:
        taken = sorted((done[j] + low, done[j] + high) for j, low, high in distances[i] if j in done)
        offset = 0
        for below, above in taken:  # an offset strictly between the two would overlap
            if offset <= below:
                break
            offset = max(offset, above)
        done[i] = offset
    return [done[i] for i in range(len(distances))]


def _distances(blocks: Sequence[Block]) -> list[Distances]:
    """Of each block, for each buffer that meets one of its own: the other block, and where it may not start from it."""
    by_life = sorted(((b, i) for i, block in enumerate(blocks) for b in block), key=lambda pair: pair[0].first)
    found: list[Distances] = [[] for _ in blocks]
    for place, (a, i) in enumerate(by_life):
        for b, j in by_life[place + 1 :]:
            if b.first > a.last:
                break
            if i != j:
                found[i].append((j, b.at - a.at - a.bytes, b.at + b.bytes - a.at))
                found[j].append((i, a.at - b.at - b.bytes, a.at + a.bytes - b.at))
    return found
