"""What the verbs that train share: their options, and a training's progress on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from mcuprune.cli.common import F, err, say
from mcuprune.sparsity.options import FitOptions

if TYPE_CHECKING:
    from mcuprune.sparsity.training import EpochReport, Progress


def training_options(defaults: FitOptions, distill: str, only_with: str = "") -> Callable[[F], F]:
    """--epochs, --batch-size, --learning-rate and --distill, with these defaults.

    Args:
        distill: help of --distill.
        only_with: the option without which they have no use.
    """
    mark = f"  [{only_with}]" if only_with else ""
    whole, rate = click.IntRange(1), defaults.learning_rate
    options = (
        click.option(
            "--epochs", type=whole, default=defaults.epochs, show_default=True, help=f"Times through the data.{mark}"
        ),
        click.option(
            "--batch-size",
            type=whole,
            default=defaults.batch_size,
            show_default=True,
            help=f"Samples in one step.{mark}",
        ),
        click.option(
            "--learning-rate",
            type=click.FloatRange(0, min_open=True),
            default=rate,
            help=f"Of Adam at the start; falls to 0 by half a cosine.{mark}  [default: {rate:g}]",
        ),
        click.option(
            "--distill",
            type=click.FloatRange(0, 1),
            default=defaults.distill,
            show_default=True,
            metavar="W",
            help=distill + mark,
        ),
    )

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def given_options(context: click.Context, names: Sequence[str]) -> list[str]:
    """Those of the parameters that stand on the command line, as options."""
    command_line = click.core.ParameterSource.COMMANDLINE
    return [f"--{name.replace('_', '-')}" for name in names if context.get_parameter_source(name) == command_line]


@contextmanager
def training_progress(epochs: int) -> Iterator[Progress]:
    """On a terminal a bar with sparsity, loss and validation accuracy; a line on stderr for each epoch everywhere."""
    from mcuprune.sparsity.training import Progress

    def on_epoch(report: EpochReport) -> None:
        say(
            f"epoch {report.epoch} of {epochs}: sparsity {report.sparsity:.2%}, loss {report.loss:.4f}, "
            f"validation accuracy {report.val_accuracy:.2%} ({report.seconds:.0f} s)"
        )

    if not sys.stderr.isatty():
        yield Progress(on_phase=say, on_epoch=on_epoch)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, TextColumn("{task.fields[state]}", markup=False), console=err, transient=True) as bar:
        task = bar.add_task("training", total=None, state="")
        accuracy = ""

        def on_step(step: int, sparsity: float, loss: float) -> None:
            bar.update(task, completed=step, state=f"sparsity {sparsity:.1%} loss {loss:.3f}{accuracy}")

        def on_epoch_bar(report: EpochReport) -> None:
            nonlocal accuracy
            accuracy = f" validation {report.val_accuracy:.2%}"
            on_epoch(report)

        yield Progress(
            on_phase=lambda text: bar.update(task, description=text),
            on_start=lambda steps: bar.update(task, total=steps, description="training"),
            on_step=on_step,
            on_epoch=on_epoch_bar,
        )
