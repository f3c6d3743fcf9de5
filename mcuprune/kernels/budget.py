"""The fastest choice of all layers that fits a budget of flash: weights, parameters, and the code of the kernels.

The budget is the user's; for the objectives `balanced` and `flash` it is what our own dense kernels take, and bytes and
effort are weighed against each other.

Code is shared: the first layer that takes a source file pays for it. So a state is the set of files that are paid
for, the flash so far and the effort so far; layers are added one by one, and states that another one beats whatever
follows are dropped. Exact while few states are left; beyond that, of states that differ by less than a thousandth of
the effort the smallest stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcuprune.boards import Core
from mcuprune.errors import FitError
from mcuprune.ir.graph import Op
from mcuprune.kernels.choose import DENSE, Choice, as_fast, candidates, code_of, dense_of, eligible, explain
from mcuprune.kernels.params import LayerParams

OBJECTIVE = "max-flash"
WEIGHTS: Mapping[str, float] = {"balanced": 1.0, "flash": 3.0}
"""How many percent of effort a percent of flash is worth, by objective."""

FINE = 1000  # steps of effort, where states are many
MANY = 4096


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes of weights, parameters and kernels' code: what was allowed, what was reached, the least there is."""

    max_flash_bytes: int
    reached_bytes: int
    smallest_bytes: int


def choose_within(
    layers: Sequence[tuple[Op, LayerParams | None]],
    core: Core,
    max_flash_bytes: int,
    forced: Mapping[int, str],
    source: str = "",
) -> tuple[tuple[Choice, ...], Budget]:
    """The choices with the least predicted effort within a budget of flash.

    The code of kernels that were not measured is not counted, as nothing else could serve their layers.

    Args:
        forced: encodings by index of the operator.
        source: the model's name, for errors.
    Raises:
        FitError: no choice is that small.
        EncodingError, ModelError: see choose().
    """
    problem = _problem(layers, core, forced)
    smallest = problem.smallest()
    if smallest.bytes > max_flash_bytes:
        raise FitError(
            f"weights, parameters and kernels' code take at least {smallest.bytes} bytes, "
            f"{max_flash_bytes} are allowed",
            where=f"--max-flash {max_flash_bytes}, {source}" if source else f"--max-flash {max_flash_bytes}",
            hint=f"--max-flash {smallest.bytes}, or prune the model further",
        )
    choices, reached = problem.within(Limits(max_flash_bytes), OBJECTIVE)
    return choices, Budget(max_flash_bytes, reached, smallest.bytes)


def choose_weighed(
    layers: Sequence[tuple[Op, LayerParams | None]], core: Core, forced: Mapping[int, str], objective: str
) -> tuple[Choice, ...]:
    """The least effort * bytes ** WEIGHTS[objective], of the whole model with its kernels' code.

    `flash` never takes more bytes than our own dense kernels, `balanced` neither more bytes nor more effort.

    Raises:
        EncodingError, ModelError: see choose().
    """
    problem = _problem(layers, core, forced)
    dense = problem.dense()
    most = Limits(max(dense.bytes, problem.smallest().bytes), dense.effort if objective == "balanced" else np.inf)
    return problem.within(most, objective, WEIGHTS[objective])[0]


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """Candidates of every layer, those that may be chosen and why, the same as options, and what kernels cost."""

    found: Sequence[Sequence[Choice]]
    open_to: Sequence[tuple[Sequence[Choice], str]]
    options: Sequence[Sequence[Option]]
    code: Mapping[str, int]

    def smallest(self) -> Solution:
        """The least flash, whatever the effort."""
        best = solve([[replace(option, effort=0.0) for option in some] for some in self.options], self.code)
        assert best is not None
        return best

    def dense(self) -> Solution:
        """What the fastest dense kernels take, and of layers that are open to none the fastest ones."""
        picks = []
        for (some, _), options in zip(self.open_to, self.options, strict=True):
            dense = [i for i, choice in enumerate(some) if choice.encoding == DENSE] or range(len(some))
            picks.append(min(dense, key=lambda i, options=options: (options[i].effort, options[i].bytes)))
        taken = [options[at] for options, at in zip(self.options, picks, strict=True)]
        code = sum(self.code[file] for file in frozenset().union(*(option.files for option in taken)))
        return Solution(tuple(picks), sum(o.bytes for o in taken) + code, sum(o.effort for o in taken))

    def within(self, limits: Limits, objective: str, weight: float = 0.0) -> tuple[tuple[Choice, ...], int]:
        """The best of solve() within limits that are known to be enough, and the bytes that it takes."""
        best = solve(self.options, self.code, limits, weight) or self.dense()
        choices = tuple(
            replace(some[at], found=tuple(every), why=why or _why(some, at, objective))
            for (some, why), every, at in zip(self.open_to, self.found, best.picks, strict=True)
        )
        return choices, best.bytes


