"""A checkpoint of prune() after each epoch, so that an interrupted training goes on with the same result."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mcuprune.errors import UsageError
from mcuprune.files import write_file_atomic
from mcuprune.sparsity.pruner import Pruner
from mcuprune.sparsity.state import parse_state, state_bytes

NAME = "prune.npz"
_HINT = "the options, data and model that it began with, or another folder"


class TrainingCheckpoint:
    """FOLDER/prune.npz: weights, optimizer, masks and the reports so far; written whole or not at all.

    identity: what must be equal for a training to go on: options, data, the model that it began with.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self.path = folder / NAME
        self.identity = json.loads(json.dumps(identity))

    def save(self, model: Any, pruner: Pruner, reports: Sequence[dict[str, Any]]) -> None:
        """Write it after an epoch.

        Raises:
            UsageError: the folder cannot be written.
        """
        head = {"identity": self.identity, "reports": list(reports)}
        arrays: dict[str, Any] = {f"value_{i}": _read(v) for i, v in enumerate(_variables(model))}
        if pruner.masked:
            arrays["masks"] = np.frombuffer(state_bytes(pruner.state()), np.uint8)
        result = io.BytesIO()
        np.savez(result, head=np.array(json.dumps(head)), **arrays)
        write_file_atomic(self.path, result.getvalue())

    def restore(self, model: Any, pruner: Pruner) -> list[dict[str, Any]]:
        """Take a training up: its reports so far, none where there is no checkpoint.

        Raises:
            UsageError: the file is broken, or of another training.
        """
        if not self.path.exists():
            return []
        try:
            with np.load(io.BytesIO(self.path.read_bytes()), allow_pickle=False) as arrays:
                head = json.loads(str(arrays["head"]))
                values = [arrays[f"value_{i}"] for i in range(len(arrays.files) - 1 - ("masks" in arrays))]
                masks = arrays["masks"].tobytes() if "masks" in arrays else None
            identity, reports = dict(head["identity"]), list(head["reports"])
        except Exception as error:  # numpy raises whatever its parts raise
            raise UsageError(
                f"the checkpoint cannot be read: {type(error).__name__}: {error}",
                where=str(self.path),
                hint="remove it, and the training begins anew",
            ) from error
        other = [key for key in self.identity if identity.get(key) != self.identity[key]]
        if other:
            said = ", ".join(f"{key} {identity.get(key)} there, {self.identity[key]} here" for key in other)
            raise UsageError(f"the checkpoint is of another training: {said}", where=str(self.path), hint=_HINT)
        variables = _variables(model)
        if [v.shape for v in values] != [tuple(v.shape) for v in variables]:
            raise UsageError("the checkpoint is of another model", where=str(self.path), hint=_HINT)
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        if masks is not None:
            pruner.restore(parse_state(masks, str(self.path)))
        return reports

    def remove(self) -> None:
        """The training is done."""
        self.path.unlink(missing_ok=True)


def digest(arrays: Sequence[NDArray[Any]]) -> str:
    """8 hexadecimal digits that tell other data apart."""
    sums = 0
    for array in arrays:
        sums = zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data, sums)
    return f"{sums:08x}"


def _variables(model: Any) -> list[Any]:
    """All state of a training: weights, random numbers, optimizer; masks are apart."""
    model.optimizer.build(model.trainable_variables)
    return [*model.variables, *(v for v in model.optimizer.variables if v.name != "pruning_mask")]


def _read(variable: Any) -> NDArray[Any]:
    return np.asarray(keras.ops.convert_to_numpy(variable))
