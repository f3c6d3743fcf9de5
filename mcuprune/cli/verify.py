"""mcuprune verify"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcuprune.cli.common import (
    encoding_option,
    json_option,
    objective_option,
    out,
    passes_option,
    print_json,
    progress,
    say,
    signature_option,
    strips_option,
    table,
)
from mcuprune.cli.float_errors import show_errors
from mcuprune.errors import EXIT_CHECK, EXIT_OK, UsageError

if TYPE_CHECKING:
    from mcuprune.check.verify import VerifyResult


@click.command()
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL.tflite")
@click.option(
    "--target", default="host", show_default=True, help="Where to run: host, a board's name, or a .toml file."
)
@click.option(
    "--random", "random_count", type=click.IntRange(1), help="Number of random inputs.  [default: 10 without --data]"
)
@click.option(
    "--data",
    help="Real inputs: FILE.npz[:x=NAME,y=NAME] (x=NAME+NAME for several inputs) or module:function; labels are not "
    "needed.",
)
@click.option("--samples", type=click.IntRange(1), help="At most so many samples of --data.  [default: all]")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the random inputs.")
@click.option(
    "--float",
    "float_model",
    type=click.Path(path_type=Path),
    metavar="MODEL.keras",
    help="The float model that the file was made of: cosine, SQNR and largest error of each layer on --data.",
)
@click.option(
    "--sequence",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Calls in a row that keep the model's state; it is reset before each such row, on both sides.",
)
@signature_option
@objective_option
@encoding_option
@passes_option
@strips_option
@json_option
def command(
    model: Path,
    target: str,
    random_count: int | None,
    data: str | None,
    samples: int | None,
    seed: int,
    sequence: int,
    signature: str | None,
    float_model: Path | None,
    optimize: str,
    encodings: tuple[str, ...],
    with_passes: bool,
    with_strips: bool,
    as_json: bool,
) -> int:
    """Compare every layer with TFLite's reference kernels, bit for bit.

    The model is generated, built and run on the target; each layer's output is compared with LiteRT's BUILTIN_REF
    interpreter. The first element that differs is named. Exit code 1 when a byte differs.

    With --float the int8 layers are also held against the float model's, which shows where quantization hurts; that
    needs TensorFlow and never changes the exit code.

    \b
      mcuprune verify model.tflite
      mcuprune verify model.tflite --target mps2-an386 --data data.npz:x=mfcc,y=label
      mcuprune verify model.tflite --data data.npz:x=mfcc --float model.keras
    """
    if samples is not None and data is None:
        raise UsageError("--samples counts samples of --data, which is not given", hint="--data D, or --random N")
    if float_model is not None and data is None:
        raise UsageError("--float compares on real inputs, and --data is not given", hint="--data FILE.npz:x=NAME")
    import numpy as np

    from mcuprune.boards import load_board
    from mcuprune.build.compile import compile_folder
    from mcuprune.build.folder import open_folder
    from mcuprune.check.session import SessionOptions
    from mcuprune.check.verify import correct, verify
    from mcuprune.data import load_dataset
    from mcuprune.emit.project import write_project
    from mcuprune.flash.flash import flash
    from mcuprune.flash.power import board_opener, image_build_id
    from mcuprune.generate import generate
    from mcuprune.inputs import encode_samples, random_inputs
    from mcuprune.passes.passes import PASSES

    board = load_board(target)
    passes = tuple(PASSES) if with_passes else ()
    generated = generate(
        model,
        board,
        optimize=optimize,
        encodings=encodings,
        passes=passes,
        strips=with_strips,
        signature=signature,
    )
    graph = generated.project.graph
    for note in graph.notes:
        say(note)
    rows, errors, labels = [], None, None
    if data is not None:
        loaded = load_dataset(data, need_labels=False, several=True).head(samples)
        encoded = encode_samples(loaded, graph)
        rows.append(encoded.rows)
        labels = loaded.y
        for note in encoded.notes:
            say(note)
        if float_model is not None:
            from mcuprune.quantization import float_comparison

            say("loading TensorFlow")
            errors = float_comparison(float_model, model, loaded.x, data_source=loaded.source)
    if random_count is not None or data is None:
        rows.append(random_inputs(graph, random_count or 10, seed))
    inputs = np.concatenate(rows)
    with tempfile.TemporaryDirectory(prefix="mcuprune-verify-") as scratch:
        folder_path = Path(scratch) / generated.project.name
        write_project(generated.files, folder_path)
        folder = open_folder(folder_path)
        say(f"building for {board.name}")
        compile_folder(folder)
        state = Path(scratch) / "state"  # a board of this command's own: what the user flashed stays
        if not board.is_host:
            flash(folder, state=state)
        with progress(f"comparing on {board.name}", len(inputs)) as update:
            result = verify(
                graph,
                model,
                board_opener(folder, state=state),
                inputs,
                sequence=sequence,
                options=SessionOptions(build_id=image_build_id(folder.elf)),
                streamed=folder.streamed,
                progress=lambda done, _: update(done),
            )
    right, labelled = None, 0
    if labels is not None:
        right, labelled = correct(graph, result.board, labels), len(labels)
    if as_json:
        report: dict[str, Any] = {"target": board.name, "model_sha256": graph.sha256, **result.to_json()}
        report |= {} if right is None else {"correct": right, "labelled": labelled}
        print_json(report if errors is None else {**report, "float": errors.to_json()})
    else:
        _show(result, [choice.kernel.symbol if choice.kernel else "-" for choice in generated.project.choices])
        equal = "all layers equal" if result.equal else "NOT equal"
        scored = "" if right is None else f", {right} of {labelled} right"
        rate = result.inputs / max(result.seconds, 1e-9)
        counts = f"{result.inputs} inputs, {len(result.layers)} layers ({rate:.1f} inputs/s)"
        out.print(f"{equal} on {board.name}: {counts}{scored}")
        if errors is not None:
            show_errors(errors)
    return EXIT_OK if result.equal else EXIT_CHECK


def _show(result: VerifyResult, kernels: list[str]) -> None:
    """A row for each layer, and the first difference."""
    rows = table(None, "", "layer", "op", "kernel", "outputs")
    for layer, kernel in zip(result.layers, kernels, strict=True):
        rows.add_row(str(layer.index), layer.name, layer.op, kernel, "equal" if layer.equal else "DIFFERENT")
    out.print(rows)
    if result.first_difference is not None:
        out.print(str(result.first_difference))
