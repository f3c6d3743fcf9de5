"""A recipe: the whole road in one TOML file. Paths and data modules are looked for beside the recipe first."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from mcuprune.emit.c_text import name_fault
from mcuprune.encodings import ENCODINGS
from mcuprune.errors import UsageError
from mcuprune.generate import OBJECTIVES
from mcuprune.masks import Budget, Pattern, Rule, parse_budget, parse_pattern, parse_rule, zero_count
from mcuprune.quantization.options import QatOptions
from mcuprune.quantization.parts import SAMPLES
from mcuprune.sparsity.options import TrainOptions

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")
_TRAIN = TrainOptions()
_QAT = QatOptions()


@dataclass(frozen=True, slots=True)
class PruneOptions:
    """[prune], as the options of `mcuprune prune`. Without the section the model is taken as it is."""

    sparsity: float | None = None
    pattern: str = "unstructured"
    layers: tuple[str, ...] = ()
    budget: str = "uniform"
    shrink: bool = False
    epochs: int = _TRAIN.epochs
    batch_size: int = _TRAIN.batch_size
    learning_rate: float = _TRAIN.learning_rate
    distill: float = _TRAIN.distill
    seed: int = _TRAIN.seed
    criterion: str = _TRAIN.criterion

    def __post_init__(self) -> None:
        if self.sparsity is not None:
            zero_count(1, self.sparsity)
        _ = self.parsed_pattern, self.parsed_budget, self.rules, self.training

    @property
    def parsed_pattern(self) -> Pattern:
        return parse_pattern(self.pattern)

    @property
    def parsed_budget(self) -> Budget | Literal["sensitivity"]:
        """A budget, or `sensitivity`, which training measures first."""
        return "sensitivity" if self.budget == "sensitivity" else parse_budget(self.budget)

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(parse_rule(text) for text in self.layers)

    @property
    def training(self) -> TrainOptions:
        keys = ("epochs", "batch_size", "learning_rate", "distill", "seed", "criterion")
        return TrainOptions(**{key: getattr(self, key) for key in keys})


@dataclass(frozen=True, slots=True)
class QuantizeOptions:
    """[quantize]: samples to calibrate with, and the model's inputs and outputs: int8 or float.

    qat_epochs: with it the model is trained as int8 will compute it, so long, with the qat_ options of that training;
    the ranges come from there, and `samples` has no use.
    """

    samples: int = SAMPLES
    io: str = "int8"
    qat_epochs: int | None = None
    qat_batch_size: int = _QAT.batch_size
    qat_learning_rate: float = _QAT.learning_rate
    qat_distill: float = _QAT.distill

    def __post_init__(self) -> None:
        _check_samples(self.samples)
        _check_word("io", self.io, ("int8", "float"))
        self.training(_QAT.seed)

    def training(self, seed: int) -> QatOptions | None:
        """Options of the training; None without it."""
        if self.qat_epochs is None:
            return None
        return QatOptions(self.qat_epochs, self.qat_batch_size, self.qat_learning_rate, self.qat_distill, seed)


@dataclass(frozen=True, slots=True)
class GenerateOptions:
    """[generate], as the options of `mcuprune generate`."""

    optimize: str = "balanced"
    max_flash: int | None = None
    max_ram: int | None = None
    encodings: tuple[str, ...] = ()
    passes: bool = True
    strips: bool = True
    signature: str | None = None

    def __post_init__(self) -> None:
        _check_word("optimize", self.optimize, OBJECTIVES)
        for key, most in (("max_flash", self.max_flash), ("max_ram", self.max_ram)):
            if most is not None and most < 1:
                raise UsageError(f"{key} {most} is no budget", hint="bytes, 1 or more")
        for text in self.encodings:
            layer, _, encoding = text.rpartition("=")
            if not layer:
                raise UsageError(f"encodings: {text!r} is not LAYER=NAME")
            _check_word(f"encodings: {text!r}", encoding, tuple(ENCODINGS))


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """[check]: at most so many samples, and the accuracy (0 to 1) that the board must reach."""

    samples: int | None = None
    min_accuracy: float | None = None

    def __post_init__(self) -> None:
        if self.samples is not None:
            _check_samples(self.samples)
        if self.min_accuracy is not None and not 0 <= self.min_accuracy <= 1:
            raise UsageError(f"min_accuracy {self.min_accuracy:g} is not in [0, 1]", hint="0.85 is 85%")


def _check_samples(samples: int) -> None:
    if samples < 1:
        raise UsageError(f"{samples} samples are too few", hint="take 1 or more")


def _check_word(key: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{key} = {value!r} is not known", hint=f"one of: {', '.join(known)}")


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
        UsageError: the file is missing, is no TOML, or a key is unknown, missing, of the wrong type or out of range.
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
    reason = name_fault(str(texts["name"]))
    if reason is not None:
        raise UsageError(f"name {texts['name']!r} cannot name a model in C: {reason}", where=str(path))
    model = path.parent / str(texts["model"])
    if model.suffix not in (".keras", ".tflite"):
        raise UsageError(f"model {texts['model']!r} is neither .keras nor .tflite", where=str(path))
    if model.suffix == ".keras" and texts["data"] is None:
        raise UsageError(
            "a .keras model needs data to be trained and calibrated", where=str(path), hint="data = 'FILE.npz'"
        )
    prune = _section(PruneOptions, table["prune"], "prune", path) if "prune" in table else None
    if prune is not None and model.suffix == ".tflite" and (prune.shrink or prune.budget == "sensitivity"):
        key = "shrink" if prune.shrink else "budget = 'sensitivity'"
        raise UsageError(f"[prune] {key} needs a .keras model", where=str(path), hint="begin at the Keras model")
    return Recipe(
        file=path,
        name=str(texts["name"]),
        model=model,
        board=str(texts["board"]),
        test=str(texts["test"]),
        data=texts["data"],
        prune=prune,
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
        elif (isinstance(value, bool) and bool not in wanted) or not isinstance(value, wanted):
            if float in wanted and isinstance(value, int) and not isinstance(value, bool):
                values[key] = float(value)
                continue
            names = " or ".join("list of texts" if t is tuple else t.__name__ for t in wanted if t is not type(None))
            raise UsageError(f"[{name}] {key} = {value!r}; it needs a {names}", where=str(path))
        else:
            values[key] = value
    try:
        return kind(**values)
    except UsageError as fault:
        raise UsageError(f"[{name}] {fault.what}", where=str(path), hint=fault.hint) from None


def _types(kind: type[Any], field: str) -> tuple[type, ...]:
    """Plain types that a field takes."""
    import typing

    hint = typing.get_type_hints(kind)[field]
    if get_origin(hint) is tuple:
        return (tuple,)
    return tuple(get_args(hint)) or (hint,)
