"""What the verbs share: options, tables on stdout, progress on stderr, JSON. Text is shown as it is: no markup."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from mcuprune.encodings import ENCODINGS

F = TypeVar("F", bound=Callable[..., Any])

_WIDE = 240  # columns of tables, also on narrower terminals: a row that runs over can be read, folded cells cannot


class PlainConsole(Console):
    """Shows names of the user's as they are, and leaves it to the command line to end when nobody reads."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, soft_wrap=True, **settings)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


out = PlainConsole(width=_WIDE)
err = PlainConsole(stderr=True)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout instead of tables.")


def _port(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value == "":
        raise click.BadParameter("it is empty", context, parameter)
    return value


port_option = click.option(
    "--port",
    callback=_port,
    help="A line to a running board (/dev/ttyACM0, socket://HOST:PORT), or a name for an emulated board of your own.  "
    "[default: the board's name]",
)
board_port_option = click.option(
    "--port",
    callback=_port,
    metavar="NAME",
    help="A name for an emulated board of your own: each name keeps an image of its own.  [default: the board's name]",
)
objective_option = click.option(
    "--optimize",
    type=click.Choice(["balanced", "speed", "flash"]),
    default="balanced",
    show_default=True,
    help="What encodings are chosen for: speed is never slower than dense, flash never larger, balanced neither.",
)
encoding_option = click.option(
    "--encoding",
    "encodings",
    multiple=True,
    metavar="LAYER=NAME",
    help=f"Force an encoding on layers (index, name or glob); repeatable, the last match wins. Names: "
    f"{', '.join(ENCODINGS)}.",
)
passes_option = click.option(
    "--passes/--no-passes",
    "with_passes",
    default=True,
    show_default=True,
    help="Rewrite the model first (dead channels leave it; every output byte stays); without, it is taken as it lies "
    "in the file.",
)
signature_option = click.option(
    "--signature",
    metavar="NAME",
    help="The function of the model that is meant, of several.  [default: the only one, or serving_default]",
)
strips_option = click.option(
    "--strips/--no-strips",
    "with_strips",
    default=True,
    show_default=True,
    help="Let pairs of layers run by turns, some rows at a time, where that makes the arena smaller by more than 10% "
    "and costs at most 5% of the model's effort (2% with --optimize speed); without, every layer's output lies in "
    "memory as a whole.",
)


def print_json(result: dict[str, Any]) -> None:
    """One object on stdout."""
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


def table(title: str | None, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table in the house's look; columns named in `right` are aligned to the right."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold", title_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def say(text: str) -> None:
    """A line of progress on stderr."""
    err.print(text)


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, on a terminal only; yields a function that takes how many are done."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    ) as bar:
        task = bar.add_task(label, total=total, rate="")

        def update(done: int) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, completed=done, rate=f"{speed:.1f}/s" if speed else "")

        yield update


def kilo(size: int) -> str:
    """Bytes for people: exact below 10 000, else in kB (1000 bytes) with one decimal."""
    return f"{size} B" if size < 10_000 else f"{size / 1000:.1f} kB"
