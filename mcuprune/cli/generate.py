"""mcuprune generate"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from mcuprune.cli.common import (
    encoding_option,
    json_option,
    kilo,
    objective_option,
    out,
    passes_option,
    print_json,
    say,
    signature_option,
    strips_option,
    table,
)
from mcuprune.errors import UsageError


@click.command()
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL.tflite")
@click.option(
    "--board",
    "board_name",
    required=True,
    help="Board to generate for: a name from `mcuprune boards`, or a .toml file.",
)
@click.option("--name", help="C identifier of the model.  [default: the model file's stem]")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder to write.  [default: NAME-BOARD]")
@objective_option
@click.option(
    "--max-flash",
    type=click.IntRange(1),
    metavar="BYTES",
    help="The fastest choice whose weights, parameters and kernels' code fit (build adds a struct a layer and the "
    "firmware around them); in place of --optimize.",
)
@encoding_option
@signature_option
@passes_option
@strips_option
@click.option("--max-ram", type=click.IntRange(1), metavar="BYTES", help="Largest arena.  [default: what fits]")
@json_option
def command(
    model: Path,
    board_name: str,
    name: str | None,
    output: Path | None,
    optimize: str,
    max_flash: int | None,
    encodings: tuple[str, ...],
    signature: str | None,
    with_passes: bool,
    with_strips: bool,
    max_ram: int | None,
    as_json: bool,
) -> None:
    """Turn an int8 .tflite into a C project that builds by itself.

    The folder holds the model as C, the kernels it uses, a checking firmware for the board, a Makefile and a
    CMakeLists.txt. It needs no mcuprune to be built.
    """
    from mcuprune.boards import load_board
    from mcuprune.emit.project import MANIFEST, write_project
    from mcuprune.generate import generate
    from mcuprune.passes.passes import PASSES

    given = click.get_current_context().get_parameter_source("optimize")
    if max_flash is not None and given is ParameterSource.COMMANDLINE:
        raise UsageError("--optimize and --max-flash exclude each other", hint="a budget takes the fastest that fits")
    passes = tuple(PASSES) if with_passes else ()
    generated = generate(
        model,
        load_board(board_name),
        name=name,
        optimize=optimize,
        max_flash=max_flash,
        encodings=encodings,
        passes=passes,
        strips=with_strips,
        max_ram=max_ram,
        signature=signature,
    )
    folder = output or Path(f"{generated.project.name}-{generated.project.board.name}")
    for note in generated.project.graph.notes:
        say(note)
    write_project(generated.files, folder)
    manifest = json.loads(generated.files[MANIFEST])
    if as_json:
        print_json({"folder": str(folder), **manifest})
        return
    numbers = ("nonzeros", "flash", "B/nonzero", "over bound")
    rows = table(None, "", "layer", "op", "encoding", "kernel", *numbers, right=("", *numbers))
    for layer in manifest["layers"]:
        density = f"{layer['nnz']} of {layer['weights']}" if layer["weights"] else ""
        rows.add_row(
            str(layer["index"]),
            layer["name"],
            layer["op"],
            layer["encoding"],
            layer["kernel"],
            density,
            kilo(layer["flash_bytes"]),
            "" if layer["bytes_per_nonzero"] is None else f"{layer['bytes_per_nonzero']:.2f}",
            "" if layer["over_bound"] is None else f"{layer['over_bound']:+.1%}",
        )
    out.print(rows)
    reasons = table(None, "", "why this encoding", right=("",))
    for layer in manifest["layers"]:
        if layer["why"]:
            reasons.add_row(str(layer["index"]), layer["why"])
    if reasons.row_count:
        out.print()
        out.print(reasons)
    _show_removed(manifest)
    for strips in manifest["strips"]:
        first, second = (manifest["layers"][strips["layer"] + i]["name"] for i in (0, 1))
        out.print(
            f"\n{first} and {second} run by turns, {strips['rows']} output rows at a time: "
            f"{kilo(strips['buffer_bytes'])} of {kilo(strips['whole_bytes'])} between them"
        )
    if manifest["reordered"]:
        out.print("\noperators run in another order than in the model's file, which takes a smaller arena")
    totals = manifest["totals"]
    out.print(
        f"\nweights and parameters {kilo(totals['weight_flash_bytes'])}, arena {kilo(totals['arena_bytes'])} "
        f"(lower bound {kilo(totals['arena_lower_bound_bytes'])})"
    )
    out.print(
        f"values and indices {kilo(totals['stream_bytes'])}; their bound, entropy of where nonzeros are and 8 bits "
        f"each, is {kilo(totals['bound_bytes'])}"
    )
    if manifest["budget"] is not None:
        reached, least = manifest["budget"]["reached_bytes"], manifest["budget"]["smallest_bytes"]
        out.print(
            f"flash budget {kilo(manifest['budget']['max_flash_bytes'])}: weights, parameters and kernels' code take "
            f"{kilo(reached)}; the least is {kilo(least)}"
        )
    out.print(f"written to {folder}; next: mcuprune build {folder}")


def _show_removed(manifest: dict[str, Any]) -> None:
    """What passes took from the layers."""
    columns = ("channels", "weights", "MACs")
    rows = table(None, "", "dead channels removed", *columns, right=("", *columns))
    for layer in manifest["layers"]:
        removed = layer["removed"]
        if any(removed.values()):
            rows.add_row(str(layer["index"]), layer["name"], *(str(removed[key]) for key in removed))
    if not rows.row_count:
        return
    totals = manifest["totals"]
    rows.add_row("", "of the model", *(str(n) for n in totals["removed"].values()))
    out.print()
    out.print(rows)
