"""Data sets: what `--data D` names. How samples become the model's input bytes is in inputs.py.

D is `FILE.npz[:x=NAME,y=NAME[,xv=NAME,yv=NAME]]` or `module:function` returning (x, y) or (x, y, x_val, y_val). Of a
model with several inputs x is `x=NAME+NAME`, or a dict of arrays, in the order of the model's inputs.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import traceback
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.errors import DataError, McupruneError

Array = npt.NDArray[Any]

_ROLES = ("x", "y", "xv", "yv")
_FORM = "FILE.npz[:x=NAME,y=NAME[,xv=NAME,yv=NAME]] or module:function"
_UNREADABLE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError)


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Samples and labels as they were found, before they meet a model.

    x: (n, ...) of any dtype; others: likewise, for the second and further inputs of a model; y: integer (n,), None only
    where load_dataset() was told that labels are not needed; xv, yv: the validation part, or None. `source` is the
    spec, for messages.
    """

    x: Array
    y: Array | None
    xv: Array | None
    yv: Array | None
    source: str
    class_names: tuple[str, ...] | None = None
    others: tuple[Array, ...] = ()

    def __len__(self) -> int:
        return len(self.x)

    def head(self, samples: int | None) -> Dataset:
        """The first `samples` samples (all where None or more than there are); the validation part stays."""
        if samples is None:
            return self
        if samples < 1:
            raise DataError(f"{samples} samples are too few", hint="take 1 or more")
        y = None if self.y is None else self.y[:samples]
        others = tuple(x[:samples] for x in self.others)
        return Dataset(self.x[:samples], y, self.xv, self.yv, self.source, self.class_names, others)

    def labels(self) -> Array:
        """y, for stages that cannot do without."""
        if self.y is None:
            raise DataError("the data has no labels", where=self.source, hint="name them: FILE.npz:x=NAME,y=NAME")
        return self.y


@dataclass(frozen=True, slots=True)
class Spec:
    """A parsed D: a file and its keys by role, or a module and a function."""

    text: str
    file: Path | None = None
    keys: tuple[tuple[str, str], ...] = ()
    module: str = ""
    function: str = ""


def parse_spec(text: str, base: Path | None = None) -> Spec:
    """Read D. A name that exists wins, so files whose names hold ':' or '=' are found as they are.

    Args:
        base: folder that relative files are looked up in (a recipe's); default the current one.
    Raises:
        DataError: neither form, an unknown role, or a role given twice.
    """
    folder = base or Path()
    if (folder / text).is_file():
        return Spec(text, folder / text)
    splits = [(text[: m.start()], text[m.end() :]) for m in re.finditer(":", text)]
    for head, tail in reversed(splits):
        if (folder / head).is_file():
            return Spec(text, folder / head, _parse_keys(tail, text))
    missing = next((head for head, _ in splits if head.endswith(".npz")), text if text.endswith(".npz") else None)
    if missing is not None:
        raise DataError(f"there is no file {missing}", where=f"--data {text}", hint=f"the form is {_FORM}")
    if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", text):
        module, function = text.split(":")
        return Spec(text, module=module, function=function)
    raise DataError(
        "the data is neither a file nor module:function", where=f"--data {text}", hint=f"the form is {_FORM}"
    )


def _parse_keys(tail: str, text: str) -> tuple[tuple[str, str], ...]:
    keys: dict[str, str] = {}
    for part in tail.split(","):
        role, equals, name = part.partition("=")
        if not equals or role not in _ROLES or not name or role in keys:
            what = (
                f"{part!r} is given twice" if role in keys else f"{part!r} is none of x=NAME, y=NAME, xv=NAME, yv=NAME"
            )
            raise DataError(what, where=f"--data {text}", hint=f"the form is {_FORM}")
        keys[role] = name
    if ("xv" in keys) != ("yv" in keys):
        raise DataError("xv and yv go together, one is missing", where=f"--data {text}", hint=f"the form is {_FORM}")
    return tuple(keys.items())