def _problem(layers: Sequence[tuple[Op, LayerParams | None]], core: Core, forced: Mapping[int, str]) -> _Problem:
    found = [candidates(op, params, core) if params is not None else [Choice(op)] for op, params in layers]
    open_to = [eligible(some, core, forced.get(some[0].op.index)) for some in found]
    code: dict[str, int] = {}
    for kernel in {c.kernel: None for some, _ in open_to for c in some if c.kernel is not None}:
        code |= code_of(kernel, core)
    options = [[option_of(choice, some, core) for choice in some] for some, _ in open_to]
    return _Problem(found, open_to, options, code)


def _has_dense(some: Sequence[Choice]) -> bool:
    return any(choice.encoding == DENSE for choice in some)


@dataclass(frozen=True, slots=True)
class Limits:
    """The most bytes and the most effort that a choice may take."""

    bytes: float = np.inf
    effort: float = np.inf


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Option:
    """A candidate as solve() sees it. files: source files of its code."""

    files: frozenset[str]
    bytes: int
    effort: float


@dataclass(frozen=True, slots=True)
class Solution:
    """Position of the chosen option in each layer, and what the whole takes."""

    picks: tuple[int, ...]
    bytes: int
    effort: float


@dataclass(frozen=True, slots=True)
class _States:
    """Columns: files that are paid for (a bit each), bytes, effort, the state before and the option that led here."""

    paid: NDArray[np.int64]
    bytes: NDArray[np.int64]
    effort: NDArray[np.float64]
    before: NDArray[np.int64]
    pick: NDArray[np.int64]

    def take(self, which: NDArray[np.int64]) -> _States:
        return _States(*(column[which] for column in self.columns))

    @property
    def columns(self) -> tuple[NDArray[Any], ...]:
        return self.paid, self.bytes, self.effort, self.before, self.pick


def solve(
    layers: Sequence[Sequence[Option]],
    code: Mapping[str, int],
    limits: Limits = NO_LIMITS,
    weight: float = 0.0,
) -> Solution | None:
    """The least effort * bytes ** weight, then the least bytes, of one option a layer; None where none fits."""
    order = sorted(range(len(layers)), key=lambda i: sorted(_files(layers[i])))  # layers that share files together
    bits = {file: bit for bit, file in enumerate(sorted(code))}
    price = np.array([code[file] for file in bits], np.int64)
    rest = _least_after([layers[i] for i in order])
    zero = np.zeros(1, np.int64)
    states = _States(zero, zero, np.zeros(1), zero, zero)
    steps = []
    for place, index in enumerate(order):
        states = _extend(states, layers[index], bits, price)
        states = states.take(np.flatnonzero(states.bytes + rest[place + 1] <= limits.bytes))
        if not len(states.bytes):
            return None
        later = _mask(frozenset().union(*(_files(layers[i]) for i in order[place + 1 :])), bits)
        states = replace(states, paid=states.paid & later)
        states = _prune(states, price)
        steps.append(states)
    return _read(steps, order, layers, limits.effort, weight)


def option_of(choice: Choice, some: Sequence[Choice], core: Core) -> Option:
    """A candidate that only its predictions' error makes faster than dense counts as slower: it may save flash."""
    effort = choice.cost.effort
    if len(some) > 1 and _has_dense(some):
        dense = dense_of(some)
        if not as_fast(choice, dense):
            effort = max(choice.cost.high, dense.cost.high)
    files = frozenset(code_of(choice.kernel, core)) if choice.kernel is not None else frozenset[str]()
    return Option(files, choice.table_bytes, effort)


def _why(some: Sequence[Choice], at: int, objective: str) -> str:
    """The choice beside the next best in speed."""
    if len(some) == 1 or not _has_dense(some):
        return ""
    others = sorted((c for c in some if c is not some[at]), key=lambda c: (c.cost.effort, c.table_bytes))
    return explain([some[at], *others], dense_of(some), objective)


def _files(options: Sequence[Option]) -> frozenset[str]:
    return frozenset().union(*(option.files for option in options))


def _mask(files: frozenset[str], bits: Mapping[str, int]) -> int:
    return sum(1 << bits[file] for file in files)


