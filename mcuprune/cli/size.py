"""mcuprune size"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from mcuprune.cli.common import json_option, out, print_json, table


@click.command()
@click.argument("files", type=click.Path(path_type=Path), metavar="FILE...", nargs=-1, required=True)
@json_option
def command(files: tuple[Path, ...], as_json: bool) -> None:
    """Compare model files: bytes, zipped bytes, parameters, and how many of them are not zero.

    FILE is a .keras, a .npz of weights or a .tflite; the ratios are the first file's bytes over this one's. Zipped is
    by deflate, as `zip` does it: of the whole file for a .tflite, of the weights' numbers alone for a .keras or .npz,
    which are zips already. Parameters are weights, biases and statistics, not the optimizer's state.

    \b
      mcuprune size dense.keras pruned.keras int8.tflite
    """
    from mcuprune.sizes import model_size

    sizes = [model_size(path) for path in files]
    first = sizes[0]
    ratios = [(first.bytes / size.bytes, first.zipped_bytes / size.zipped_bytes) for size in sizes]
    if as_json:
        rows = [
            {**asdict(size), "file": str(path), "sparsity": size.sparsity, "bytes_ratio": ratio, "zipped_ratio": zipped}
            for path, size, (ratio, zipped) in zip(files, sizes, ratios, strict=True)
        ]
        print_json({"files": rows})
        return
    right = ("bytes", "ratio", "zipped", "zipped ratio", "parameters", "nonzero", "sparsity")
    shown = table(None, "file", "bytes", "ratio", "zipped", "zipped ratio", "of", *right[4:], right=right)
    for path, size, (ratio, zipped) in zip(files, sizes, ratios, strict=True):
        shown.add_row(
            str(path),
            str(size.bytes),
            f"{ratio:.2f}x",
            str(size.zipped_bytes),
            f"{zipped:.2f}x",
            size.zipped,
            str(size.parameters),
            str(size.nonzero),
            f"{size.sparsity:.2%}",
        )
    out.print(shown)
