"""A recipe: the whole road in one TOML file. Paths and data modules are looked for beside the recipe first."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from mcuprune.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PruneOptions:
    """[prune], as the options of `mcuprune prune`. Without the section the model is taken as it is."""

    sparsity: float | None = None
    pattern: str = "unstructured"
    layers: tuple[str, ...] = ()
    epochs: int = 5
    batch_size: int = 100
    learning_rate: float = 6e-4
    distill: float = 0.7
    seed: int = 1


@dataclass(frozen=True, slots=True)
class QuantizeOptions:
    """[quantize]: samples to calibrate with, and the model's inputs and outputs: int8 or float."""

    samples: int = 500
    io: str = "int8"


@dataclass(frozen=True, slots=True)
class GenerateOptions:
    """[generate], as the options of `mcuprune generate`."""

    optimize: str = "balanced"
    encodings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """[check]: at most so many samples, and the accuracy (0 to 1) that the board must reach."""

    samples: int | None = None
    min_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to do with which model on which board.

    data: training (and validation) samples, needed for a .keras model. test: labelled samples for the board.
    """

    file: Path
    name: str
    model: Path
    board: str
    test: str
    data: str | None
    prune: PruneOptions | None
    quantize: QuantizeOptions
    generate: GenerateOptions
    check: CheckOptions

    @property
    def trains(self) -> bool:
        """Whether the road begins with a Keras model."""
        return self.model.suffix == ".keras"


_SECTIONS = {"prune": PruneOptions, "quantize": QuantizeOptions, "generate": GenerateOptions, "check": CheckOptions}
_KEYS = ("name", "model", "board", "test", "data")


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        UsageError: the file is missing, is no TOML, or a key is unknown, missing or of the wrong type.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise UsageError(f"the recipe cannot be read: {fault.strerror}", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise UsageError(f"the recipe is not TOML: {fault}", where=str(path)) from None
    unknown = [key for key in table if key not in (*_KEYS, *_SECTIONS)]
    if unknown:
        raise UsageError(
            f"the recipe has an unknown key {unknown[0]!r}",
            where=str(path),
            hint=f"keys: {', '.join((*_KEYS, *_SECTIONS))}",
        )
    texts = {key: _text(table, key, path, optional=key == "data") for key in _KEYS}
    model = path.parent / str(texts["model"])
    if model.suffix not in (".keras", ".tflite"):
        raise UsageError(f"model {texts['model']!r} is neither .keras nor .tflite", where=str(path))
    if model.suffix == ".keras" and texts["data"] is None:
        raise UsageError(
            "a .keras model needs data to be trained and calibrated", where=str(path), hint="data = 'FILE.npz'"
        )
    return Recipe(
        file=path,
        name=str(texts["name"]),
        model=model,
        board=str(texts["board"]),
        test=str(texts["test"]),
        data=texts["data"],
        prune=_section(PruneOptions, table["prune"], "prune", path) if "prune" in table else None,
        quantize=_section(QuantizeOptions, table.get("quantize", {}), "quantize", path),
        generate=_section(GenerateOptions, table.get("generate", {}), "generate", path),
        check=_section(CheckOptions, table.get("check", {}), "check", path),
    )


def _text(table: Mapping[str, Any], key: str, path: Path, *, optional: bool) -> str | None:
    value = table.get(key)
    if value is None and optional:
        return None
    if not isinstance(value, str) or not value:
        problem = "is missing" if value is None else f"is {value!r}, not a text"
        raise UsageError(f"the recipe's {key} {problem}", where=str(path))
    return value


def _section(kind: type[T], table: Any, name: str, path: Path) -> T:
    """One section as its dataclass, each key checked against the field's type."""
    if not isinstance(table, dict):
        raise UsageError(f"{name} is {table!r}; it must be a section [{name}]", where=str(path))
    annotations = {f: _types(kind, f) for f in kind.__slots__}  # type: ignore[attr-defined]
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in annotations:
            raise UsageError(
                f"[{name}] has an unknown key {key!r}", where=str(path), hint=f"keys: {', '.join(annotations)}"
            )
        wanted = annotations[key]
        if tuple in wanted and isinstance(value, list) and all(isinstance(v, str) for v in value):
            values[key] = tuple(value)
        elif isinstance(value, bool) or not isinstance(value, wanted):
            if float in wanted and isinstance(value, int) and not isinstance(value, bool):
                values[key] = float(value)
                continue
            names = " or ".join("list of texts" if t is tuple else t.__name__ for t in wanted if t is not type(None))
            raise UsageError(f"[{name}] {key} = {value!r}; it needs a {names}", where=str(path))
        else:
            values[key] = value
    return kind(**values)


def _types(kind: type[Any], field: str) -> tuple[type, ...]:
    """Plain types that a field takes."""
    import typing

    hint = typing.get_type_hints(kind)[field]
    if get_origin(hint) is tuple:
        return (tuple,)
    return tuple(get_args(hint)) or (hint,)