def load_dataset(spec: str, *, base: Path | None = None, need_labels: bool = True, several: bool = False) -> Dataset:
    """Load what D names; of a file, only the arrays that are asked for are read.

    Args:
        spec: D, see parse_spec().
        base: folder for relative files and for modules, before the current one.
        need_labels: False takes a file without the default key `y`, too.
        several: whether data for several inputs are of use to the caller.
    Raises:
        DataError: missing file, key or function; arrays that do not belong together; labels that are not integers.
    """
    parsed = parse_spec(spec, base)
    data = _from_function(parsed, base) if parsed.file is None else _from_npz(parsed, parsed.file, need_labels)
    _require_pair(data.x, data.y, "x", "y", spec)
    if data.others and not several:
        raise DataError(
            f"the data are of {1 + len(data.others)} inputs, this verb works on models with one",
            where=f"--data {spec}",
            hint="verify, check and profile take several",
        )
    for place, other in enumerate(data.others, 1):
        _require_pair(other, None, f"input {place} of x", "", spec)
        if len(other) != len(data.x):
            what = f"input 0 of x has {len(data.x)} samples, input {place} has {len(other)}"
            raise DataError(what, where=f"--data {spec}", hint="name keys that belong together")
    if data.xv is not None:
        _require_pair(data.xv, data.yv, "xv", "yv", spec)
    return data


def _from_npz(spec: Spec, file: Path, need_labels: bool) -> Dataset:
    keys = {"x": "x", "y": "y", **dict(spec.keys)}
    if not need_labels and "y" not in dict(spec.keys) and not _has_key(file, "y"):
        del keys["y"]
    try:
        if not zipfile.is_zipfile(file):
            raise DataError("the file is not an .npz archive", where=str(file), hint="write it by numpy.savez")
        with np.load(file, allow_pickle=False) as archive:
            several = _several_keys(keys["x"], archive.files)
            wanted = [(role, key) for role, key in keys.items() if role != "x"] + [("x", key) for key in several]
            for role, key in wanted:
                if key not in archive.files:
                    raise DataError(
                        f"there is no key {key!r} for {role}; the file holds {_describe_keys(file)}",
                        where=str(file),
                        hint=f"name the keys: {file.name}:x=NAME,y=NAME",
                    )
            arrays = {role: np.asarray(archive[key]) for role, key in keys.items() if role != "x"}
            first, *others = (np.asarray(archive[key]) for key in several)
            names = _class_names(archive, keys.get("y", ""))
    except McupruneError:
        raise  # a ValueError, too
    except _UNREADABLE as error:
        raise DataError(f"the file cannot be read: {error}", where=str(file), hint="make or copy it again") from None
    y, yv = _flat_labels(arrays.get("y")), _flat_labels(arrays.get("yv"))
    return Dataset(first, y, arrays.get("xv"), yv, spec.text, names, tuple(others))


def _several_keys(key: str, known: Sequence[str]) -> list[str]:
    """The keys of `x=NAME+NAME`; a name with + in it that the file holds is one key."""
    return [key] if key in known else key.split("+")


def _has_key(file: Path, key: str) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return f"{key}.npy" in archive.namelist()
    except _UNREADABLE:
        return True  # the caller reads the file and says what is wrong


