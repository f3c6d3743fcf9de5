"""mcuprune quantize"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcuprune.cli.common import json_option, out, print_json, progress, say, table
from mcuprune.errors import UsageError

if TYPE_CHECKING:
    from mcuprune.data import Dataset
    from mcuprune.ir.graph import Graph
    from mcuprune.quantization import Quantized

COMPARED = 1000
"""Validation samples that the int8 model is held against the float one on."""


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
    default=500,
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
    from mcuprune.quantization import quantize
    from mcuprune.sparsity import load_model

    keras_model = load_model(model)
    train, held = _parts(dataset, seed)
    say(f"quantizing with {min(samples, len(train))} samples")
    result = quantize(
        keras_model,
        train,
        samples=samples,
        int8_io=io_type == "int8",
        seed=seed,
        source=model.name,
        data_source=data,
    )
    accuracy = _accuracies(keras_model, result, held, data) if held is not None else None
    write_file_atomic(output, result.content)
    for note in result.notes:
        say(note)
    if as_json:
        print_json(
            {
                "output": str(output),
                **result.to_json(),
                "accuracy": accuracy,
            }
        )
        return
    _show(result, accuracy)
    out.print(f"written to {output}; next: mcuprune generate {output} --board BOARD", markup=False)


def _parts(dataset: Dataset, seed: int) -> tuple[Any, tuple[Any, Any] | None]:
    """Samples to calibrate on, and samples with labels to compare on."""
    if dataset.xv is not None:
        return dataset.x, (dataset.xv, dataset.yv)
    if dataset.y is None or len(dataset) < 2:
        return dataset.x, None
    from mcuprune.sparsity.samples import hold_out

    train, held = hold_out(len(dataset), seed)
    return dataset.x[train], (dataset.x[held], dataset.y[held])


def _accuracies(keras_model: Any, result: Quantized, held: tuple[Any, Any], source: str) -> dict[str, Any]:
    """Of the float model and of the int8 one, by LiteRT's reference kernels, on the same samples."""
    import numpy as np

    from mcuprune.inputs import check_labels
    from mcuprune.sparsity.samples import fit_samples
    from mcuprune.sparsity.train import accuracy_of

    x, y = held
    if len(y) > COMPARED:
        chosen = np.sort(np.random.default_rng(0).permutation(len(y))[:COMPARED])
        x, y = x[chosen], y[chosen]
    check_labels(y, result.graph, source)
    shape = tuple(int(n) for n in keras_model.inputs[0].shape[1:])
    rows, _ = fit_samples(x, shape, "input", source)
    predicted = int8_predictions(result.content, result.graph, x, source)
    return {
        "samples": len(y),
        "float": accuracy_of(keras_model, rows, y),
        "int8": float((predicted == y).mean()),
    }


def int8_predictions(content: bytes, graph: Graph, x: Any, source: str) -> Any:
    """The class of each sample by LiteRT's reference kernels."""
    import numpy as np

    from mcuprune.inputs import encode_inputs, model_input
    from mcuprune.tflite.reference import ReferenceInterpreter

    tensor = model_input(graph)
    encoded = encode_inputs(x, tensor, source).rows
    samples = ([row.view(tensor.dtype.numpy).reshape(tensor.shape)] for row in encoded)
    classes = []
    with ReferenceInterpreter(content) as reference, progress("int8 on validation data", len(encoded)) as update:
        for done, reply in enumerate(reference.stream(samples, "outputs"), start=1):
            classes.append(int(np.argmax(reply.outputs[0])))
            update(done)
    return np.array(classes)


def _show(result: Quantized, accuracy: dict[str, Any] | None) -> None:
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
            f"accuracy on {accuracy['samples']} validation samples: float {accuracy['float']:.2%}, "
            f"int8 {accuracy['int8']:.2%}"
        )
