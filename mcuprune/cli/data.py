"""mcuprune data"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcuprune.cli.common import json_option, kilo, out, print_json, progress, say, table
from mcuprune.errors import UsageError

if TYPE_CHECKING:
    from mcuprune.datasets.speech_commands import Prepared


@click.group()
def command() -> None:
    """Turn a public data set into an .npz to train on.

    \b
      mcuprune data speech-commands DIR -o features.npz
    """


@command.command("speech-commands")
@click.argument("source", type=click.Path(path_type=Path), metavar="DIR|FILE.tar.gz")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="OUT.npz", help="File to write."
)
@click.option(
    "--download",
    "fetch",
    is_flag=True,
    help="First fetch the published archive (2.4 GB, CC BY 4.0) into DIR or as FILE.tar.gz, where it is not there yet.",
)
@click.option(
    "--noise-clips",
    type=click.IntRange(0),
    default=1000,
    show_default=True,
    help="Seconds cut from the background recordings, as class _silence_.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the cuts.")
@json_option
def speech_commands(source: Path, output: Path, fetch: bool, noise_clips: int, seed: int, as_json: bool) -> None:
    """Compute Arm's keyword features of Speech Commands v0.02: 49 frames of 10 MFCCs.

    DIR is the unpacked data set (a folder for each word, _background_noise_, validation_list.txt and testing_list.txt),
    or a folder that holds its archive. Ten keywords, all other words as _unknown_, noise as _silence_. The lists split
    it; without them the data set's hash of the speaker does. Needs TensorFlow, whose operators define the features.

    \b
      mcuprune data speech-commands speech_commands_v0.02 -o features.npz
      mcuprune data speech-commands . --download -o features.npz
    """
    if output.suffix != ".npz":
        raise UsageError(f"the result is an .npz file, not {output.name}", hint=f"-o {output.stem or 'features'}.npz")
    from mcuprune.datasets.copies import download
    from mcuprune.datasets.speech_commands import ARCHIVE, prepare
    from mcuprune.files import write_file_atomic

    if fetch:
        target = source if source.name.endswith((".tar.gz", ".tgz")) else source / ARCHIVE.name
        if not target.exists():
            say(f"fetching {ARCHIVE.url}")
            download(ARCHIVE, target, progress)
    prepared = prepare(source, progress, noise_clips=noise_clips, seed=seed)
    content = prepared.npz()
    write_file_atomic(output, content)
    if as_json:
        arrays = prepared.arrays
        totals = {"clips": len(arrays["label"]), "speakers": int(arrays["speaker"].max(initial=0))}
        print_json({"output": str(output), **totals, "splits": prepared.counts(), "notes": list(prepared.notes)})
        return
    for note in prepared.notes:
        say(note)
    _show(prepared)
    out.print(f"written to {output}, {kilo(len(content))}")


def _show(prepared: Prepared) -> None:
    counts = prepared.counts()
    rows = table(None, "class", *counts, right=tuple(counts))
    for name in next(iter(counts.values())):
        rows.add_row(name, *(str(of[name]) for of in counts.values()))
    rows.add_row("total", *(str(sum(of.values())) for of in counts.values()), style="bold")
    out.print(rows)