def _describe_keys(file: Path) -> str:
    """The file's keys with dtypes and shapes, from the headers alone."""
    found = []
    with zipfile.ZipFile(file) as archive:
        for member in archive.namelist():
            with archive.open(member) as stream:
                read = (
                    np.lib.format.read_array_header_1_0
                    if np.lib.format.read_magic(stream) == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                shape, _, dtype = read(stream)
                kind = "text" if dtype.kind in "US" else str(dtype)
                found.append(f"{member.removesuffix('.npy')} {kind} {shape_text(shape)}")
    return ", ".join(found) or "nothing"


def _class_names(archive: Any, y_key: str) -> tuple[str, ...] | None:
    """`class_names`, or `class_names_SUFFIX` beside labels called NAME_SUFFIX: one file may hold two label orders."""
    suffix = y_key.partition("_")[2]
    for key in (f"class_names_{suffix}", "class_names"):
        if key in archive.files:
            names = archive[key]
            if names.ndim == 1 and names.dtype.kind == "U":
                return tuple(str(name) for name in names)
    return None


def _from_function(spec: Spec, base: Path | None) -> Dataset:
    folders = [folder.resolve() for folder in ([base] if base else []) + [Path()]]
    with _importable(folders):
        module = _import(spec, folders)
        function = getattr(module, spec.function, None)
        if not callable(function):
            names = sorted(n for n, v in vars(module).items() if callable(v) and not n.startswith("_"))
            raise DataError(
                f"module {spec.module} has no function {spec.function!r}; it has {', '.join(names) or 'none'}",
                where=f"--data {spec.text}",
                hint="name a function that returns (x, y) or (x, y, x_val, y_val)",
            )
        try:
            result = function()
        except McupruneError:
            raise  # it says what to do, and has its own exit code
        except (Exception, SystemExit) as error:
            raise _user_code_error(error, spec, f"{spec.function}()") from error
    if not isinstance(result, (tuple, list)) or len(result) not in (2, 4):
        size = f" of {len(result)}" if isinstance(result, (tuple, list)) else ""
        raise DataError(
            f"{spec.function}() returned {type(result).__name__}{size}",
            where=f"--data {spec.text}",
            hint="return (x, y) or (x, y, x_val, y_val)",
        )
    inputs = list(result[0].values()) if isinstance(result[0], dict) and result[0] else [result[0]]
    try:
        x, *others = [np.asarray(array) for array in inputs]
        y, xv, yv = [np.asarray(array) for array in result[1:]] + [None] * (4 - len(result))
    except ValueError as error:
        raise DataError(
            f"what {spec.function}() returned makes no array: {error}",
            where=f"--data {spec.text}",
            hint="give every sample the same shape",
        ) from None
    classes = getattr(module, "class_names", None)
    listed = tuple(str(name) for name in classes) if isinstance(classes, (list, tuple)) else None
    return Dataset(x, _flat_labels(y), xv, _flat_labels(yv), spec.text, listed, tuple(others))


@contextmanager
def _importable(folders: Sequence[Path]) -> Iterator[None]:
    """Put the folders in front of sys.path for a while."""
    before = list(sys.path)
    sys.path[:0] = [str(folder) for folder in folders]
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before


def _import(spec: Spec, folders: Sequence[Path]) -> ModuleType:
    """Import the module: the file beside the recipe wins over an installed module of that name."""
    try:
        for folder in folders:
            file = folder / f"{spec.module}.py"
            if file.is_file():
                name = f"_mcuprune_data_{spec.module}"
                found = importlib.util.spec_from_file_location(name, file)
                assert found is not None and found.loader is not None
                module = importlib.util.module_from_spec(found)
                sys.modules[name] = module
                found.loader.exec_module(module)
                return module
        return importlib.import_module(spec.module)
    except ModuleNotFoundError as error:
        if error.name == spec.module:
            looked = " and ".join(dict.fromkeys(str(folder) for folder in folders))
            raise DataError(
                f"there is no module {spec.module}", where=f"--data {spec.text}", hint=f"it is looked for in {looked}"
            ) from None
        raise _user_code_error(error, spec, f"module {spec.module}") from error
    except McupruneError:
        raise
    except (Exception, SystemExit) as error:
        raise _user_code_error(error, spec, f"module {spec.module}") from error


def _user_code_error(error: Exception | SystemExit, spec: Spec, what: str) -> DataError:
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    where = f"{last.filename}:{last.lineno}" if last else f"--data {spec.text}"
    said = f"{type(error).__name__}: {error}"
    return DataError(f"{what} failed: {said}", where=where, hint="mend the data's own code")


def _flat_labels(y: Array | None) -> Array | None:
    return y.reshape(-1) if y is not None and y.ndim == 2 and y.shape[1] == 1 else y


def _require_pair(x: Array, y: Array | None, x_name: str, y_name: str, source: str) -> None:
    where = f"--data {source}"
    if x.ndim == 0 or len(x) == 0:
        raise DataError(f"{x_name} {x.dtype} {shape_text(x.shape)} holds no samples", where=where)
    if y is None:
        return
    if y.ndim != 1 or y.dtype.kind not in "iu":
        hint = "give the index of the class, not one-hot rows" if y.ndim == 2 else "give integers, one for each sample"
        raise DataError(
            f"labels are {y.dtype} {shape_text(y.shape)}, not integers (n,)", where=f"{where}, {y_name}", hint=hint
        )
    if len(x) != len(y):
        raise DataError(
            f"{x_name} has {len(x)} samples and {y_name} has {len(y)} labels", where=where, hint="name matching keys"
        )


def shape_text(shape: Sequence[int]) -> str:
    """(49, 10) as numpy writes it."""
    return str(tuple(int(n) for n in shape))
