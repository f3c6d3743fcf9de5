"""mcuprune boards"""

from __future__ import annotations

import click

from mcuprune.cli.common import json_option, kilo, out, print_json, table


@click.command()
@json_option
def command(as_json: bool) -> None:
    """List the boards that are supported: core, memories, how they are flashed, on what they were tested.

    A board of your own is a TOML file: copy one of mcuprune's, change it, and give its path to --board.
    """
    from mcuprune.boards import board_names, load_board

    boards = [load_board(name) for name in board_names()]
    if as_json:
        print_json(
            {
                "boards": [
                    {
                        "name": b.name,
                        "core": b.core.name,
                        "flash_bytes": b.flash.bytes,
                        "ram_bytes": b.ram.bytes,
                        "runner": b.runner.kind,
                        "tested_on": b.tested_on,
                    }
                    for b in boards
                ]
            }
        )
        return
    rows = table(None, "board", "core", "flash", "RAM", "runner", "tested on", "what", right=("flash", "RAM"))
    for b in boards:
        rows.add_row(b.name, b.core.name, kilo(b.flash.bytes), kilo(b.ram.bytes), b.runner.kind, b.tested_on, b.title)
    out.print(rows)
