"""Boards brought to life for one command: powered up when opened, down again when the byte stream to them is closed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mcuprune.build.folder import Folder
from mcuprune.build.sizes import read_build_id
from mcuprune.flash.qemu import QemuProcess, QemuTransport
from mcuprune.flash.store import require_image
from mcuprune.link.transport import ProcessTransport, Transport

Opener = Callable[[], Transport]


def board_opener(folder: Folder, port: str | None = None, state: Path | None = None) -> Opener:
    """How to reach the folder's board: the host build as a child process, QEMU with the board's stored content.

    Args:
        port: name of a QEMU board; None for the board's own name.
        state: where QEMU boards keep their content; the user's state folder by default.
    """

    def open_host() -> Transport:
        return ProcessTransport([str(folder.need_elf().resolve())], name=folder.board.name)

    def open_qemu() -> Transport:
        image = require_image(folder.board.name, port, folder.path, state)
        return QemuTransport(QemuProcess(folder.board, image))

    return open_host if folder.board.is_host else open_qemu


def image_build_id(elf: Path) -> bytes:
    """The build id of an image, as the board reports it.

    Raises:
        BuildError: the file is missing, or no ELF file.
    """
    return bytes.fromhex(read_build_id(elf))
