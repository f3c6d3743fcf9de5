"""`.keras` files: read with errors that help, written whole, equal models as equal bytes."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras

from mcuprune.errors import ModelError, UsageError
from mcuprune.files import write_file_atomic
from mcuprune.sparsity.samples import INTEGERS

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip archive can hold


def load_model(path: str | Path, integers: bool = False) -> Any:
    """A Keras 3 model from a `.keras` (or `.h5`) file, not compiled.

    Args:
        integers: whether its input may be of integers, such as tokens.
    Raises:
        ModelError: missing, broken, with classes that Keras does not know, or not of the usual shape (one input of
            known shape, one output of scores).
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"there is no file {path.name}", where=str(path), hint="name a .keras file")
    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever its parts raise
        first = str(error).strip().split("\n")[0][:300]
        raise ModelError(
            f"Keras cannot load the model: {type(error).__name__}: {first}",
            where=str(path),
            hint=why_not(path),
        ) from error
    check_model(model, path.name, integers)
    return model


def why_not(path: Path) -> str:
    """What to do about a file that Keras cannot load, by the classes that its config names."""
    if path.suffix != ".keras":
        return "is the file whole, saved by Keras, and without classes of your own?"
    try:
        with zipfile.ZipFile(path) as archive:
            config = archive.read("config.json").decode()
    except (OSError, KeyError, UnicodeDecodeError, zipfile.BadZipFile):
        return "it is no whole .keras file, which is a zip archive: save the model again by Keras 3"
    if '"PruneLowMagnitude"' in config:
        return (
            "it was saved with its pruning wrappers: load it within sparsity.prune_scope(), and save what "
            "sparsity.strip_pruning() gives"
        )
    if '"Quantize' in config or '"FakeQuantize"' in config:
        return (
            "it was saved in training for int8: load it within quantization.quantize_scope(), and convert it by "
            "quantization.convert_qat(), or save what quantization.strip_quantization() gives"
        )
    return "was it saved by Keras 3, and without classes of your own?"


def check_model(model: Any, source: str, integers: bool = False) -> None:
    """One input of known shape, of floats, or of integers where those are taken; one output (batch, classes).

    Raises:
        ModelError: another shape of model.
    """
    check_input(model, source, integers)
    if len(model.outputs) != 1:
        raise ModelError(f"the model has {len(model.outputs)} outputs, one is supported", where=source)
    shape = tuple(model.outputs[0].shape)
    if len(shape) != 2 or shape[-1] is None or shape[-1] < 2:
        raise ModelError(
            f"the model's output has shape {shape}, not one score for each class (batch, classes)",
            where=source,
            hint="end in Dense(classes), with or without softmax",
        )


def require_model(model: Any, what: str = "model") -> None:
    """Refuse what is no Keras model.

    Raises:
        ModelError: it is none.
    """
    if not isinstance(model, keras.Model):
        hint = "sparsity.load_model(path) reads one" if isinstance(model, (str, Path)) else "such as a keras.Sequential"
        raise ModelError(f"the {what} is no Keras model, got {type(model).__name__}", hint=hint)


def check_input(model: Any, source: str, integers: bool = False) -> None:
    """One input of known shape, of floats, or of integers where those are taken.

    Raises:
        ModelError: another one, or the model is not built.
    """
    require_model(model)
    inputs = getattr(model, "inputs", None)
    if not model.built or not inputs or not getattr(model, "outputs", None):
        raise ModelError("the model is not built", where=source, hint="call it once on a batch, then save it")
    if len(inputs) != 1:
        raise ModelError(f"the model has {len(inputs)} inputs, one is supported", where=source)
    if any(n is None for n in inputs[0].shape[1:]):
        raise ModelError(
            f"the input's shape {tuple(inputs[0].shape)} is not fixed", where=source, hint="fix all but the batch"
        )
    dtype = keras.backend.standardize_dtype(inputs[0].dtype)
    if dtype not in ("float32", "float16", "bfloat16", *(INTEGERS if integers else ())):
        raise ModelError(f"the model's input is {dtype}, float32 is supported", where=source)


def save_model(model: Any, path: str | Path) -> None:
    """Write a `.keras` file: whole or not at all.

    Raises:
        UsageError: the name does not end in .keras, or the place cannot be written.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise UsageError(f"a Keras model is written as .keras, not as {path.name}", hint=f"-o {path.stem}.keras")
    write_file_atomic(path, model_bytes(model))


def model_bytes(model: Any) -> bytes:
    """The `.keras` file of a model: without dates, compressed (zeros pack well)."""
    with tempfile.TemporaryDirectory(prefix="mcuprune-") as scratch:
        path = Path(scratch) / "model.keras"
        model.save(path)
        result = io.BytesIO()
        with zipfile.ZipFile(path) as saved, zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
            for name in sorted(saved.namelist()):
                content = saved.read(name)
                if name == "metadata.json":
                    content = json.dumps({**json.loads(content), "date_saved": "1980-01-01@00:00:00"}).encode()
                elif name == "config.json":
                    content = json.dumps(_renumber(json.loads(content), {})).encode()
                entry = zipfile.ZipInfo(name, _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                out.writestr(entry, content)
    return result.getvalue()


def _renumber(config: Any, numbers: dict[int, int]) -> Any:
    """A config whose shared objects are numbered in their order; Keras writes their addresses."""
    if isinstance(config, list):
        return [_renumber(entry, numbers) for entry in config]
    if not isinstance(config, dict):
        return config
    return {
        key: numbers.setdefault(value, len(numbers)) if key == "shared_object_id" else _renumber(value, numbers)
        for key, value in config.items()
    }
