"""Convolutions over pairs of columns that two rows list (dsp level): streams of firmware/kernels/pairs_dsp.h.

Which neighbours go together is chosen for the fewest steps: dead channels that left the model may have shifted blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mcuprune.encodings import Array, Encoding
from mcuprune.encodings.nm import PAIRS_OF_FOUR, pair_choices
from mcuprune.kernels.dsp_lanes import in_place
from mcuprune.kernels.dsp_smlad import LAST, STRUCT, Stream, Words, column, obstacle, packed, stream, words
from mcuprune.kernels.kernel import Kernel, Packed, tiles
from mcuprune.kernels.params import Geometry, LayerParams, Value

Bools = NDArray[np.bool_]

TURN_STEPS, GROUP_STEPS = 16, 4
MAX_GAP, MAX_FIRST = 127, 4095
SPARE = 32
"""MP_PAIR_SPARE: columns of a pointwise layer that may go alone."""
TWO_ROWS = 1 << 17
"""Flag among the shifts."""
ROW_STEPS, COLUMN_STEPS = 3.5, 4.0
"""What going alone costs beside steps: a pass over one row, a run of columns; measured in steps."""


def alone_or_with_next(alone: Sequence[float], with_next: Sequence[float]) -> list[int]:
    """Sizes of groups, 1 or 2, that cut a sequence so that the costs add up to the least.

    Args:
        alone: cost of each item by itself; with_next: of each item but the last together with the next one.
    """
    count = len(alone)
    best, size = [0.0] * (count + 1), [1] * count
    for i in reversed(range(count)):
        best[i] = alone[i] + best[i + 1]
        if i + 1 < count and with_next[i] + best[i + 2] <= best[i]:
            best[i], size[i] = with_next[i] + best[i + 2], 2
    sizes, at = [], 0
    while at < count:
        sizes.append(size[at])
        at += size[at]
    return sizes


def _covered(kept: Bools) -> NDArray[np.int64]:
    """Pairs of neighbours that cover the kept columns of each row, wherever they begin."""
    count, taken = np.zeros(len(kept), np.int64), np.zeros(len(kept), bool)
    for hit in kept.T:
        taken = hit & ~taken
        count += taken
    return count


def _fours(kept: Bools) -> NDArray[np.float64]:
    """Fours of columns that hold kept ones; infinite where one holds more than two."""
    groups = kept.reshape(len(kept), -1, 4).sum(axis=2)
    return np.where((groups > 2).any(axis=1), np.inf, (groups > 0).sum(axis=1))


def row_order(kept: Bools, steps: Callable[[Bools], NDArray[np.number]]) -> NDArray[np.int64]:
    """Rows two by two, -1 beside one that goes alone; the last one comes first where it does.

    Args:
        kept: bool (rows, cols), columns that hold a nonzero. steps: how many steps rows of such columns take.
    """
    sizes = alone_or_with_next(
        (ROW_STEPS + steps(kept)).tolist(), (ROW_STEPS + steps(kept[:-1] | kept[1:])).tolist() if len(kept) > 1 else []
    )
    if sizes[-2:] == [1, 1]:  # the row before the last one would store zeros over it
        sizes[-2:] = [2]
    order, at = list[int](), 0
    for size in sizes:
        order += [at, at + 1 if size == 2 else -1]
        at += size
    return np.array([-1, at - 1, *order[:-2]] if sizes[-1] == 1 else order)


def column_runs(kept: Bools) -> list[int]:
    """Lengths of the runs of columns that are cut into pairs, for the fewest steps with at most SPARE columns alone.

    Args:
        kept: bool (row pairs, cols).
    """
    joined = (kept[:, :-1] | kept[:, 1:]).sum(axis=0).tolist()
    alone, price = kept.sum(axis=0).astype(float), COLUMN_STEPS
    while True:
        sizes = alone_or_with_next((alone + price).tolist(), joined)
        if sizes.count(1) <= SPARE:
            break
        price *= 1.5
    runs = [0]
    for size in sizes:
        runs[-1] += size
        if size == 1:
            runs.append(0)
    return [run for run in runs if run]


def pack_blocks(params: LayerParams, encoding: Encoding | None) -> Packed:
    """Pairs of neighbouring columns that hold a nonzero of two neighbouring rows."""
    assert params.rows is not None
    rows = stream(params, row_order(params.rows != 0, _covered))
    kept = _kept(rows)
    runs = column_runs(kept) if params.geometry.pointwise else [rows.cols]
    starts = np.cumsum([0, *runs[:-1]]).tolist()
    pairs = [
        (c, c + 1 if c + 1 < at + run else rows.cols)
        for at, run in zip(starts, runs, strict=True)
        for c in range(at, at + run, 2)
    ]
    of_column = np.repeat(np.arange(len(pairs)), [1 + (b < rows.cols) for _, b in pairs])
    listed = [np.unique(of_column[np.flatnonzero(row)]).tolist() for row in kept]
    made = _pack(params, rows, rows.lanes(pairs), listed, {"run_count": len(runs), "runs": ""} if len(runs) > 1 else {})
    if len(runs) == 1:
        return made
    arrays = (Array("runs", "uint16_t", np.array(runs, np.uint16)), *made.arrays)
    return replace(made, arrays=arrays)


def pack_nm(params: LayerParams, encoding: Encoding | None) -> Packed:
    """One of six pairs for each four columns that hold nonzeros of two neighbouring rows, at most two.

    Raises:
        EncodingError: four columns of a row hold more than two.
    """
    assert params.rows is not None
    rows = stream(params, row_order(params.rows != 0, _fours))
    pairs = [(g + a, g + b) for g in range(0, rows.cols, 4) for a, b in PAIRS_OF_FOUR]
    listed = [np.flatnonzero(row).tolist() for row in pair_choices(_kept(rows))]
    return _pack(params, rows, rows.lanes(pairs), listed, {})


def _kept(rows: Stream) -> Bools:
    """(places / 2, cols): columns that hold a nonzero of either row."""
    return np.asarray(rows.weights[:, : rows.cols].reshape(-1, 2, rows.cols).any(axis=1), bool)


def _pack(
    params: LayerParams, rows: Stream, lanes: Words, listed: Sequence[list[int]], fields: dict[str, Value]
) -> Packed:
    """listed: indices of the pairs of each two rows."""
    starts, last_alone, parts, entries = rows.starts(), int(rows.order[0] < 0), [], 0
    inline = starts.nbytes
    for i, indices in enumerate(listed):
        first, steps = steps_of(indices, lanes[i])
        last = i + 1 == len(listed) or (i == 0 and last_alone)
        flags = LAST * last | TWO_ROWS * int(rows.order[2 * i + 1] >= 0)
        ending = rows.ending(2 * i, 2, flags)
        parts += [pair_words(first, lanes[i][first], starts[i], steps), ending]
        inline += ending.nbytes
        entries += 1 + len(steps)
    return packed(params, parts, entries, inline, {**fields, "last_alone": last_alone})


def steps_of(listed: Sequence[int], lanes: Words) -> tuple[int, list[tuple[int, int]]]:
    """The first pair, and distance and weights of each further step; long distances are bridged by weights of 0."""
    first, rest = (listed[0], listed[1:]) if listed and listed[0] <= MAX_FIRST else (0, listed)
    steps, at = [], first
    for index in rest:
        bridges = (index - at - 1) // MAX_GAP
        steps += [(MAX_GAP, 0)] * bridges
        steps.append((index - at - MAX_GAP * bridges, int(lanes[index])))
        at = index
    return first, steps


def pair_words(first: int, weights: np.uint32, start: Words, steps: Sequence[tuple[int, int]]) -> Words:
    """Two rows up to their multipliers. steps: distance and weights."""
    lacks = -len(steps) % TURN_STEPS if steps else TURN_STEPS
    gaps = [0] * (lacks % GROUP_STEPS) + [distance for distance, _ in steps]
    lanes = [0] * (lacks % GROUP_STEPS) + [word for _, word in steps]
    for end in range(len(gaps) - TURN_STEPS, 0, -TURN_STEPS):
        gaps[end - 1] += 128  # another turn follows
    made = [16 * first | lacks << 22, int(weights), *start.tolist()]
    for group in range(0, len(gaps), GROUP_STEPS):
        made += lanes[group : group + GROUP_STEPS][::-1]
        made.append(int.from_bytes(bytes(gaps[group : group + GROUP_STEPS][::-1]), "little"))
    return words(made)


def _workspace(geometry: Geometry, pair_bytes: int) -> int:
    """mp_pair_workspace()."""
    aside = 4 * geometry.rows if geometry.positions % 4 > 1 else 0
    return pair_bytes * -(-geometry.cols // 2) + column(geometry) + aside


def _blocks_workspace(geometry: Geometry) -> int:
    return _workspace(geometry, 16) + (16 * SPARE if geometry.pointwise else 0)


def _nm_workspace(geometry: Geometry) -> int:
    return _workspace(geometry, 48)


def _nm_obstacle(params: LayerParams) -> str | None:
    cols = params.geometry.cols
    return f"{cols} columns are no multiple of 4" if cols % 4 else obstacle(params)


KERNELS: tuple[Kernel, ...] = (
    Kernel("conv2d_s8", "block2x2", "dsp", _blocks_workspace, obstacle, pack_blocks, tiles(4, 1), in_place, STRUCT),
    Kernel("conv2d_s8", "nm2x4x2", "dsp", _nm_workspace, _nm_obstacle, pack_nm, tiles(4, 1), in_place, STRUCT),
)
