"""Boards brought to life for one command: powered up when opened, down again when the byte stream to them is closed."""

from __future__ import annotations

from collections.abc import Callable

from mcuprune.build.folder import Folder
from mcuprune.build.sizes import read_build_id
from mcuprune.link.transport import ProcessTransport, Transport

Opener = Callable[[], Transport]


def board_opener(folder: Folder, port: str | None = None) -> Opener:
    """How to reach the folder's board.

    Args:
        port: serial port, `unix:PATH` or `socket://HOST:PORT`; None for the board's own way.
    """
    return lambda: ProcessTransport([str(folder.need_elf().resolve())], name=folder.board.name)


def build_id(folder: Folder) -> bytes:
    """The build id of the folder's image, as the board reports it.

    Raises:
        BuildError: the folder is not built.
    """
    return bytes.fromhex(read_build_id(folder.need_elf()))
