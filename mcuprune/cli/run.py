"""mcuprune run"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click

from mcuprune.cli.common import board_port_option, json_option, kilo, out, print_json, progress, say, table
from mcuprune.errors import EXIT_CHECK, EXIT_OK


class _Terminal:
    """The road's console: lines and bars on stderr."""

    def say(self, text: str) -> None:
        say(text)

    def progress(self, label: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        return progress(label, total)

    def training(self, epochs: int) -> AbstractContextManager[Any]:
        from mcuprune.cli.training import training_progress

        return training_progress(epochs)


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path), metavar="RECIPE.toml")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder of the results.  [default: the recipe's name]"
)
@board_port_option
@json_option
def command(recipe: Path, output: Path | None, port: str | None, as_json: bool) -> int:
    """Walk the whole road that a recipe describes; finished stages are not redone.

    The road: prune, quantize, generate, build, flash, check. A stage is done again when something it was made from
    has changed: the model, the data, an option, this tool's version. Ends with one table.

    \b
    A recipe:
      name = "kws"                       # C identifier of the model
      model = "dense.keras"              # or an int8 .tflite: then pruned at once, not trained
      board = "mps2-an386"
      data = "words:load"                # FILE.npz[:x=..,y=..] or module:function, beside the recipe
      test = "words:test"
      [prune]                            # leave it out to keep the model as it is
      sparsity = 0.8
      epochs = 4
      layers = ["conv_1=0.5"]
      [generate]
      optimize = "speed"
      [check]
      min_accuracy = 0.85
    """
    from mcuprune.recipe.recipe import read_recipe
    from mcuprune.recipe.road import Road

    plan = read_recipe(recipe)
    folder = output or Path(plan.name)
    results = Road(plan, folder, _Terminal(), port).walk()
    wrong = results["check"]["faults"]
    if as_json:
        print_json({"folder": str(folder), "stages": results, "faults": wrong})
    else:
        _show(results)
        for fault in wrong:
            out.print(f"FAILED: {fault}")
        out.print(f"\nresults in {folder}")
    return EXIT_CHECK if wrong else EXIT_OK


def _show(results: dict[str, Any]) -> None:
    """float -> pruned -> int8 -> board: what each step kept."""
    numbers = ("accuracy", "zeros", "weights", "flash", "RAM", "instructions", "bit-exact")
    rows = table(None, "", *numbers, right=numbers)
    check, built = results["check"], results["build"]
    found, timing = check["results"], check["timing"]
    if "float" in results:
        before = results["float"]
        rows.add_row("float", f"{before['accuracy']:.2%}", f"{before['sparsity']:.1%}", kilo(before["weight_bytes"]))
    if "prune" in results and "test" in results["prune"]:
        after = results["prune"]["test"]
        rows.add_row("pruned", f"{after['accuracy']:.2%}", f"{after['sparsity']:.1%}", kilo(after["weight_bytes"]))
    if "quantize" in results:
        int8, accuracy = results["quantize"], found["reference_accuracy"]
        rows.add_row("int8", f"{accuracy:.2%}", f"{int8['sparsity']:.1%}", kilo(int8["weight_bytes"]))
    counted = timing["counter"] == "systick" and timing["counter_hz"]
    rows.add_row(
        "board",
        f"{found['accuracy']:.2%}",
        "",
        kilo(built["weight_flash_bytes"]),
        kilo(built["flash_bytes"]),
        kilo(built["ram_bytes"]),
        f"{timing['median_ticks'] * 1e3 / timing['counter_hz']:.1f} M" if counted else "",
        f"{found['bit_exact']} of {found['samples']}",
        style="bold",
    )
    out.print(rows)
