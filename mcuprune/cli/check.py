"""mcuprune check"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcuprune.cli.common import json_option, out, port_option, print_json, progress, say, table
from mcuprune.errors import EXIT_CHECK, EXIT_OK

if TYPE_CHECKING:
    from mcuprune.build.folder import Folder
    from mcuprune.check.score import CheckResult


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--data",
    required=True,
    help="Labelled samples: FILE.npz[:x=NAME,y=NAME] (x=NAME+NAME for several inputs) or module:function.",
)
@click.option("--samples", type=click.IntRange(1), help="Run only the first so many.  [default: all]")
@click.option("--layers", is_flag=True, help="Compare every layer, too, not only outputs.")
@click.option(
    "--output", default="0", show_default=True, help="The output that holds the scores, of several: its number or name."
)
@click.option("--min-accuracy", type=click.FloatRange(0, 1), help="Exit with 1 when the accuracy (0 to 1) is lower.")
@port_option
@json_option
def command(
    folder: Path,
    data: str,
    samples: int | None,
    layers: bool,
    output: str,
    min_accuracy: float | None,
    port: str | None,
    as_json: bool,
) -> int:
    """Run data through the board over its serial link; print accuracy and hold every byte against the reference.

    The reference is LiteRT's BUILTIN_REF interpreter. Exit code 1 when an output byte differs or the accuracy is
    under --min-accuracy.
    """
    from mcuprune.build.folder import open_folder
    from mcuprune.check.score import check
    from mcuprune.check.session import SessionOptions
    from mcuprune.data import load_dataset
    from mcuprune.flash.power import board_opener, image_build_id

    opened = open_folder(folder)
    build_id = image_build_id(opened.need_elf())
    graph = opened.graph()
    dataset = load_dataset(data, several=True)
    total = min(len(dataset), samples or len(dataset))
    say(f"checking {total} samples on {port or opened.board.name}")
    with progress("on the board", total) as update:
        result = check(
            graph,
            opened.model_path,
            board_opener(opened, port),
            dataset,
            samples=samples,
            layers=layers,
            output=output,
            streamed=opened.streamed,
            options=SessionOptions(build_id=build_id),
            progress=lambda done, _: update(done),
        )
    faults = result.faults(min_accuracy)
    if as_json:
        print_json({**result.to_json(), "faults": list(faults)})
    else:
        _show(result, opened)
        for fault in faults:
            out.print(f"FAILED: {fault}")
    return EXIT_CHECK if faults else EXIT_OK


def _show(result: CheckResult, folder: Folder) -> None:
    for note in result.notes:
        out.print(note)
    names = [name[:10] for name in result.class_names]
    matrix = table("label, and what the board chose", "", *names, right=tuple(names))
    for name, row in zip(names, result.confusion, strict=True):
        matrix.add_row(name, *(str(n) if n else "." for n in row))
    out.print(matrix)
    out.print()
    board = result.board
    rows = table(None, "", "board", "reference")
    rows.add_row("accuracy", f"{board.value:.2%} ({board.correct} of {board.samples})", f"{result.reference.value:.2%}")
    rows.add_row("95% interval", f"{board.low:.2%} .. {board.high:.2%}", "")
    rows.add_row("same class", f"{result.agreement} of {board.samples}", "")
    rows.add_row("bit-exact outputs", f"{result.bit_exact} of {board.samples}", "")
    if result.layers is not None:
        equal = sum(layer.equal for layer in result.layers)
        rows.add_row("layers equal in all samples", f"{equal} of {len(result.layers)}", "")
    rows.add_row(*_time_row(result, folder))
    if result.stats.stack_bytes:
        rows.add_row("stack used", f"{result.stats.stack_used} of {result.stats.stack_bytes} bytes", "")
    rows.add_row("arena", f"{result.stats.arena_bytes} bytes", "")
    rows.add_row("rate", f"{result.timing.samples_per_s:.1f} samples/s", "")
    out.print(rows)
    if result.first_difference is not None:
        out.print(str(result.first_difference))


def _time_row(result: CheckResult, folder: Folder) -> tuple[str, str, str]:
    """Time of an inference on a real board; instructions in QEMU, whose clock says nothing about time."""
    timing = result.timing
    crcs = ", layer CRCs included" if timing.includes_layer_crcs else ""
    if not timing.counter_hz:
        return "time per inference", "the board has no counter", ""
    if folder.board.runner.kind == "qemu":
        millions = timing.median_ticks / timing.counter_hz * 1e9 / 1e6
        return "instructions per inference", f"{millions:.2f} M (median{crcs})", ""
    return "time per inference", f"{timing.median_ticks / timing.counter_hz * 1e3:.3f} ms (median{crcs})", ""
