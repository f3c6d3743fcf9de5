"""What lies in the flash of a QEMU board between two commands: an image in the user's state folder.

One folder a board, named by --port (default: the board's name), so that "the board runs another build" is as real in
QEMU as on a desk. MCUPRUNE_STATE names another place than the platform's.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import platformdirs

from mcuprune.errors import LinkError, UsageError
from mcuprune.files import write_file_atomic


def state_folder() -> Path:
    """Where boards keep their content."""
    named = os.environ.get("MCUPRUNE_STATE")
    return Path(named) if named else platformdirs.user_state_path("mcuprune")


def stored_image(board_name: str, port: str | None, state: Path | None = None) -> Path:
    """Where the image of a QEMU board lies, written or not.

    Raises:
        UsageError: the port is no name.
    """
    name = board_name if port is None else port
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise UsageError(
            f"--port {name!r} is no name of a QEMU board",
            hint="letters, digits, -, _ and . : each name is an emulated board of its own",
        )
    return (state or state_folder()) / "boards" / name / "image.elf"


def require_image(board_name: str, port: str | None, folder: Path, state: Path | None = None) -> Path:
    """The stored image.

    Raises:
        LinkError: the board was never flashed.
    """
    image = stored_image(board_name, port, state)
    if not image.is_file():
        named = "" if port is None else f" --port {port}"
        raise LinkError(
            f"board {port or board_name} is empty: it was never flashed", hint=f"mcuprune flash {folder}{named}"
        )
    return image


def store_image(target: Path, content: bytes) -> None:
    """Write an image whole or not at all."""
    write_file_atomic(target, content)
