"""Boards brought to life for one command: powered up when opened, down again when the byte stream to them is closed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mcuprune.build.folder import Folder
from mcuprune.build.sizes import read_build_id
from mcuprune.flash.qemu import QemuProcess, QemuTransport
from mcuprune.flash.store import require_image
from mcuprune.link.transport import ProcessTransport, Transport, open_transport

Opener = Callable[[], Transport]


def is_line(port: str | None) -> bool:
    """Whether a port names a line to a running board (device, socket), not an emulated board."""
    return port is not None and ("/" in port or port.startswith(("unix:", "socket://", "COM")))


def board_opener(folder: Folder, port: str | None = None, state: Path | None = None) -> Opener:
    """How to reach the folder's board.

    Args:
        port: a line to a running board (`/dev/ttyACM0`, a pty, `socket://HOST:PORT`, `unix:PATH`), or the name of a
            QEMU board, which is powered up with what was flashed; None for the board's own name.
        state: where QEMU boards keep their content; the user's state folder by default.
    """
    board = folder.board

    def open_host() -> Transport:
        return ProcessTransport([str(folder.need_elf().resolve())], name=board.name)

    def open_qemu() -> Transport:
        return QemuTransport(QemuProcess(board, require_image(board.name, port, folder.path, state)))

    def open_line() -> Transport:
        assert port is not None
        return open_transport(port, board.uart.baud if board.uart else 115_200)

    if is_line(port):
        return open_line
    return open_host if board.is_host else open_qemu


def image_build_id(elf: Path) -> bytes:
    """The build id of an image, as the board reports it.

    Raises:
        BuildError: the file is missing, or no ELF file.
    """
    return bytes.fromhex(read_build_id(elf))
