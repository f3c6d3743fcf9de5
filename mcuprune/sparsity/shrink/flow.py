"""How channels go through a model: which belong together, which are constant, and which can leave.

A channel is a place on the last axis of a tensor. Layers such as BatchNormalization or Add keep channels apart: those
of their input and output belong together, and leave together or stay together (a group). Layers that mix channels
(Conv, Dense) part them: an input channel may leave where the layer does not read it, or where it is a constant that
goes into the bias.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Shape = tuple[int | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """The channels of one tensor.

    groups: (C,) number of each channel's group, see Ties. values: (C,) the value that a channel has everywhere and
    always, NaN where it has none. why: what kept a channel of a dead row from being constant.
    """

    shape: Shape
    groups: NDArray[np.int64]
    values: Floats
    why: dict[int, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.groups)


@dataclass(frozen=True, slots=True, eq=False)
class Mix:
    """What a layer that mixes channels does with them, all positions of its kernel together.

    sums: (I, O) sum of the weights from each input to each output channel; used: (I, O) whether any is not zero.
    pads: whether zeros are set around its input, so that a constant is none at the border.
    """

    sums: Floats
    used: Bools
    pads: bool


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """One call of a layer whose weights or settings count channels."""

    layer: Any
    source: Flow
    result: Flow
    mix: Mix | None = None


class Ties:
    """Groups of channels: numbers that are joined; and those that must stay, with the reason."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self.fixed: dict[int, str] = {}

    def new(self, count: int) -> NDArray[np.int64]:
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return np.arange(first, first + count)

    def root(self, number: int) -> int:
        while self._parents[number] != number:
            self._parents[number] = self._parents[self._parents[number]]
            number = self._parents[number]
        return number

    def roots(self, numbers: Iterable[int]) -> NDArray[np.int64]:
        return np.array([self.root(int(n)) for n in numbers], np.int64)

    def join(self, ours: Sequence[int] | NDArray[np.int64], theirs: Sequence[int] | NDArray[np.int64]) -> None:
        """Join numbers in pairs; the lower root stays the root."""
        for a, b in zip(ours, theirs, strict=True):
            low, high = sorted((self.root(int(a)), self.root(int(b))))
            self._parents[high] = low

    def fix(self, numbers: Iterable[int], reason: str) -> None:
        """These stay; the first reason counts."""
        for number in numbers:
            self.fixed.setdefault(int(number), reason)


class Plan:
    """What interpreting a model found out, and which groups leave.

    exact: constants that a zero padding would make inexact at the border stay channels.
    """

    def __init__(self, exact: bool) -> None:
        self.exact = exact
        self.ties = Ties()
        self.sites: list[Site] = []
        self.flows: list[Flow] = []
        self.removed: frozenset[int] = frozenset()
        self.reasons: dict[int, str] = {}

    def flow(self, shape: Shape, groups: NDArray[np.int64], values: Floats, why: dict[int, str] | None = None) -> Flow:
        made = Flow(shape, groups, values, why or {})
        self.flows.append(made)
        return made

    def fresh(self, shape: Shape, values: Floats | None = None, why: dict[int, str] | None = None) -> Flow:
        """A tensor whose channels belong to no others."""
        count = int(shape[-1] or 0) if shape else 0
        return self.flow(shape, self.ties.new(count), np.full(count, np.nan) if values is None else values, why)

    def pinned(self, shape: Shape, reason: str) -> Flow:
        """A tensor whose channels all stay."""
        made = self.fresh(shape)
        self.ties.fix(made.groups, reason)
        return made

    def border(self, mix_pads: bool, values: Floats) -> Bools:
        """Which channels a zero padding makes inexact."""
        inexact: Bools = (values != 0) & ~np.isnan(values)
        return inexact & (mix_pads and self.exact)

    def kept(self, flow: Flow) -> Bools:
        """Which channels of a tensor stay."""
        return np.array([root not in self.removed for root in self.ties.roots(flow.groups)], np.bool_)

    def shift(self, site: Site) -> Floats:
        """(O,) what the channels that leave add to each output of a layer that mixes."""
        assert site.mix is not None
        leaves = ~self.kept(site.source)
        constants = np.where(leaves & ~np.isnan(site.source.values), site.source.values, 0.0)
        total: Floats = constants @ site.mix.sums
        return total

    def decide(self) -> None:
        """Find all groups that can leave: none of their channels is read as anything but a constant.

        What leaves reads nothing, so that more can leave: until nothing changes.
        """
        self._tie_shared()
        roots = {int(root) for flow in self.flows for root in self.ties.roots(flow.groups)}
        while True:
            found = self._stuck()
            removed = frozenset(roots - set(found))
            last = self._last_channel(removed)
            if last is not None:
                self.ties.fix([last], "one channel stays")
            elif removed == self.removed:
                self.reasons = found
                return
            else:
                self.removed = removed

    def _tie_shared(self) -> None:
        """The calls of one layer have the same channels."""
        first: dict[int, Site] = {}
        for site in self.sites:
            one = first.setdefault(id(site.layer), site)
            if one is not site:
                self.ties.join(one.source.groups, site.source.groups)
                self.ties.join(one.result.groups, site.result.groups)

    def _stuck(self) -> dict[int, str]:
        """Groups that must stay, and why, given what has left already."""
        found: dict[int, str] = {}
        for number, reason in self.ties.fixed.items():
            found.setdefault(self.ties.root(number), reason)
        constants: dict[tuple[int, int], float] = {}
        for site in self.sites:
            if site.mix is None:
                continue
            read = site.mix.used[:, self.kept(site.result)].any(axis=1)
            values, border = site.source.values, self.border(site.mix.pads, site.source.values)
            for c in np.flatnonzero(read):
                root, value = self.ties.root(int(site.source.groups[c])), float(values[c])
                other = constants.setdefault((id(site.layer), int(c)), value)
                if np.isnan(value):
                    found[root] = found.get(root) or site.source.why.get(int(c), "")
                elif border[c]:
                    found[root] = found.get(root) or padding_reason(site.layer)
                elif other != value:
                    found[root] = found.get(root) or f"the calls of '{site.layer.name}' see different constants"
        return found

    def _last_channel(self, removed: frozenset[int]) -> int | None:
        """A group without which a tensor would have no channel left."""
        for flow in self.flows:
            roots = self.ties.roots(flow.groups)
            if len(roots) and all(int(root) in removed for root in roots):
                return int(roots[0])
        return None


def padding_reason(layer: Any) -> str:
    """Why a constant cannot go into a bias exactly."""
    return f"'{layer.name}' pads with zeros, and the constant is not zero"
