"""mcuprune quantize"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcuprune.cli.common import json_option, out, print_json, progress, say, table
from mcuprune.errors import UsageError
from mcuprune.quantization.parts import SAMPLES, training_part

if TYPE_CHECKING:
    from mcuprune.quantization import Accuracies, Quantized


@click.command()
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL.keras")
@click.option(
    "--data",
    required=True,
    help="What the model was trained on: FILE.npz[:x=NAME,y=NAME[,xv=NAME,yv=NAME]] or module:function.",
)
@click.option(
    "--samples",
    type=click.IntRange(1),
    default=SAMPLES,
    show_default=True,
    help="Training samples that the ranges of the activations are taken from.",
)
@click.option(
    "--io",
    "io_type",
    type=click.Choice(["int8", "float"]),
    default="int8",
    show_default=True,
    help="Type of the model's input and output; float quantizes on the board.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the choice of samples.")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="OUT.tflite", help="File to write."
)
@json_option
def command(model: Path, data: str, samples: int, io_type: str, seed: int, output: Path, as_json: bool) -> None:
    """Turn a Keras model into an int8 .tflite, and check that zeros stayed zeros.

    Weights become int8 with a scale for each output channel; activations get their ranges from samples of the data. The
    file is read back: each zero of a kernel must be a zero in it. With labels, the accuracy of both models is shown, on
    up to 1000 samples of the validation part (without one: of the tenth that `prune` holds out by the same seed).

    \b
      mcuprune quantize pruned.keras --data data.npz -o model.tflite
    """
    if model.suffix.lower() not in (".keras", ".h5"):
        raise UsageError("quantize takes a Keras model", where=str(model), hint="a .keras file")
    from mcuprune.data import load_dataset

    dataset = load_dataset(data, need_labels=False)
    say("loading TensorFlow")
    from mcuprune.files import write_file_atomic
    from mcuprune.quantization import compare_accuracy, quantize_on
    from mcuprune.sparsity import load_model

    keras_model = load_model(model)
    say(f"quantizing with {min(samples, len(training_part(dataset, seed)))} samples")
    result = quantize_on(keras_model, dataset, samples=samples, io=io_type, seed=seed, source=model.name)
    accuracy = compare_accuracy(
        keras_model, result, dataset, seed, lambda total: progress("int8 on validation data", total)
    )
    write_file_atomic(output, result.content)
    for note in result.notes:
        say(note)
    if as_json:
        print_json(
            {
                "output": str(output),
                **result.to_json(),
                "accuracy": accuracy and accuracy.to_json(),
            }
        )
        return
    _show(result, accuracy)
    out.print(f"written to {output}; next: mcuprune generate {output} --board BOARD")


def _show(result: Quantized, accuracy: Accuracies | None) -> None:
    rows = table(None, "", "layer", "op", "zeros", "sparsity", "note", right=("", "zeros", "sparsity"))
    for layer in result.layers:
        rows.add_row(
            "-" if layer.index is None else str(layer.index),
            layer.name,
            layer.op or "-",
            f"{layer.zeros} of {layer.size}",
            f"{layer.sparsity:.2%}",
            layer.note,
        )
    out.print(rows)
    checked = [layer for layer in result.layers if layer.index is not None]
    kept = sum(layer.keras_zeros for layer in checked)
    more = sum(layer.zeros for layer in checked) - kept
    out.print(f"\nall {kept} zeros of the Keras model are zeros in the file; rounding made {more} more")
    if accuracy:
        out.print(
            f"accuracy on {accuracy.samples} validation samples: float {accuracy.float_accuracy:.2%}, "
            f"int8 {accuracy.int8_accuracy:.2%}"
        )
