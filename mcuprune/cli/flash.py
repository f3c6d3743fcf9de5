"""mcuprune flash"""

from __future__ import annotations

from pathlib import Path

import click

from mcuprune.cli.common import board_port_option, json_option, kilo, out, print_json, progress, say
from mcuprune.errors import UsageError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@board_port_option
@json_option
def command(folder: Path, port: str | None, as_json: bool) -> None:
    """Put the built image on the board, verify it, and ask the board whether it runs it.

    A QEMU board keeps what was flashed in your state folder until it is flashed again; --port names one of several.
    """
    from mcuprune.build.folder import open_folder
    from mcuprune.flash.flash import flash, flash_bytes

    opened = open_folder(folder)
    if opened.board.is_host:
        raise UsageError("the host build needs no flashing", hint=f"mcuprune check {folder} --data D")
    size = flash_bytes(opened)
    say(f"flashing {kilo(size)} to {port or opened.board.name} ({opened.board.title})")
    with progress("writing and reading back", 2 * size) as update:
        done = flash(opened, port, progress=update)
    if as_json:
        print_json(
            {
                "port": done.port,
                "board": done.hello.board_id,
                "build_id": done.hello.build_id.hex(),
                "model_sha256": done.hello.model_sha256.hex(),
                "image_bytes": done.image_bytes,
            }
        )
        return
    named = "" if port is None else f" --port {port}"
    out.print(
        f"{done.port} runs build {done.hello.build_id.hex()[:12]} of '{done.hello.model_name}', "
        f"{kilo(done.image_bytes)} written and verified; next: mcuprune check {folder} --data D{named}"
    )
