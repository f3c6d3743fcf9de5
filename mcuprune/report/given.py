"""Results that the user hands over: whether they are what `profile` and `check` print, and of this very build."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcuprune.build.folder import Folder
from mcuprune.build.sizes import Sizes
from mcuprune.errors import DataError

Json = Mapping[str, Any]

_COUNT = int | None
_RATIOS = {"instructions_ratio?": float | int | None, "cycles_ratio?": float | int | None}
_COSTS = {"instructions?": _COUNT, "modelled_cycles?": _COUNT, "measured_cycles?": _COUNT, "against?": _RATIOS}
PROFILE = {
    "board": str,
    "layers": [{"index": int, "name": str, "kernel": str, **_COSTS}],
    "totals": {**_COSTS, "instructions": _COUNT, "macs": int},
}
"""The keys of `profile --json` that a report reads. A form is a type, {key: form} or [form of each]; a key that ends in
a question mark may be missing or null."""

CHECK = {
    "build_id": str,
    "model_sha256": str,
    "results": {
        **dict.fromkeys(("samples", "correct", "reference_correct", "agreement", "bit_exact"), int),
        "accuracy": float | int,
        "accuracy_interval": [float | int],
        "confusion": [[int]],
        "class_names": [str],
    },
    "memory": {"stack_bytes": int, "stack_used": int},
}


def require_given(folder: Folder, sizes: Sizes, profile: Json | None, check: Json | None) -> None:
    """Refuse results that are not of this build; None where the user has none.

    Raises:
        DataError: one is of another build, or is not what the verb prints.
    """
    if profile is not None:
        _match_profile(folder, profile)
    if check is not None:
        _match_check(folder, sizes, check)


def _match_profile(folder: Folder, profile: Json) -> None:
    _require(profile, PROFILE, "profile")
    theirs = [(layer["index"], layer["name"], layer["kernel"]) for layer in profile["layers"]]
    ours = [(layer["index"], layer["name"], layer["kernel"]) for layer in folder.manifest["layers"]]
    if (profile["board"], theirs) != (folder.board.name, ours):
        raise DataError(
            f"the profile is of another folder: its board is {profile['board']}, its kernels or layers differ",
            where="--profile",
            hint=f"mcuprune profile {folder.path} --json > profile.json",
        )


def _match_check(folder: Folder, sizes: Sizes, check: Json) -> None:
    _require(check, CHECK, "check")
    build, model, results = check["build_id"], check["model_sha256"], check["results"]
    classes = len(results["class_names"])
    if len(results["accuracy_interval"]) != 2 or [len(row) for row in results["confusion"]] != [classes] * classes:
        raise _no_output("check", "results: the confusion is not of these classes, or the interval no pair")
    if (build, model) != (sizes.build_id, folder.model_sha256):
        raise DataError(
            f"the check is of another build, {build[:12]}; this folder holds {sizes.build_id[:12]}",
            where="--check",
            hint=f"mcuprune flash {folder.path}, then mcuprune check {folder.path} --data D --json > check.json",
        )


def _require(value: Json, form: Any, verb: str) -> None:
    wrong = _misfit(value, form, "")
    if wrong:
        raise _no_output(verb, wrong)


def _no_output(verb: str, why: str) -> DataError:
    return DataError(f"this is not what `mcuprune {verb} --json` prints: {why}", where=f"--{verb}")


def _misfit(value: Any, form: Any, at: str) -> str:
    """The first place that has not its form, in words; "" where all do."""
    if isinstance(form, dict):
        if not isinstance(value, dict):
            return f"{at or 'it'} is no object"
        for key, inner in form.items():
            name = key.removesuffix("?")
            if name != key and value.get(name) is None:
                continue
            if name not in value:
                return f"{at}.{name} is missing".removeprefix(".")
            if wrong := _misfit(value[name], inner, f"{at}.{name}".removeprefix(".")):
                return wrong
        return ""
    if isinstance(form, list):
        if not isinstance(value, list):
            return f"{at} is no list"
        return next((wrong for i, v in enumerate(value) if (wrong := _misfit(v, form[0], f"{at}[{i}]"))), "")
    return "" if isinstance(value, form) else f"{at} is {value!r:.40}"
