"""mcuprune memory"""

from __future__ import annotations

from pathlib import Path

import click

from mcuprune.cli.common import json_option, kilo, out, print_json, table


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--svg", "picture", type=click.Path(path_type=Path), metavar="FILE.svg", help="Draw the arena over time.")
@json_option
def command(folder: Path, picture: Path | None, as_json: bool) -> None:
    """Show where the plan of a generated folder puts each buffer, and while which layers.

    Steps go to the right, offsets upwards; each buffer has a letter. ^ marks the steps that need the most. The folder
    needs not to be built.
    """
    from mcuprune.build.folder import open_folder
    from mcuprune.files import write_file_atomic
    from mcuprune.report.arena import arena_file, arena_text, buffer_rows, live_bytes, peak_layers

    manifest = open_folder(folder).manifest
    totals = manifest["totals"]
    if picture is not None:
        write_file_atomic(picture, arena_file(manifest).encode())
    if as_json:
        before, *live, after = live_bytes(manifest["buffers"], len(manifest["layers"]))
        print_json(
            {
                "arena_bytes": totals["arena_bytes"],
                "arena_lower_bound_bytes": totals["arena_lower_bound_bytes"],
                "live_before_bytes": before,
                "live_after_bytes": after,
                "layers": [
                    {"index": layer["index"], "name": layer["name"], "live_bytes": size}
                    for layer, size in zip(manifest["layers"], live, strict=True)
                ],
                "buffers": manifest["buffers"],
                "strips": manifest["strips"],
                "reordered": manifest["reordered"],
            }
        )
        return
    for line in arena_text(manifest):
        out.print(line)
    rows = table(None, "", "buffer", "bytes", "offset", "steps", right=("bytes", "offset", "steps"))
    for row in buffer_rows(manifest):
        rows.add_row(*row)
    out.print(rows)
    out.print(
        f"\narena {kilo(totals['arena_bytes'])}, lower bound {kilo(totals['arena_lower_bound_bytes'])}; "
        f"the most is live in {', '.join(peak_layers(manifest)) or 'no layer'}"
    )
    if picture is not None:
        out.print(f"picture in {picture}")
