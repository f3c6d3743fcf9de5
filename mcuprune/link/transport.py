"""Byte streams to a board: pipes of a host build, sockets, serial ports. No framing, no retries."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from mcuprune.errors import LinkError

_CHUNK = 65536
_STUCK_S = 60.0


class LinkGoneError(LinkError):
    """The other side closed: the device was unplugged, the emulator or the host build ended."""


class Transport(Protocol):
    """A byte stream. `name` is what the user calls it: a port, a socket, a program."""

    name: str

    def read(self, timeout_s: float) -> bytes:
        """What has come, waiting up to timeout_s for the first byte; b"" where nothing came."""
        ...

    def write(self, data: bytes) -> None:
        """Hand over all of data."""
        ...

    def close(self) -> None:
        """Let go; safe to call twice."""
        ...


def open_transport(port: str, baud: int = 115_200) -> Transport:
    """Open `socket://HOST:PORT`, `unix:PATH` (or the path of a unix socket), or a serial port or pty.

    Raises:
        LinkError: it cannot be opened; the hint says what to look at.
    """
    if port.startswith("socket://"):
        return _open_tcp(port)
    path = port.removeprefix("unix:").removeprefix("//") if port.startswith("unix:") else port
    if path != port or _is_socket(path):
        return _open_unix(path)
    return SerialTransport(port, baud)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(Path(path).stat().st_mode)
    except OSError:
        return False


def _open_tcp(port: str) -> Transport:
    host, _, number = port.removeprefix("socket://").rpartition(":")
    if not host or not number.isdigit() or int(number) > 65535:
        raise LinkError(f"{port!r} names no host and port", hint="the form is socket://HOST:PORT")
    try:
        stream = socket.create_connection((host.strip("[]"), int(number)), timeout=10)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise LinkError(f"no connection to {port}: {error}", hint="is the board or its serial server up?") from None
    return SocketTransport(stream, port)


def _open_unix(path: str) -> Transport:
    stream = socket.socket(socket.AF_UNIX)
    try:
        stream.connect(path)
    except OSError as error:
        stream.close()
        raise LinkError(f"no connection to {path}: {error}", hint="is the emulator up?") from None
    return SocketTransport(stream, path)


class _FdTransport:
    """Reads and writes file descriptors that do not block."""

    def __init__(self, name: str, read_fd: int, write_fd: int) -> None:
        self.name = name
        self._read_fd = read_fd
        self._write_fd = write_fd
        os.set_blocking(read_fd, False)
        os.set_blocking(write_fd, False)

    def read(self, timeout_s: float) -> bytes:
        try:
            ready, _, _ = select.select([self._read_fd], [], [], max(0.0, timeout_s))
            if not ready:
                return b""
            data = os.read(self._read_fd, _CHUNK)
        except BlockingIOError:
            return b""
        except (OSError, ValueError) as error:
            raise self._gone(str(error)) from None
        if not data:
            raise self._gone("end of data")
        return data

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        deadline = time.monotonic() + _STUCK_S
        while view:
            try:
                _, ready, _ = select.select([], [self._write_fd], [], max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise LinkError(f"{self.name} took no data for {_STUCK_S:.0f} s", hint="reset the board")
                view = view[os.write(self._write_fd, view) :]
            except BlockingIOError:
                continue
            except (OSError, ValueError) as error:
                raise self._gone(str(error)) from None

    def _gone(self, why: str) -> LinkGoneError:
        return LinkGoneError(
            f"{self.name} went away: {why}", hint="is the board still connected, or its emulator still running?"
        )


class SocketTransport(_FdTransport):
    """A connected TCP or unix socket."""

    def __init__(self, stream: socket.socket, name: str) -> None:
        stream.settimeout(None)
        super().__init__(name, stream.fileno(), stream.fileno())
        self._stream = stream

    def close(self) -> None:
        self._stream.close()


class ProcessTransport(_FdTransport):
    """A child process that speaks over its stdin and stdout: the host build. Its stderr is quoted in errors."""

    def __init__(self, command: Sequence[str], *, name: str | None = None) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        try:
            self._child = subprocess.Popen(
                list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, bufsize=0
            )
        except OSError as error:
            self._stderr.close()
            raise LinkError(f"{command[0]} does not start: {error.strerror}", hint="build it again") from None
        assert self._child.stdin is not None and self._child.stdout is not None
        super().__init__(name or Path(command[0]).name, self._child.stdout.fileno(), self._child.stdin.fileno())

    def close(self) -> None:
        """End the child: its stdin is closed, and it is killed where it does not leave within 2 s."""
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            self._child.wait(2)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._stderr.close()

    def _gone(self, why: str) -> LinkGoneError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(1)
        code = self._child.returncode
        ended = f"it ended with status {code}" if code is not None else why
        return LinkGoneError(f"{self.name} went away: {ended}{self._last_words()}", hint="build it again")

    def _last_words(self) -> str:
        if self._stderr.closed:
            return ""
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return f"; it said: {' / '.join(lines[:4])[:500]}" if lines else ""


class SerialTransport:
    """A serial port or a pty, through pyserial."""

    def __init__(self, port: str, baud: int) -> None:
        import serial  # here: it costs start-up time and host builds do without

        self.name = port
        self._gone_errors: tuple[type[Exception], ...] = (serial.SerialException, OSError, TypeError, *_termios_error())
        open_errors: tuple[type[Exception], ...] = (OSError, ValueError, *_termios_error())
        try:
            self._port: Any = serial.serial_for_url(port, baudrate=baud, timeout=0, write_timeout=_STUCK_S)
        except open_errors as error:
            raise LinkError(f"{port} cannot be opened: {_reason(error)}", hint=_open_hint(error, port)) from None

    def read(self, timeout_s: float) -> bytes:
        try:
            self._port.timeout = max(0.0, timeout_s)
            data: bytes = self._port.read(1)
            if data:
                self._port.timeout = 0
                data += self._port.read(_CHUNK)
            return data
        except self._gone_errors as error:
            raise self._gone(error) from None

    def write(self, data: bytes) -> None:
        import serial

        try:
            self._port.write(data)
        except serial.SerialTimeoutException:
            raise LinkError(f"{self.name} took no data for {_STUCK_S:.0f} s", hint="reset the board") from None
        except self._gone_errors as error:
            raise self._gone(error) from None

    def close(self) -> None:
        with contextlib.suppress(*self._gone_errors):
            self._port.close()

    def _gone(self, error: BaseException) -> LinkGoneError:
        return LinkGoneError(
            f"{self.name} went away: {_reason(error)}",
            hint="is the board still connected, and no other program on this port?",
        )


def _termios_error() -> tuple[type[Exception], ...]:
    try:
        import termios
    except ImportError:
        return ()
    return (termios.error,)


def _reason(error: BaseException) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number) if isinstance(number, int) else str(error)


def _open_hint(error: BaseException, port: str) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EACCES:
        return "let your user into the port's group, often: sudo usermod -aG dialout $USER, then log in again"
    if number == errno.EBUSY or "lock" in str(error):
        return "another program holds the port: close it"
    if number == errno.ENOENT:
        return (
            "plug the board in; `ls /dev/tty*` lists the ports" if port.startswith("/dev/") else "name a port by --port"
        )
    return "is this a serial port?"
