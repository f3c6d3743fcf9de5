"""mcuprune prune"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from mcuprune.cli.common import json_option, out, print_json, say, table
from mcuprune.cli.shrink import show_shrunk
from mcuprune.cli.training import given_options, training_options, training_progress
from mcuprune.errors import ModelError, UsageError
from mcuprune.sparsity.options import CRITERIA, TrainOptions

if TYPE_CHECKING:
    from mcuprune.masks import Budget, Pattern, Rule
    from mcuprune.sparsity.shrink.channels import ShrinkReport
    from mcuprune.sparsity.train import PruneResult

_KERAS = (".keras", ".h5")
_TRAIN = TrainOptions()


@click.command()
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL.keras|MODEL.tflite")
@click.option(
    "--data", help="Data to train on: FILE.npz[:x=NAME,y=NAME[,xv=NAME,yv=NAME]] or module:function.  [MODEL.keras]"
)
@click.option(
    "--one-shot",
    is_flag=True,
    help="Without training: for what-if size and speed, accuracy will suffer.",
)
@click.option(
    "--sparsity", type=float, metavar="S", help="Share of zeros in each layer, in [0, 1).  [N:M implies its own]"
)
@click.option(
    "--pattern",
    "pattern_text",
    default="unstructured",
    show_default=True,
    metavar="PATTERN",
    help="How zeros are placed: unstructured, N:M (2:4), N:MxR (2:4x2), block:RxC (block:4x1, judged by "
    "the mean of its weights; block:4x1:max, block:4x1:l2) or channels.",
)
@click.option(
    "--budget",
    "budget_text",
    default="uniform",
    show_default=True,
    metavar="BUDGET",
    help="How --sparsity is shared among the layers that no --layer names: uniform, global (one threshold for all "
    "weights), erk (by shape) or sensitivity (measured before training); global:0.2..0.95 sets bounds for each layer.",
)
@click.option(
    "--sensitivity",
    "measured",
    type=click.Path(path_type=Path),
    metavar="FILE.json",
    help="For --budget sensitivity: what `mcuprune sensitivity --json` printed, instead of measuring it.",
)
@click.option(
    "--shrink",
    is_flag=True,
    help="Take channels that are empty afterwards out of the model (--pattern channels). [MODEL.keras]",
)
@click.option(
    "--layer",
    "layers",
    multiple=True,
    metavar="GLOB=S[,PATTERN]",
    help="Another sparsity or pattern for some layers (index, name or glob); 0 leaves them dense; repeatable, the last "
    "match wins. Depthwise layers and the classifier are left unless named here.",
)
@training_options(
    _TRAIN, "Share (0 to 1) of the dense model's own answers in what is trained for, where they are right."
)
@click.option(
    "--criterion",
    type=click.Choice(CRITERIA),
    default=_TRAIN.criterion,
    show_default=True,
    help="Which weights go first: those of smallest magnitude, or those without which the loss would change least.",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder for a checkpoint after each epoch: an interrupted training goes on when it is called again.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=_TRAIN.seed,
    show_default=True,
    help="Seed of the order and the held-out samples.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="File to write, of the model's kind (.keras or .tflite).",
)
@json_option
@click.pass_context
def command(
    context: click.Context,
    model: Path,
    data: str | None,
    one_shot: bool,
    sparsity: float | None,
    pattern_text: str,
    budget_text: str,
    measured: Path | None,
    shrink: bool,
    layers: tuple[str, ...],
    epochs: int,
    batch_size: int,
    learning_rate: float,
    distill: float,
    criterion: str,
    checkpoint: Path | None,
    seed: int,
    output: Path,
    as_json: bool,
) -> None:
    """Set the least important weights of a model to zero, by training (MODEL.keras) or at once (--one-shot, either).

    Smallest |weight| first, ties by index, exactly round(n * S) zeros in each layer (block patterns: round(blocks * S)
    whole blocks). N:M keeps N of each M consecutive input channels, N:MxR the same ones in R consecutive output
    channels; block:RxC drops blocks of R consecutive output by C consecutive input channels. Kernels larger than 1x1 or
    with one input channel count along H*W*I. With --budget the layers together have round(n * S) zeros.

    By training, the sparsity rises over the first half of the steps and the rest is fine-tuning; without validation
    data a tenth is held out. The result is a plain Keras model.

    \b
      mcuprune prune model.keras --data data.npz --sparsity 0.8 -o pruned.keras
      mcuprune prune model.keras --data loader:load --pattern 2:4 --layer conv_1=0.5,unstructured -o pruned.keras
      mcuprune prune model.tflite --one-shot --sparsity 0.8 --budget global -o sparse.tflite
      mcuprune prune model.tflite --one-shot --pattern 2:4 --layer conv_1=0 --layer 'fc=0.5,block:4x1' -o sparse.tflite
    """
    from mcuprune.masks import parse_pattern, parse_rule

    keras = model.suffix.lower() in _KERAS
    _check_kind(context, model, keras, one_shot, data, output)
    _check_output(model, output)
    pattern = parse_pattern(pattern_text)
    rules = tuple(parse_rule(text) for text in layers)
    budget = _budget(budget_text, measured)
    if not keras:
        if isinstance(budget, str):
            hint = "--sensitivity FILE.json, measured on the Keras model"
            raise UsageError("a .tflite cannot be measured here", where="--budget sensitivity", hint=hint)
        _one_shot(model, output, sparsity, pattern, rules, budget, as_json)
        return
    if one_shot:
        if isinstance(budget, str):
            hint = "mcuprune sensitivity writes FILE.json; then --sensitivity FILE.json"
            raise UsageError("--one-shot has no data to measure with", where="--budget sensitivity", hint=hint)
        _one_shot_keras(model, output, sparsity, pattern, rules, budget, as_json)
        return
    assert data is not None
    from mcuprune.data import load_dataset

    dataset = load_dataset(data)
    say("loading TensorFlow")
    from mcuprune.sparsity import load_model, prune, save_model, shrink_channels

    options = TrainOptions(epochs, batch_size, learning_rate, distill, seed=seed, criterion=criterion)
    loaded = load_model(model)
    with training_progress(epochs) as progress:
        result = prune(
            loaded,
            dataset.x,
            dataset.labels(),
            dataset.xv,
            dataset.yv,
            sparsity=sparsity,
            pattern=pattern,
            rules=rules,
            budget=budget,
            options=options,
            checkpoint=checkpoint,
            progress=progress,
            source=model.name,
            data_source=data,
        )
    shrunk: ShrinkReport | None = None
    if shrink:
        loaded, shrunk = shrink_channels(loaded)
    save_model(loaded, output)
    _show_trained(result, shrunk, epochs, output, as_json)


def _budget(text: str, measured: Path | None) -> Budget | Literal["sensitivity"]:
    """The budget that the options ask for; `sensitivity` where it has to be measured first."""
    from mcuprune.masks import parse_budget
    from mcuprune.sparsity.curves import read_sensitivity

    if measured is not None and text != "sensitivity":
        raise UsageError(f"--sensitivity has no use for --budget {text}", hint="--budget sensitivity")
    if text != "sensitivity":
        return parse_budget(text)
    return read_sensitivity(measured).budget() if measured is not None else "sensitivity"


def _one_shot(
    model: Path,
    output: Path,
    sparsity: float | None,
    pattern: Pattern,
    rules: Sequence[Rule],
    budget: Budget,
    as_json: bool,
) -> None:
    """Prune a .tflite without training."""
    from mcuprune.files import write_file_atomic
    from mcuprune.pruning import prune_one_shot
    from mcuprune.tflite.schema import read_file

    pruned = prune_one_shot(
        read_file(model), model.name, sparsity=sparsity, pattern=pattern, rules=rules, budget=budget
    )
    write_file_atomic(output, pruned.content)
    if as_json:
        head = {"output": str(output), "model_sha256": pruned.sha256}
        print_json({**head, "totals": _totals(pruned.layers), "layers": [asdict(layer) for layer in pruned.layers]})
        return
    _show_layers(pruned.layers)
    out.print(f"written to {output}; next: mcuprune generate {output} --board BOARD")


def _one_shot_keras(
    model: Path,
    output: Path,
    sparsity: float | None,
    pattern: Pattern,
    rules: Sequence[Rule],
    budget: Budget,
    as_json: bool,
) -> None:
    """Prune a .keras without training."""
    say("loading TensorFlow")
    from mcuprune.sparsity import load_model, save_model
    from mcuprune.sparsity.census import prune_once
    from mcuprune.sparsity.weights import left_dense

    loaded = load_model(model)
    layers = prune_once(loaded, sparsity, pattern, rules, budget)
    save_model(loaded, output)
    notes = left_dense(loaded)
    if as_json:
        head = {"output": str(output), "totals": _totals(layers)}
        print_json({**head, "layers": [asdict(layer) for layer in layers], "notes": list(notes)})
        return
    for note in notes:
        out.print(note)
    _show_layers(layers)
    out.print(f"written to {output}; next: mcuprune size {model} {output}")


def _show_trained(result: PruneResult, shrunk: ShrinkReport | None, epochs: int, output: Path, as_json: bool) -> None:
    """What training gave."""
    if as_json:
        print_json(
            {
                "output": str(output),
                "val_accuracy": {"before": result.val_before, "after": result.val_after},
                "val_samples": result.val_samples,
                "epochs": epochs,
                "steps": result.steps,
                "seconds": round(result.seconds, 1),
                "totals": _totals(result.layers),
                "layers": [asdict(layer) for layer in result.layers],
                "shrink": None if shrunk is None else shrunk.to_json(),
                "history": [asdict(report) for report in result.history],
                "notes": list(result.notes),
            }
        )
        return
    for note in result.notes:
        out.print(note)
    _show_layers(result.layers)
    if shrunk is not None:
        show_shrunk(shrunk)
    out.print(
        f"accuracy on {result.val_samples} validation samples: {result.val_before:.2%} before, "
        f"{result.val_after:.2%} after {epochs} epochs ({result.seconds:.0f} s)"
    )
    out.print(f"written to {output}; next: mcuprune quantize {output} --data D -o {output.stem}.tflite")


def _totals(layers: Sequence[Any]) -> dict[str, Any]:
    zeros, size = (sum(getattr(layer, key) for layer in layers) for key in ("zeros", "size"))
    return {"sparsity": zeros / max(size, 1), "zeros": zeros, "size": size}


def _show_layers(layers: Sequence[Any]) -> None:
    """A row for each layer with weights, and the sum."""
    rows = table(None, "", "layer", "op", "pattern", "zeros", "sparsity", "note", right=("", "zeros", "sparsity"))
    for layer in layers:
        count = f"{layer.zeros} of {layer.size}"
        rows.add_row(
            str(layer.index), layer.name, layer.op, layer.pattern or "-", count, f"{layer.sparsity:.2%}", layer.note
        )
    totals = _totals(layers)
    out.print(rows)
    out.print(f"\n{totals['zeros']} of {totals['size']} weights are zero ({totals['sparsity']:.2%})")


def _check_kind(
    context: click.Context, model: Path, keras: bool, one_shot: bool, data: str | None, output: Path
) -> None:
    """--one-shot prunes a .tflite; a Keras model is pruned by training. Nothing is loaded yet."""
    if not keras and model.suffix.lower() != ".tflite":
        raise UsageError(
            f"{model.name or model} is neither a .keras nor a .tflite file", where=str(model), hint="name a model file"
        )
    if keras and not one_shot and data is None:
        raise UsageError(
            "pruning a Keras model needs data to train on",
            where=str(model),
            hint="--data FILE.npz; or --one-shot for what-if size and speed",
        )
    if keras and output.suffix != ".keras":
        raise UsageError(f"the result is a .keras file, not {output.name}", hint=f"-o {output.stem or 'pruned'}.keras")
    if not keras and output.suffix != ".tflite":
        raise UsageError(
            f"the result is a .tflite file, not {output.name}", hint=f"-o {output.stem or 'pruned'}.tflite"
        )
    if not keras and not one_shot:
        raise UsageError(
            "a .tflite cannot be trained", where=str(model), hint="add --one-shot to prune it without training"
        )
    if one_shot:
        training = (
            "data",
            "epochs",
            "batch_size",
            "learning_rate",
            "distill",
            "criterion",
            "checkpoint",
            "seed",
            "shrink",
        )
        given = given_options(context, training)
        if given:
            raise UsageError(f"--one-shot does not train: {', '.join(given)} has no use", hint="leave it out")
    if not model.is_file():
        raise ModelError(f"there is no file {model.name}", where=str(model), hint="name a .keras or .tflite file")


def _check_output(model: Path, output: Path) -> None:
    """Refuse to write over the model that is read."""
    if model.resolve() == output.resolve() or (model.exists() and output.exists() and model.samefile(output)):
        raise UsageError("the output would overwrite the model", where=str(output), hint="another name after -o")
