"""mcuprune sparsity"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from mcuprune.cli.common import json_option, out, print_json, say, table
from mcuprune.errors import CheckError, UsageError


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="MODEL.keras|MODEL.tflite")
@click.option(
    "--pattern",
    default="2:4",
    show_default=True,
    metavar="N:M",
    help="The pattern to look for: at most N nonzeros in each M consecutive input channels.",
)
@click.option(
    "--require", multiple=True, metavar="NAME", help="Leave with exit code 1 unless this weight has it; repeatable."
)
@json_option
def command(file: Path, pattern: str, require: tuple[str, ...], as_json: bool) -> None:
    """Say of each weight of two or more axes how much of it is zero, and whether it has an N:M pattern.

    The last group of a row may be shorter than M. A .tflite may be float or int8; a .keras may still be wrapped.
    Weights of a .tflite are shown by the end of their path; --require takes that or the whole name, --json gives both.

    \b
      mcuprune sparsity pruned.keras
      mcuprune sparsity model.tflite --pattern 1:2 --require conv_2/kernel
    """
    from mcuprune.sparsity import is_pruned_m_by_n

    m_by_n = _m_by_n(pattern)
    rows: list[dict[str, Any]] = []
    for name, shape, values in _weights(file):
        zeros = int((values == 0).sum())
        fits = is_pruned_m_by_n(values, m_by_n, "C_IN")
        rows.append({"name": name, "shape": list(shape), "zeros": zeros, "size": int(values.size), "has_pattern": fits})
    names = _shown_names(file, [str(row["name"]) for row in rows])
    for row, name in zip(rows, names, strict=True):
        row["short_name"] = name
    known = {*names, *(row["name"] for row in rows)}
    unknown = [name for name in require if name not in known]
    if unknown:
        raise UsageError(f"no weight is named {unknown[0]!r}", where=str(file), hint=f"one of {', '.join(names)}")
    if as_json:
        print_json({"file": str(file), "pattern": pattern, "weights": rows})
    else:
        _show(rows, pattern)
    required = [row for row in rows if row["name"] in require or row["short_name"] in require]
    lacking = [row["short_name"] for row in required if not row["has_pattern"]]
    if lacking:
        raise CheckError(f"no {pattern} pattern: {', '.join(map(str, lacking))}", where=str(file))


def _shown_names(file: Path, names: list[str]) -> list[str]:
    """Names for people: converters write whole paths, several of them for one weight."""
    from mcuprune.importers.names import path_names

    return path_names(names) if file.suffix.lower() == ".tflite" else names


def _weights(path: Path) -> Iterator[tuple[str, tuple[int, ...], Any]]:
    """(name, shape, array whose last axis counts input channels) of each weight."""
    if path.suffix.lower() == ".tflite":
        from mcuprune.sizes import tflite_weights

        yield from tflite_weights(path)
        return
    if path.suffix.lower() != ".keras":
        raise UsageError(
            f"{path.name or path} is neither a .keras nor a .tflite file", where=str(path), hint="name a model file"
        )
    say("loading TensorFlow")
    from mcuprune.sparsity.runtime import require_keras

    require_keras("read a Keras model")
    from mcuprune.sparsity.census import kernel_rows

    yield from kernel_rows(path)


def _m_by_n(pattern: str) -> tuple[int, int]:
    """The zeros and the size of a group."""
    found = re.fullmatch(r"([0-9]{1,5}):([0-9]{1,5})", pattern)
    if not found or not 0 <= int(found[1]) <= int(found[2]) or int(found[2]) < 1:
        raise UsageError(f"--pattern {pattern!r} is not N:M with N no more than M", hint="--pattern 2:4")
    return int(found[2]) - int(found[1]), int(found[2])


def _show(rows: list[dict[str, Any]], pattern: str) -> None:
    shown = table(None, "weight", "shape", "zeros", "sparsity", pattern, right=("zeros", "sparsity"))
    for row in rows:
        zeros, size = row["zeros"], row["size"]
        shape = "x".join(map(str, row["shape"]))
        share = f"{zeros / size:.2%}" if size else "-"
        shown.add_row(row["short_name"], shape, f"{zeros} of {size}", share, "yes" if row["has_pattern"] else "no")
    out.print(shown)
