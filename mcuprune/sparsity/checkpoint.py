"""Checkpoints of a training that prunes: one file with model, optimizer, masks and epoch."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mcuprune.errors import ModelError, UsageError
from mcuprune.files import write_file_atomic
from mcuprune.sparsity.pruner import Pruner
from mcuprune.sparsity.state import parse_state, state_bytes

NAME = "checkpoint.keras"
_MASKS, _REST = "pruning/masks.npz", "pruning/rest.json"


class PruningCheckpoint(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes a checkpoint after each epoch; restore() takes the training up again, with the same result.

        pruner = Pruner(0.8)
        checkpoint = PruningCheckpoint("run", pruner)
        model, epoch = checkpoint.restore() or (build(), 0)  # build() compiles it, too
        model.fit(x, y, epochs=20, initial_epoch=epoch, callbacks=[pruner, checkpoint])

    The checkpoint is FOLDER/checkpoint.keras: a model file of Keras with its optimizer, and in it masks and epoch, so
    that the three never fit together badly; written whole or not at all. With several workers, each has a folder of
    its own.

    The same result also needs the same samples in each epoch, whatever was before: data shuffled by the epoch's number,
    or not at all.
    """

    def __init__(self, folder: str | Path, pruner: Pruner) -> None:
        super().__init__()
        self.path = Path(folder) / NAME
        self.pruner = pruner

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        with tempfile.TemporaryDirectory(prefix="mcuprune-") as scratch:
            plain = Path(scratch) / NAME
            self.model.save(plain)
            with zipfile.ZipFile(plain, "a") as archive:
                archive.writestr(_MASKS, state_bytes(self.pruner.state()))
                archive.writestr(_REST, json.dumps({"epoch": epoch + 1, "seeds": _seeds(self.model)}))
            write_file_atomic(self.path, plain.read_bytes())

    def restore(self, custom_objects: dict[str, Any] | None = None) -> tuple[Any, int] | None:
        """(model, compiled as it was; the number of finished epochs), the pruner ready to go on; None: no checkpoint.

        Raises:
            ModelError: the file cannot be read as a model; classes of one's own belong into custom_objects.
            UsageError: it holds no masks.
        """
        if not self.path.exists():
            return None
        try:
            content = self.path.read_bytes()
            model = keras.models.load_model(self.path, custom_objects=custom_objects)
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                masks, rest = archive.read(_MASKS), json.loads(archive.read(_REST))
        except KeyError as error:
            raise UsageError("the file holds no masks", where=str(self.path), hint="another folder") from error
        except Exception as error:  # Keras raises whatever its parts raise
            first = str(error).strip().split("\n")[0][:300]
            raise ModelError(
                f"the checkpoint cannot be loaded: {type(error).__name__}: {first}",
                where=str(self.path),
                hint="restore(custom_objects=...) for classes of your own, or a new folder",
            ) from error
        self.pruner.restore(parse_state(masks, str(self.path)))
        for variable, seed in zip(_seed_variables(model), rest["seeds"], strict=True):
            variable.assign(np.asarray(seed, np.uint32))
        return model, int(rest["epoch"])


def _seed_variables(model: Any) -> list[Any]:
    """The states of the model's random numbers, such as dropout's: Keras leaves them out of the file."""
    weights = {id(variable) for variable in model.weights}
    return [v for v in model.variables if id(v) not in weights and v.path.endswith("seed_generator_state")]


def _seeds(model: Any) -> list[list[int]]:
    return [np.asarray(keras.ops.convert_to_numpy(v)).astype(int).tolist() for v in _seed_variables(model)]
