"""`flash`: put an image onto a board, verify it, and ask the board whether it runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mcuprune.build.folder import Folder
from mcuprune.errors import BoardError, UsageError
from mcuprune.flash.gdb import GdbClient
from mcuprune.flash.image import load_segments
from mcuprune.flash.power import image_build_id, is_line
from mcuprune.flash.qemu import QemuProcess, QemuTransport
from mcuprune.flash.store import store_image, stored_image
from mcuprune.link.client import LinkClient
from mcuprune.link.protocol import Hello


@dataclass(frozen=True, slots=True)
class Flashed:
    """What was written, and what the board then said."""

    port: str
    image_bytes: int
    hello: Hello


def flash_bytes(folder: Folder) -> int:
    """Bytes that flash() will write."""
    return sum(len(segment.data) for segment in load_segments(folder.need_elf()))


def flash(
    folder: Folder,
    port: str | None = None,
    *,
    state: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Flashed:
    """Write the folder's image to its board.

    Args:
        port: which board; for QEMU a name, the board's own by default.
        state: where QEMU boards keep their content; the user's state folder by default.
        progress: called with the bytes written and read back so far, of 2 * flash_bytes().
    Raises:
        BoardError: the board or its gdb server fails, or what was read back differs.
        LinkError: the board does not answer, or answers with another build. The board keeps its earlier content.
    """
    if folder.board.is_host:
        raise UsageError("the host build needs no flashing", hint=f"mcuprune check {folder.path}")
    if is_line(port):
        raise UsageError(
            f"{folder.board.name} is an emulated board: it is flashed by name, not over {port}",
            hint="leave --port out, or give a name",
        )
    target = stored_image(folder.board.name, port, state)
    elf = folder.need_elf()
    want = image_build_id(elf)
    process = QemuProcess(folder.board, None)
    try:
        size = _load(process, folder, progress)
        with LinkClient(QemuTransport(process)) as client:
            hello = client.hello()
    finally:
        process.stop()
    if hello.build_id != want:
        raise BoardError(
            f"after flashing the board runs build {hello.build_id.hex()[:12]}, not {want.hex()[:12]}",
            where=folder.board.name,
            hint="flash again",
        )
    store_image(target, elf.read_bytes())
    return Flashed(port or folder.board.name, size, hello)


def _load(process: QemuProcess, folder: Folder, progress: Callable[[int], None] | None) -> int:
    """Write and read back every segment, reset, let run. Returns the bytes written."""
    segments = load_segments(folder.elf)
    total = sum(len(s.data) for s in segments)
    done = 0

    def report(count: int) -> None:
        if progress:
            progress(done + count)

    with GdbClient(process.connect(process.gdb)) as gdb:
        gdb.halt_reason()
        for segment in segments:
            gdb.write(segment.address, segment.data, report)
            done += len(segment.data)
        for segment in segments:
            found = gdb.read(segment.address, len(segment.data))
            done += len(segment.data)
            report(0)
            if found != segment.data:
                at = next(i for i, (a, b) in enumerate(zip(found, segment.data, strict=True)) if a != b)
                raise BoardError(
                    f"verify failed at 0x{segment.address + at:08x}: "
                    f"read 0x{found[at]:02x}, wrote 0x{segment.data[at]:02x}",
                    where=folder.board.name,
                    hint="does the board file give the right flash address and size?",
                )
        gdb.monitor("system_reset")
        gdb.detach()
    return total
