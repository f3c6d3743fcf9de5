"""mcuprune sensitivity"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from mcuprune.cli.common import json_option, out, print_json, progress, say, table
from mcuprune.errors import UsageError

if TYPE_CHECKING:
    from mcuprune.sparsity.curves import Sensitivity


@click.command()
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL.keras")
@click.option(
    "--data",
    required=True,
    help="Labelled data: FILE.npz[:x=NAME,y=NAME[,xv=NAME,yv=NAME]] or module:function; the validation part is used, "
    "else a tenth that the seed holds out.",
)
@click.option(
    "--sparsities",
    metavar="S,S,...",
    help="Shares of zeros to measure, in (0, 1).  [default: 0.5,0.7,0.8,0.9; N:M implies its own]",
)
@click.option(
    "--pattern",
    "pattern_text",
    default="unstructured",
    show_default=True,
    metavar="PATTERN",
    help="How zeros are placed: unstructured, N:M, N:MxR, block:RxC or channels.",
)
@click.option(
    "--layer", "layers", multiple=True, metavar="GLOB", help="Only these layers (index, name or glob); repeatable."
)
@click.option(
    "--metric",
    type=click.Choice(["accuracy", "loss"]),
    default="accuracy",
    show_default=True,
    help="What is measured; loss (mean cross-entropy) tells layers apart where samples are few.",
)
@click.option(
    "--samples", type=click.IntRange(1), default=1000, show_default=True, help="Samples to measure on at most."
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the choice of samples.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE.svg", help="Draw the layers as lines.")
@json_option
def command(
    model: Path,
    data: str,
    sparsities: str | None,
    pattern_text: str,
    layers: tuple[str, ...],
    metric: Literal["accuracy", "loss"],
    samples: int,
    seed: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Say how much each layer of a Keras model minds being pruned.

    Each layer alone is pruned at once, the smallest weights first, and the model is scored without training. Training
    makes up for much of what is lost, so read the figures against each other: a layer that loses ten points where
    others lose none wants a lower sparsity. What --json prints can share a sparsity among layers.

    \b
      mcuprune sensitivity model.keras --data data.npz --plot sensitivity.svg
      mcuprune sensitivity model.keras --data data.npz --metric loss --json > sensitivity.json
      mcuprune prune model.keras --data data.npz --sparsity 0.8 --budget sensitivity --sensitivity sensitivity.json
    """
    from mcuprune.data import load_dataset
    from mcuprune.files import write_file_atomic
    from mcuprune.quantization.parts import validation_part
    from mcuprune.sparsity.sensitivity_plot import svg

    chosen = _parse(sparsities)
    dataset = load_dataset(data)
    x, y = validation_part(dataset, seed) or (dataset.x, dataset.labels())
    say("loading TensorFlow")
    from mcuprune.sparsity import load_model, sensitivity

    with measuring_progress() as update:
        result = sensitivity(
            load_model(model),
            x,
            y,
            sparsities=chosen,
            pattern=pattern_text,
            layers=layers,
            metric=metric,
            samples=samples,
            seed=seed,
            progress=update,
            source=model.name,
            data_source=data,
        )
    if plot is not None:
        write_file_atomic(plot, svg(result, model.stem).encode())
    if as_json:
        print_json({"model": model.name, **result.to_json()})
        return
    for note in result.notes:
        out.print(note)
    _show(result)
    if plot is not None:
        out.print(f"picture in {plot}")


def _parse(sparsities: str | None) -> tuple[float, ...] | None:
    if sparsities is None:
        return None
    try:
        return tuple(float(text) for text in sparsities.split(","))
    except ValueError:
        raise UsageError(f"--sparsities {sparsities!r} is no list of numbers", hint="--sparsities 0.5,0.8") from None


@contextmanager
def measuring_progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, on a terminal only, that begins with the first measurement."""
    with ExitStack() as stack:
        bars: list[Callable[[int], None]] = []

        def update(done: int, total: int) -> None:
            if not bars:
                bars.append(stack.enter_context(progress("measuring", total)))
            bars[0](done)

        yield update


def _show(result: Sensitivity) -> None:
    """A row for each layer, a column for each sparsity, and the worst of all."""

    def text(value: float | None) -> str:
        if value is None:
            return "-"
        return f"{value:.2%}" if result.metric == "accuracy" else f"{value:.4f}"

    heads = [f"{sparsity * 100:g}%" for sparsity in result.sparsities]
    rows = table(None, "", "layer", "op", "weights", *heads, "note", right=("", "weights", *heads))
    for layer in result.layers:
        cells = [text(value) for value in layer.values]
        rows.add_row(str(layer.index), layer.name, layer.op, str(layer.size), *cells, layer.note)
    out.print(rows)
    out.print(
        f"\n{result.metric} on {result.samples} samples: {text(result.dense)} as it is; the columns are that with one "
        f"layer alone pruned ({result.pattern}), without training"
    )
    worst = result.worst()
    if worst is not None:
        layer, sparsity, cost = worst
        lost = f"{100 * cost:.1f} points less" if result.metric == "accuracy" else f"{cost:.4f} more"
        out.print(f"the most sensitive layer is {layer.name}: {lost} at {sparsity * 100:g}%")
