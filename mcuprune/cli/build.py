"""mcuprune build"""

from __future__ import annotations

from pathlib import Path

import click

from mcuprune.cli.common import json_option, kilo, out, print_json, table


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Compile a generated folder; print flash and RAM by part, and what is left on the board.

    Runs the folder's own Makefile with the compiler that the board's core needs.
    """
    from mcuprune.build.compile import compile_folder
    from mcuprune.build.folder import open_folder
    from mcuprune.build.sizes import measure

    opened = open_folder(folder)
    compile_folder(opened)
    sizes = measure(opened)
    board = opened.board
    if as_json:
        print_json(
            {
                "elf": str(opened.elf),
                "build_id": sizes.build_id,
                "board": board.name,
                "totals": {
                    "weight_flash_bytes": sizes.weight_flash_bytes,
                    "code_bytes": sizes.code_bytes,
                    "flash_bytes": sizes.flash_bytes,
                    "ram_bytes": sizes.ram_bytes,
                    "arena_bytes": sizes.arena_bytes,
                    "flash_left_bytes": board.flash.bytes - sizes.flash_bytes,
                    "ram_left_bytes": board.ram.bytes - sizes.ram_bytes,
                },
                "flash": dict(sizes.flash),
                "ram": dict(sizes.ram),
                "layers": [{"name": name, "flash_bytes": size} for name, size in sizes.layers.items()],
            }
        )
        return
    for memory, parts, total, region in (
        ("flash", sizes.flash, sizes.flash_bytes, board.flash),
        ("RAM", sizes.ram, sizes.ram_bytes, board.ram),
    ):
        rows = table(None, memory, "bytes", right=("bytes",))
        for part, size in parts.items():
            rows.add_row(part, f"{size:,}")
        rows.add_row("total", f"{total:,}", style="bold")
        rows.add_row(f"left on {board.name}", f"{region.bytes - total:,}")
        out.print(rows)
        out.print()
    following = f"mcuprune check {folder} --data D" if board.is_host else f"mcuprune flash {folder}"
    out.print(f"{opened.elf} ({kilo(sizes.flash_bytes)} flash, {kilo(sizes.ram_bytes)} RAM); next: {following}")
