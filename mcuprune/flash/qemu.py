"""QEMU as a board: a process that lives as long as the byte stream to it, and never longer than this one.

-icount shift=0 makes one instruction one nanosecond of the board's clock, so SysTick counts instructions and runs
repeat.
"""

from __future__ import annotations

import contextlib
import ctypes
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mcuprune.boards import Board
from mcuprune.errors import BoardError, LinkError
from mcuprune.link.transport import LinkGoneError, SocketTransport, Transport, open_transport
from mcuprune.tools import find_tool

_T = TypeVar("_T")
_START_S = 10.0
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """In the child, before QEMU: a parent that is killed takes it along (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class QemuProcess:
    """A running QEMU with its sockets in a folder of its own."""

    def __init__(self, board: Board, image: Path | None, plugin: str | None = None) -> None:
        """Start it: with an image as its content, or bare, halted, with a gdb server.

        Args:
            plugin: value of QEMU's option -plugin.
        Raises:
            ToolMissingError: QEMU is not installed.
            BoardError: it does not start, or does not know the machine.
        """
        program = find_tool("qemu-system-arm", f"run {board.name}")
        self.board = board
        self._folder = Path(tempfile.mkdtemp(prefix="mcuprune-qemu-"))
        self.serial = self._folder / "serial"
        self.gdb = self._folder / "gdb"
        self._log = self._folder / "log"
        command = [str(program), "-M", str(board.runner.machine), "-display", "none", "-monitor", "none"]
        command += ["-chardev", f"socket,id=uart,path={self.serial},server=on,wait=off", "-serial", "chardev:uart"]
        command += ["-icount", "shift=0"]
        if image is None:
            command += ["-S", "-chardev", f"socket,id=gdb,path={self.gdb},server=on,wait=off", "-gdb", "chardev:gdb"]
        else:
            command += ["-kernel", str(image)]
        if plugin is not None:
            command += ["-plugin", plugin]
        self._child: subprocess.Popen[bytes] | None = None
        try:
            with self._log.open("wb") as log:
                self._child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C reaches us, and we end it
                    preexec_fn=_die_with_parent,
                )
            self._wait_for_sockets([self.serial] + ([self.gdb] if image is None else []))
        except BaseException:
            self.stop()
            raise

    def _wait_for_sockets(self, paths: list[Path]) -> None:
        assert self._child is not None
        deadline = time.monotonic() + _START_S
        while not all(path.exists() for path in paths):
            if self._child.poll() is not None or time.monotonic() > deadline:
                raise self._not_started()
            time.sleep(0.005)

    def _not_started(self) -> BoardError:
        return BoardError(
            f"QEMU does not start {self.board.name}: {self.last_words() or 'no word from it'}",
            where=f"qemu-system-arm -M {self.board.runner.machine}",
            hint="does this QEMU know the machine? `qemu-system-arm -M help`",
        )

    def connect(self, socket: Path) -> Transport:
        """Connect to one of the sockets; a file may be there a moment before QEMU listens on it.

        Raises:
            BoardError: QEMU ended meanwhile, as where a plugin is refused after the sockets were made.
            LinkError: it does not listen.
        """
        assert self._child is not None
        deadline = time.monotonic() + _START_S
        while True:
            try:
                return open_transport(f"unix:{socket}")
            except LinkError:
                if self._child.poll() is not None:
                    raise self._not_started() from None
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)

    def last_words(self) -> str:
        """What QEMU printed."""
        with contextlib.suppress(OSError):
            return " / ".join(self._log.read_text(errors="replace").strip().splitlines()[-3:])
        return ""

    def stop(self) -> None:
        """End the process and remove its folder; safe to call twice."""
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            self._child.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


class QemuTransport:
    """The serial port of a QEMU board; closing it powers the board down."""

    def __init__(self, process: QemuProcess) -> None:
        self._process = process
        self.name = process.board.name
        try:
            self._stream: Transport = process.connect(process.serial)
        except BaseException:
            process.stop()
            raise
        assert isinstance(self._stream, SocketTransport)

    def read(self, timeout_s: float) -> bytes:
        return self._explained(lambda: self._stream.read(timeout_s))

    def write(self, data: bytes) -> None:
        self._explained(lambda: self._stream.write(data))

    def close(self) -> None:
        self._stream.close()
        self._process.stop()

    def _explained(self, work: Callable[[], _T]) -> _T:
        try:
            return work()
        except LinkGoneError as fault:
            said = self._process.last_words()
            raise LinkGoneError(
                f"QEMU ended while {self.name} was in use{': ' + said if said else ''}",
                where=self.name,
                hint="try again",
            ) from fault