def _least_after(layers: Sequence[Sequence[Option]]) -> list[int]:
    """Bytes that the layers from each place on take at least, without code."""
    rest = [0]
    for options in reversed(layers):
        rest.append(rest[-1] + min(option.bytes for option in options))
    return rest[::-1]


def _extend(states: _States, options: Sequence[Option], bits: Mapping[str, int], price: NDArray[np.int64]) -> _States:
    """Every state with every option of the next layer."""
    count = len(states.bytes)
    parts: list[tuple[NDArray[Any], ...]] = []
    for pick, option in enumerate(options):
        fresh = np.zeros(count, np.int64)
        for file in option.files:
            fresh += np.where(states.paid >> bits[file] & 1, 0, price[bits[file]])
        parts.append(
            (
                states.paid | _mask(option.files, bits),
                states.bytes + option.bytes + fresh,
                states.effort + option.effort,
                np.arange(count),
                np.full(count, pick, np.int64),
            )
        )
    return _States(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _prune(states: _States, price: NDArray[np.int64]) -> _States:
    """Drop states that another beats, also where that one has yet to pay for files that the state has."""
    states = states.take(_front(states))
    if len(states.bytes) > MANY:
        states = _thin(states)
    sets, owner = np.unique(states.paid, return_inverse=True)
    bits = sets[:, None] >> np.arange(len(price)) & 1
    owed = (bits * price) @ (1 - bits.T)  # by a state's set and another's: what the other has yet to pay
    left = np.arange(len(states.bytes))  # by sets, and in each by bytes rising, effort falling
    for place in np.argsort(np.minimum.reduceat(states.bytes, np.flatnonzero(np.diff(owner, prepend=-1)))):
        theirs = left[owner[left] == place]
        if len(theirs):  # what is beaten beats nothing that its winner does not
            left = left[~_beaten(states, left, theirs, owed[owner[left], place])]
    return states.take(left)


def _beaten(
    states: _States, mine: NDArray[np.int64], theirs: NDArray[np.int64], owed: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which of `mine` one of `theirs`, all of one set of files, beats once it has paid what it owes."""
    at = np.searchsorted(states.bytes[theirs], states.bytes[mine] - owed, side="right") - 1
    best = theirs[np.maximum(at, 0)]
    effort = np.where(at >= 0, states.effort[best], np.inf)
    size = np.where(at >= 0, states.bytes[best] + owed, np.inf)
    better = (effort < states.effort[mine]) | (size < states.bytes[mine]) | (states.paid[best] < states.paid[mine])
    beaten: NDArray[np.bool_] = (states.paid[best] != states.paid[mine]) & (effort <= states.effort[mine]) & better
    return beaten


def _front(states: _States) -> NDArray[np.int64]:
    """Within each set of files, the states that no other is both smaller and faster than; by bytes rising."""
    order = np.lexsort((states.effort, states.bytes, states.paid))
    paid, effort = states.paid[order], states.effort[order]
    kept = np.zeros(len(order), bool)
    starts = np.flatnonzero(np.concatenate(([True], paid[1:] != paid[:-1])))
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        least = np.minimum.accumulate(effort[start:end])
        kept[start] = True
        kept[start + 1 : end] = effort[start + 1 : end] < least[:-1]
    return order[kept]


def _thin(states: _States) -> _States:
    """Of states of a set of files that hardly differ in effort, the smallest."""
    low, high = float(states.effort.min()), float(states.effort.max())
    step = np.floor((states.effort - low) / max(high - low, 1e-9) * FINE).astype(np.int64)
    fresh = np.concatenate(([True], (states.paid[1:] != states.paid[:-1]) | (step[1:] != step[:-1])))
    return states.take(np.flatnonzero(fresh))


def _read(
    steps: Sequence[_States],
    order: Sequence[int],
    layers: Sequence[Sequence[Option]],
    most_effort: float,
    weight: float,
) -> Solution | None:
    """The best last state, and the options that led to it; None where all take too much effort."""
    last = steps[-1]
    worth = last.effort * last.bytes.astype(np.float64) ** weight
    worth[last.effort > most_effort * (1 + 1e-9)] = np.inf
    if not np.isfinite(worth).any():
        return None
    at = int(np.lexsort((last.bytes, worth))[0])
    size, effort = int(last.bytes[at]), float(last.effort[at])
    picks = [0] * len(layers)
    for states, index in zip(reversed(steps), reversed(order), strict=True):
        picks[index] = int(states.pick[at])
        at = int(states.before[at])
    return Solution(tuple(picks), size, effort)
