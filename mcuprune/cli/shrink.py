"""mcuprune shrink"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcuprune.cli.common import json_option, out, print_json, say, table
from mcuprune.errors import UsageError

if TYPE_CHECKING:
    from mcuprune.sparsity.shrink.channels import ShrinkReport


@click.command()
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL.keras")
@click.option(
    "--inexact",
    is_flag=True,
    help="Take out channels also where zeros are padded and the channel is a constant other than zero: outputs near "
    "the border change, so train or check afterwards.",
)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="OUT.keras", help="File to write."
)
@json_option
def command(model: Path, inexact: bool, output: Path, as_json: bool) -> None:
    """Take empty channels out of a Keras model, so that it is smaller everywhere.

    A channel is empty where its kernel is zero (`mcuprune prune --pattern channels`), or where nothing reads it. What
    it still adds is a constant, which goes into the biases of the layers behind. Outputs stay as they were.

    \b
      mcuprune shrink pruned.keras -o small.keras
    """
    if output.suffix != ".keras":
        raise UsageError(f"the result is a .keras file, not {output.name}", hint=f"-o {output.stem or 'small'}.keras")
    say("loading TensorFlow")
    from mcuprune.sparsity import load_model, save_model, shrink_channels

    made, report = shrink_channels(load_model(model), exact=not inexact)
    save_model(made, output)
    if as_json:
        print_json({"output": str(output), **report.to_json()})
        return
    show_shrunk(report)
    out.print(f"written to {output}")


def show_shrunk(report: ShrinkReport) -> None:
    """A row for each layer with a kernel, and the parameters before and after."""
    counts = ("channels", "dead", "removed")
    rows = table(None, "layer", "op", *counts, "note", right=counts)
    for layer in report.layers:
        numbers = (str(getattr(layer, key)) for key in counts)
        rows.add_row(layer.name, layer.op, *numbers, layer.note)
    out.print(rows)
    out.print(f"\n{report.parameters_after} of {report.parameters_before} parameters are left")
