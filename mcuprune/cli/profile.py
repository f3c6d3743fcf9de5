"""mcuprune profile"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcuprune.cli.common import json_option, kilo, out, print_json, say, table
from mcuprune.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from mcuprune.profile.result import Baseline, Profile


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--data", help="Its first sample is the input: FILE.npz[:x=NAME] or module:function.  [default: random]")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the random input.")
@click.option(
    "--against", type=click.Path(path_type=Path), metavar="FILE", help="Baselines (JSON): adds the ratio of each layer."
)
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE.svg", help="Draw the layers as bars.")
@click.option(
    "--top", type=click.IntRange(0), default=8, show_default=True, help="How many functions, the dearest first."
)
@click.option("--port", help="Measure on a running board over this line instead: /dev/ttyACM0, socket://HOST:PORT.")
@json_option
def command(
    folder: Path,
    data: str | None,
    seed: int,
    against: Path | None,
    plot: Path | None,
    top: int,
    port: str | None,
    as_json: bool,
) -> None:
    """Say what each layer of one inference costs: executed instructions, and cycles.

    The built image runs in QEMU, which needs no `flash`; a plugin counts each executed instruction. Cycles are
    modelled, for the Cortex-M4 (docs/profile.md says how, and what the model leaves out). With --port, a real board's
    cycle counter measures them.
    """
    from mcuprune.build.folder import open_folder
    from mcuprune.data import load_dataset
    from mcuprune.files import write_file_atomic
    from mcuprune.flash.power import board_opener, is_line
    from mcuprune.importers.tflite import import_tflite
    from mcuprune.inputs import encode_samples, random_inputs
    from mcuprune.profile.against import compare
    from mcuprune.profile.measure import profile_emulated, profile_measured
    from mcuprune.profile.plot import svg

    if port is not None and not is_line(port):
        raise UsageError(
            f"--port {port!r} is no line to a board",
            hint="/dev/ttyACM0 or socket://HOST:PORT; in QEMU leave --port out: the built image runs as it is",
        )
    opened = open_folder(folder)
    opened.need_elf()
    graph = import_tflite(opened.model_path, opened.signature)
    if data is None:
        row = random_inputs(graph, 1, seed)[0]
    else:
        loaded = load_dataset(data, need_labels=False, several=True).head(1)
        encoded = encode_samples(loaded, graph)
        row = encoded.rows[0]
        for note in encoded.notes:
            say(note)
    if port is None:
        result = profile_emulated(opened, row.tobytes())
    else:
        result = profile_measured(opened, board_opener(opened, port), row.tobytes())
    if against is not None:
        result = compare(result, graph, against)
    if plot is not None:
        write_file_atomic(plot, svg(result, opened.name).encode())
    if as_json:
        print_json(result.to_json())
        return
    _show(result, top)
    if plot is not None:
        out.print(f"\npicture in {plot}")


def _show(profile: Profile, top: int) -> None:
    for rows in (_costs(profile), _sizes(profile)):
        out.print(rows)
        out.print()
    memory = profile.memory
    out.print(
        f"flash {kilo(memory.flash_bytes)} (weights {kilo(memory.weight_flash_bytes)}, kernels and model code "
        f"{kilo(memory.code_bytes)}), RAM {kilo(memory.ram_bytes)} (arena {kilo(memory.arena_bytes)})"
    )
    if profile.cycles:
        out.print(f"cycles are {profile.cycles}, on {profile.board} ({profile.core})")
    else:
        out.print(f"no cycle model for {profile.core}: instructions only")
    if profile.against:
        out.print(f"x: figures of {profile.against} over these; above 1, these are better")
    if top and profile.functions:
        out.print()
        names = ("instructions", f"{profile.cycles} cycles", "share") if profile.cycles else ("instructions", "share")
        found = table(None, "function", *names, right=names)
        for function in profile.functions[:top]:
            cycles = [] if function.cycles is None else [f"{function.cycles:,}"]
            cost = function.instructions if function.cycles is None else function.cycles
            found.add_row(function.name, f"{function.instructions:,}", *cycles, _share(cost, profile.cost))
        out.print(found)


def _costs(profile: Profile) -> Table:
    """What each layer takes in time."""
    per = "cycles" if profile.cycles else "instr."
    numbers = ["MACs", "nonzero"]
    if profile.instructions is not None:
        numbers.append("instructions")
    if profile.cycles:
        numbers.append(f"{profile.cycles} cycles")
    numbers += [f"{per}/MAC", f"{per}/nonzero", "share"]
    if profile.against:
        numbers += (["x instr."] if profile.instructions is not None else []) + (["x cycles"] if profile.cycles else [])
    rows = table(None, "", "layer", *numbers, right=("", *numbers))
    for layer in profile.layers:
        rows.add_row(
            str(layer.index),
            layer.name,
            *_figures(profile, layer.macs, layer.nnz_macs, layer.instructions, layer.cycles),
            *_ratios(profile, layer.baseline, layer.instructions, layer.cycles),
        )
    rows.add_row(
        "",
        "total",
        *_figures(profile, profile.macs, profile.nnz_macs, profile.instructions, profile.total_cycles),
        *_ratios(profile, profile.baseline, *profile.compared()),
        style="bold",
    )
    return rows


def _sizes(profile: Profile) -> Table:
    """What each layer is and takes in memory, in bytes."""
    from mcuprune.profile.result import over_bound

    sizes = ("flash", "B/nonzero", "over bound", "workspace")
    rows = table(None, "", "layer", "op", *sizes, "encoding", "kernel", right=("", *sizes))
    for layer in profile.layers:
        rows.add_row(
            str(layer.index),
            layer.name,
            layer.op,
            f"{layer.flash_bytes:,}",
            "-" if layer.bytes_per_nonzero is None else f"{layer.bytes_per_nonzero:.2f}",
            _over(layer.over_bound),
            f"{layer.workspace_bytes:,}",
            layer.encoding,
            layer.kernel,
        )
    whole = sum(layer.flash_bytes for layer in profile.layers)
    over = _over(over_bound(profile.stream_bytes, profile.bound_bytes))
    rows.add_row("", "total", "", f"{whole:,}", "", over, "", "", "", style="bold")
    return rows


def _over(share: float | None) -> str:
    return "-" if share is None else f"{share:+.1%}"


def _figures(profile: Profile, macs: int, nnz_macs: int, instructions: int | None, cycles: int | None) -> list[str]:
    cost = cycles if cycles is not None else instructions or 0
    return [
        f"{macs:,}" if macs else "-",
        f"{nnz_macs:,}" if nnz_macs else "-",
        *([f"{instructions:,}"] if instructions is not None else []),
        *([f"{cycles:,}"] if cycles is not None else []),
        f"{cost / macs:.3f}" if macs else "-",
        f"{cost / nnz_macs:.3f}" if nnz_macs else "-",
        _share(cost, profile.cost),
    ]


def _ratios(profile: Profile, baseline: Baseline | None, instructions: int | None, cycles: int | None) -> list[str]:
    from mcuprune.profile.result import Baseline

    if not profile.against:
        return []

    def cell(theirs: int | None, ours: int | None) -> list[str]:
        return [] if ours is None else [f"{theirs / ours:.2f}" if theirs and ours else "-"]

    theirs = baseline or Baseline(None, None)
    return [*cell(theirs.instructions, instructions), *cell(theirs.cycles, cycles)]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"
