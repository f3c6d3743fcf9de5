"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from mcuprune.errors import UsageError


def write_file_atomic(target: Path, content: bytes) -> None:
    """Write a file beside its place, then move it there; folders on the way are made.

    Raises:
        UsageError: the place is a folder or a device, or cannot be written.
    """
    scratch = target.parent / f".{target.name[:100]}-{secrets.token_hex(8)}"
    try:
        if target.exists() and not target.is_file():
            raise UsageError(f"{target} is not a regular file", hint="name a file that may be written")
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("xb") as stream:
            stream.write(content)
        scratch.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            scratch.unlink()
        if isinstance(error, OSError):
            raise UsageError(f"{target} cannot be written: {error.strerror}", hint="name another place") from None
        raise
