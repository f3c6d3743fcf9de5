"""mcuprune quantize"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcuprune.cli.common import json_option, out, print_json, progress, say, table
from mcuprune.cli.float_errors import show_errors
from mcuprune.cli.training import given_options, training_options, training_progress
from mcuprune.errors import UsageError
from mcuprune.quantization.options import QatOptions
from mcuprune.quantization.parts import SAMPLES, training_part, validation_part

if TYPE_CHECKING:
    from mcuprune.data import Dataset
    from mcuprune.quantization import Accuracies, QatResult, Quantized

_QAT = QatOptions()
_TRAINING = ("epochs", "batch_size", "learning_rate", "distill")


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
@click.option("--qat", "with_qat", is_flag=True, help="Train the model as int8 will compute it, then convert it.")
@training_options(
    _QAT,
    "Share (0 to 1) of the float model's own answers in what is trained for, where they are right.",
    only_with="--qat",
)
@click.option(
    "--report",
    "with_report",
    is_flag=True,
    help="Show each layer's scales and range, the share of values beyond it, and the error against the float model.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=_QAT.seed,
    show_default=True,
    help="Seed of the choice of samples, and of the order in training.",
)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="OUT.tflite", help="File to write."
)
@json_option
@click.pass_context
def command(
    context: click.Context,
    model: Path,
    data: str,
    samples: int,
    io_type: str,
    with_qat: bool,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    distill: float,
    with_report: bool,
    seed: int,
    output: Path,
    as_json: bool,
) -> None:
    """Turn a Keras model into an int8 .tflite, and check that zeros stayed zeros.

    Weights become int8 with a scale for each output channel; activations get their ranges from samples of the data. The
    file is read back: each zero of a kernel must be a zero in it. With labels, the accuracy of both models is shown, on
    up to 1000 samples of the validation part (without one: of the tenth that `prune` holds out by the same seed).

    With --qat the model is trained on first, as int8 will compute it: convolutions and dense layers, with batch norm
    and ReLU folded in; the ranges are those of the training, and every zero stays zero.

    \b
      mcuprune quantize pruned.keras --data data.npz -o model.tflite
      mcuprune quantize pruned.keras --data data.npz --qat --epochs 3 --report -o model.tflite
    """
    if model.suffix.lower() not in (".keras", ".h5"):
        raise UsageError("quantize takes a Keras model", where=str(model), hint="a .keras file")
    _check_options(context, with_qat)
    from mcuprune.data import load_dataset

    dataset = load_dataset(data, need_labels=with_qat)
    say("loading TensorFlow")
    from mcuprune.files import write_file_atomic
    from mcuprune.quantization import compare_accuracy, quantization_report, quantize_on
    from mcuprune.sparsity import load_model

    keras_model = load_model(model, integers=not with_qat)
    trained = None
    if with_qat:
        options = QatOptions(epochs, batch_size, learning_rate, distill, seed)
        trained = _train(keras_model, dataset, options, io_type, model.name)
    else:
        say(f"quantizing with {min(samples, len(training_part(dataset, seed)))} samples")
    result = (
        quantize_on(keras_model, dataset, samples=samples, io=io_type, seed=seed, source=model.name)
        if trained is None
        else trained.quantized
    )
    accuracy = compare_accuracy(
        keras_model, result, dataset, seed, lambda total: progress("int8 on validation data", total)
    )
    report = None
    if with_report:
        held = validation_part(dataset, seed)
        x = training_part(dataset, seed) if held is None else held[0]
        report = quantization_report(trained.model if trained else keras_model, result, x, data_source=data)
    write_file_atomic(output, result.content)
    for note in (*result.notes, *(trained.notes if trained else ())):
        say(note)
    if as_json:
        print_json(
            {
                "output": str(output),
                **result.to_json(),
                "accuracy": accuracy and accuracy.to_json(),
                **({"training": trained.to_json()} if trained else {}),
                **({"report": report.to_json()} if report else {}),
            }
        )
        return
    _show(result, accuracy)
    if report:
        show_errors(report)
    out.print(f"written to {output}; next: mcuprune generate {output} --board BOARD")


def _check_options(context: click.Context, with_qat: bool) -> None:
    """Refuse what has no use: options of the training without --qat, and samples to calibrate with with it."""
    names = ("samples",) if with_qat else _TRAINING
    given = given_options(context, names)
    if given:
        texts = ", ".join(given)
        hint = "leave it out: the ranges are those of the training" if with_qat else "add --qat to train"
        raise UsageError(f"{texts} has no use {'with' if with_qat else 'without'} --qat", hint=hint)


def _train(model: Any, data: Dataset, options: QatOptions, io: str, source: str) -> QatResult:
    """Quantization-aware training, with its progress shown."""
    from mcuprune.quantization import qat

    with training_progress(options.epochs) as shown:
        return qat(
            model,
            data.x,
            data.labels(),
            data.xv,
            data.yv,
            options=options,
            progress=shown,
            int8_io=io == "int8",
            source=source,
            data_source=data.source,
        )


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
