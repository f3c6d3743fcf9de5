"""The arena: no two buffers that live at the same time overlap."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from mcuprune.plan.arena import ALIGNMENT, Buffer, _lower_bound, _place

lives = st.tuples(st.integers(0, 12), st.integers(0, 6), st.integers(1, 500))


@given(st.lists(lives, min_size=1, max_size=25))
def test_live_buffers_never_overlap(items: list[tuple[int, int, int]]) -> None:
    """Buffers whose lives meet lie apart, and the plan is never below the lower bound."""
    buffers = [Buffer(str(i), size * ALIGNMENT, first, first + length) for i, (first, length, size) in enumerate(items)]
    placed = _place(buffers)
    assert [(b.label, b.bytes) for b in placed] == [(b.label, b.bytes) for b in buffers]
    for a, b in itertools.combinations(placed, 2):
        if a.first <= b.last and b.first <= a.last:
            assert a.offset + a.bytes <= b.offset or b.offset + b.bytes <= a.offset, (a, b)
    assert max(b.offset + b.bytes for b in placed) >= _lower_bound(buffers, 20)
    assert all(b.offset % ALIGNMENT == 0 for b in placed)


def test_chain_reaches_the_lower_bound() -> None:
    """In a chain of layers, input and output of each step are all that lives."""
    sizes = [100, 400, 200, 300, 40]
    buffers = [Buffer(str(i), size, i - 1, i) for i, size in enumerate(sizes)]
    placed = _place(buffers)
    assert max(b.offset + b.bytes for b in placed) == _lower_bound(buffers, len(sizes)) == 600
