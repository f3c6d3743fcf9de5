"""The state of a pruner as a file, so that an interrupted training goes on with the masks that it had."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcuprune.errors import UsageError
from mcuprune.sparsity.schedule import ConstantSparsity, PolynomialDecay, PruningSchedule

FORMAT = 1
_SCHEDULES = {schedule.__name__: schedule for schedule in (ConstantSparsity, PolynomialDecay)}

Entry = tuple[str, tuple[int, int], str]


@dataclass(frozen=True, slots=True, eq=False)
class PrunerState:
    """What a pruner knows.

    step: the latest one that it was asked about; -1: none.
    reached: share (0..1) of the goals that the masks have.
    schedule: schedule_text() of the ramp that fit() planned, `""` where one was given.
    entries: (layer, (rows, cols), goal) of each weight with a goal.
    shares: the sparsities that the goals have; a global budget moves them.
    masks: which weights stay, bool (rows, cols); None: all of them.
    """

    step: int
    reached: float
    schedule: str
    entries: tuple[Entry, ...]
    shares: tuple[float, ...]
    masks: tuple[NDArray[np.bool_] | None, ...]

    def check(self, entries: Sequence[Entry]) -> None:
        """Hold it against the weights and goals of a pruner. Names of layers may differ, Keras numbers them anew.

        Raises:
            UsageError: another number of weights, other shapes or other goals.
        """
        if len(entries) != len(self.entries):
            raise UsageError(
                f"the saved masks are of {len(self.entries)} weights, {len(entries)} are pruned here",
                hint="the same model, and a Pruner with the same arguments",
            )
        for saved, wanted in zip(self.entries, entries, strict=True):
            if saved[1:] != wanted[1:]:
                raise UsageError(
                    f"the saved masks do not fit: {_words(saved)} there, {_words(wanted)} here",
                    hint="the same model, and a Pruner with the same arguments",
                )


def state_bytes(state: PrunerState) -> bytes:
    """A state as the content of an .npz file; a bit for each weight, compressed."""
    head = {
        "format": FORMAT,
        "step": state.step,
        "reached": state.reached,
        "schedule": state.schedule,
        "entries": state.entries,
        "shares": state.shares,
    }
    arrays: dict[str, Any] = {f"mask_{i}": np.packbits(keep) for i, keep in enumerate(state.masks) if keep is not None}
    result = io.BytesIO()
    np.savez_compressed(result, head=np.array(json.dumps(head)), **arrays)
    return result.getvalue()


def read_state(path: Path) -> PrunerState:
    """The state in a file that Pruner.save() wrote.

    Raises:
        UsageError: missing, broken, or of another version.
    """
    try:
        return parse_state(path.read_bytes(), str(path))
    except OSError as error:
        raise UsageError(f"{path.name} cannot be read: {error.strerror}", where=str(path)) from error


def parse_state(content: bytes, source: str) -> PrunerState:
    """The inverse of state_bytes().

    Raises:
        UsageError: broken, or of another version.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            head = json.loads(str(arrays["head"]))
            if head["format"] != FORMAT:
                raise ValueError(f"format {head['format']}, this version knows {FORMAT}")
            entries = tuple(
                (str(name), (int(shape[0]), int(shape[1])), str(goal)) for name, shape, goal in head["entries"]
            )
            masks = tuple(_mask(arrays, i, shape) for i, (_, shape, _) in enumerate(entries))
            shares = tuple(float(share) for share in head["shares"])
        return PrunerState(int(head["step"]), float(head["reached"]), str(head["schedule"]), entries, shares, masks)
    except Exception as error:  # numpy raises whatever its parts raise
        raise UsageError(
            f"these are no saved masks: {type(error).__name__}: {error}",
            where=source,
            hint="a file that Pruner.save() wrote, or a new training",
        ) from error


def schedule_text(schedule: PruningSchedule | None) -> str:
    """A schedule of this package as text; `""` for none and for others."""
    return json.dumps(schedule.get_config()) if type(schedule) in _SCHEDULES.values() and schedule else ""


def schedule_of(text: str) -> PruningSchedule | None:
    """The inverse of schedule_text()."""
    if not text:
        return None
    found = json.loads(text)
    return _SCHEDULES[found["class_name"]].from_config(found["config"])


def _mask(arrays: Any, number: int, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    if f"mask_{number}" not in arrays:
        return None
    rows, cols = shape
    return np.unpackbits(arrays[f"mask_{number}"], count=rows * cols).reshape(shape).astype(np.bool_)


def _words(entry: Entry) -> str:
    name, (rows, cols), goal = entry
    return f"{name} ({rows}, {cols}) {goal}"
