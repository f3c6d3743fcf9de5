"""One sparsity for a whole model, shared among its layers: the sparsity of each.

A layer's units are what its pattern drops one by one: weights, blocks or channels. Together the layers lose exactly
round(units * sparsity) of them; of channels, which are not all of one size, so many that at most
round(weights * sparsity) weights go, short of it by less than a channel. Every layer keeps at least one unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mcuprune.errors import UsageError
from mcuprune.masks.mask import check_numbers, zero_count
from mcuprune.masks.patterns import NM, Block, Channels, Pattern, Unstructured, unit_count
from mcuprune.masks.pooling import unit_importance
from mcuprune.masks.select import smallest_counts

Kind = Literal["uniform", "global", "erk", "sensitivity"]
Curve = Mapping[float, float]
"""Loss of the model by sparsity of one layer, the others dense; 0.0 is among the sparsities."""

_KINDS = "uniform, global or erk, or with bounds for each layer: global:0.2..0.95"


@dataclass(frozen=True, slots=True)
class Budget:
    """How a sparsity is shared: every layer alike, by magnitude, by shape, or by measured sensitivity.

    Args:
        low, high: bounds of each layer's sparsity, 0 <= low <= high <= 1; without meaning for `uniform`.
        curves: of each layer by name, for `sensitivity`.
    """

    kind: Kind = "uniform"
    low: float = 0.0
    high: float = 1.0
    curves: Mapping[str, Curve] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UsageError(f"{self.kind!r} is no budget", hint=_KINDS)
        _check_bounds(self.low, self.high)
        if (self.kind == "sensitivity") != bool(self.curves):
            raise UsageError("a budget by sensitivity needs curves, the others have no use for them", hint=_KINDS)

    def __str__(self) -> str:
        return self.kind + (f":{self.low!r}..{self.high!r}" if (self.low, self.high) != (0.0, 1.0) else "")


def parse_budget(text: str) -> Budget:
    """Budget of a text: `uniform`, `global` or `erk`, the last two with bounds if wanted, `global:0.2..0.95`.

    str() of the result gives it back.

    Raises:
        UsageError: no such budget, or bounds out of [0, 1] or out of order.
    """
    kind, colon, bounds = text.partition(":")
    if kind == "uniform" and not colon:
        return Budget()
    if kind not in ("global", "erk"):
        raise UsageError(f"{text!r} is no budget", hint=_KINDS)
    chosen: Kind = "global" if kind == "global" else "erk"
    if not colon:
        return Budget(chosen)
    first, _, second = bounds.partition("..")
    try:
        low, high = float(first), float(second)
    except ValueError:
        raise UsageError(f"{text!r} is no budget", hint=_KINDS) from None
    return Budget(chosen, low, high)


def global_magnitude(
    importances: Sequence[NDArray[Any]],
    sparsity: float,
    *,
    pattern: Pattern | None = None,
    low: float = 0.0,
    high: float = 1.0,
) -> tuple[float, ...]:
    """Sparsities by one threshold for all layers: the least important of all weights go, wherever they lie.

    Raw magnitudes are compared, as published (Han et al. 2015; Frankle and Carbin 2019); blocks by their pooled
    importance, channels by the root mean square of their weights. Of equal ones those of earlier layers go first.

    Args:
        importances: matrices (rows, cols) as for mask(): weights, whose magnitudes count, or importance from 0 up.
        pattern: None is unstructured.
        low, high: bounds of each layer's sparsity.
    Raises:
        UsageError: sparsity not in [0, 1) or out of what the bounds allow; N:M.
        TrainingError: importance is NaN somewhere.
    """
    pattern = pattern or Unstructured()
    for values in importances:
        check_numbers(values)
    pool = _Pool.of([values.shape for values in importances], pattern, sparsity, low, high)
    units = list(importances)
    if isinstance(pattern, Block | Channels):
        units = [unit_importance(values, pattern, magnitude=True) for values in importances]
    if not units:
        return ()
    counts = smallest_counts(units, pool.target, pool.lows, pool.highs, pool.prices, magnitude=True)
    return pool.sparsities(np.array(counts))


def erk(
    shapes: Sequence[tuple[int, ...]],
    sparsity: float,
    *,
    matrices: Sequence[tuple[int, int]] | None = None,
    pattern: Pattern | None = None,
    low: float = 0.0,
    high: float = 1.0,
) -> tuple[float, ...]:
    """Sparsities by shape (Erdos-Renyi-Kernel): density in proportion to sum(shape) / product(shape).

    Layers that would be denser than 1 are dense and the rest share what is left; so too at other bounds.

    Args:
        shapes: of kernels in any order of dimensions, such as (H, W, I, O) or (I, O).
        matrices: (rows, cols) of each, where the pattern is blocks or channels.
    Raises:
        UsageError: sparsity not in [0, 1) or out of what the bounds allow; N:M.
    Source: Evci et al. 2020, Rigging the Lottery, section 3 (1).
    """
    if matrices is None:
        matrices = [(1, math.prod(shape)) for shape in shapes]
    pool = _Pool.of(matrices, pattern or Unstructured(), sparsity, low, high)
    odds = np.array([max(sum(shape), 1) / max(math.prod(shape), 1) for shape in shapes], np.float64)
    weights = (pool.units * pool.prices).astype(np.float64)
    most, least = 1 - pool.lows / np.maximum(pool.units, 1), 1 - pool.highs / np.maximum(pool.units, 1)
    wanted = float(weights.sum()) - pool.target

    def densities(factor: float) -> NDArray[np.float64]:
        return np.clip(factor * odds, least, most)

    below, above = 0.0, float(np.max(1 / odds, initial=0.0))
    for _ in range(200):  # bisection, to the last bit of a double
        middle = (below + above) / 2
        if weights @ densities(middle) < wanted:
            below = middle
        else:
            above = middle
    return pool.sparsities(pool.whole(pool.units * (1 - densities(above))))


def from_sensitivity(
    curves: Sequence[Curve],
    sizes: Sequence[int],
    sparsity: float,
    *,
    matrices: Sequence[tuple[int, int]] | None = None,
    pattern: Pattern | None = None,
) -> tuple[float, ...]:
    """Sparsities with the least sum of measured losses: the cheapest steps along each curve's lower hull first.

    Between two measured sparsities the hull is a straight line; nothing is predicted beyond the largest one. On hulls,
    which are convex, this greedy choice is the best one (but for the rounding to whole units).

    Args:
        curves: for each layer its losses by sparsity, with one at 0.0.
        sizes: weights of each layer.
        matrices: (rows, cols) of each, where the pattern is blocks or channels.
    Raises:
        UsageError: a curve without 0.0 or with a sparsity or loss that is none; sparsity out of what was measured.
    """
    if matrices is None:
        matrices = [(1, size) for size in sizes]
    hulls = [lower_hull(curve) for curve in curves]
    reach = np.array([hull[-1][0] for hull in hulls])
    pool = _Pool.of(matrices, pattern or Unstructured(), sparsity, 0.0, reach)
    steps = [
        ((b[1] - a[1]) / ((b[0] - a[0]) * size), layer, a[0], b[0])
        for layer, (hull, size) in enumerate(zip(hulls, sizes, strict=True))
        for a, b in pairwise(hull)
        if size
    ]
    zeros, left = np.zeros(len(sizes)), float(pool.target)
    for _, layer, start, end in sorted(steps):
        units = min(end * pool.units[layer], pool.highs[layer]) - start * pool.units[layer]
        taken = min(max(units, 0.0), left / pool.prices[layer])
        zeros[layer] += taken
        left -= taken * pool.prices[layer]
    return pool.sparsities(pool.whole(zeros))


def lower_hull(curve: Curve) -> list[tuple[float, float]]:
    """The corners of a curve's convex hull from below: (sparsity, loss) with slopes that rise.

    Raises:
        UsageError: there is none at 0.0, a sparsity is not in [0, 1), or a loss is not a number.
    """
    points = sorted((float(s), float(loss)) for s, loss in curve.items())
    if not points or points[0][0] != 0.0 or points[-1][0] >= 1.0 or not all(math.isfinite(y) for _, y in points):
        raise UsageError(
            f"a sensitivity is losses by sparsities in [0, 1), one of them 0; got {dict(curve)}",
            hint="measure the dense model, too",
        )
    hull: list[tuple[float, float]] = []
    for x, y in points:
        while len(hull) > 1 and (hull[-1][1] - hull[-2][1]) * (x - hull[-2][0]) >= (y - hull[-2][1]) * (
            hull[-1][0] - hull[-2][0]
        ):
            hull.pop()
        hull.append((x, y))
    return hull


@dataclass(frozen=True, slots=True, eq=False)
class _Pool:
    """Layers that share: units, weights of a unit, bounds of the units that go, and the sum of prices to go."""

    units: NDArray[np.int64]
    prices: NDArray[np.int64]
    lows: NDArray[np.int64]
    highs: NDArray[np.int64]
    target: int

    @classmethod
    def of(cls, matrices: Sequence[tuple[int, ...]], pattern: Pattern, sparsity: float, low: float, high: Any) -> _Pool:
        """The layers of these matrices; `high` is one bound or one for each."""
        if isinstance(pattern, NM):
            raise UsageError(
                f"{pattern} implies the sparsity of every layer: a budget has nothing to share",
                hint="--pattern unstructured, block:RxC or channels",
            )
        _check_bounds(low, 1.0)
        units = np.array([unit_count(pattern, rows, cols) for rows, cols in matrices], np.int64)
        prices = np.array([max(cols, 1) if isinstance(pattern, Channels) else 1 for _, cols in matrices], np.int64)
        highs = np.minimum(np.floor(units * np.asarray(high, np.float64) + 1e-9), np.maximum(units - 1, 0))
        lows = np.minimum(np.ceil(units * low - 1e-9), highs)
        pool = cls(
            units, prices, lows.astype(np.int64), highs.astype(np.int64), zero_count(int(prices @ units), sparsity)
        )
        pool.check(sparsity)
        return pool

    def check(self, sparsity: float) -> None:
        """That bounds leave a choice."""
        size = int(self.prices @ self.units)
        least, most = int(self.prices @ self.lows), int(self.prices @ self.highs)
        if not least <= self.target <= most:
            raise UsageError(
                f"the layers can have {least} to {most} zeros of {size}, sparsity {sparsity:g} needs {self.target}",
                hint="another sparsity, or wider bounds; every layer keeps one weight, block or channel",
            )

    def whole(self, zeros: NDArray[np.float64]) -> NDArray[np.int64]:
        """Counts of whole units next to these: rounded down, then one more for the largest rests."""
        counts = np.clip(np.floor(zeros + 1e-9), self.lows, self.highs).astype(np.int64)
        left = self.target - int(self.prices @ counts)
        while True:
            room = [i for i in range(len(counts)) if counts[i] < self.highs[i] and self.prices[i] <= left]
            if not room:
                return counts
            i = max(room, key=lambda i: (zeros[i] - counts[i], -i))
            counts[i] += 1
            left -= int(self.prices[i])

    def sparsities(self, counts: NDArray[np.int64]) -> tuple[float, ...]:
        """Counts as shares, of which zero_count() makes the counts again."""
        return tuple(float(n) / float(max(units, 1)) for n, units in zip(counts, self.units, strict=True))


def _check_bounds(low: float, high: float) -> None:
    if not 0.0 <= low <= high <= 1.0:
        raise UsageError(f"bounds {low:g}..{high:g} of sparsities are not in order in [0, 1]", hint=_KINDS)
