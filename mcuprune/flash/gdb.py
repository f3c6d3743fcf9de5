"""A small client of GDB's remote serial protocol: write memory, read it back, reset, let go.

Source: GDB manual, appendix E, "Remote Serial Protocol". QEMU 7.2 knows no binary writes (X), so M packets are used.
"""

from __future__ import annotations

from collections.abc import Callable

from mcuprune.errors import BoardError
from mcuprune.link.transport import Transport

CHUNK = 1024  # bytes of memory in a packet


class GdbClient:
    """Speaks to a gdb server over a byte stream, which it closes at the end."""

    def __init__(self, transport: Transport, timeout_s: float = 10.0) -> None:
        self._transport = transport
        self._timeout_s = timeout_s
        self._buffer = b""

    def __enter__(self) -> GdbClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def halt_reason(self) -> str:
        """Ask why the target stands still; a first word that shows a gdb server is there."""
        return self.command("?")

    def write(self, address: int, data: bytes, progress: Callable[[int], None] | None = None) -> None:
        """Write memory. Raises BoardError where the server refuses."""
        for at in range(0, len(data), CHUNK):
            part = data[at : at + CHUNK]
            self._expect_ok(f"M{address + at:x},{len(part):x}:{part.hex()}", f"write of memory at 0x{address + at:08x}")
            if progress:
                progress(at + len(part))

    def read(self, address: int, size: int) -> bytes:
        """Read memory."""
        parts = []
        for at in range(0, size, CHUNK):
            length = min(CHUNK, size - at)
            reply = self.command(f"m{address + at:x},{length:x}")
            try:
                parts.append(bytes.fromhex(reply))
            except ValueError:
                raise BoardError(f"the gdb server refused to read 0x{address + at:08x}: {reply!r}") from None
        return b"".join(parts)

    def monitor(self, text: str) -> None:
        """A command of the server's own, such as system_reset."""
        self._send(f"qRcmd,{text.encode().hex()}")
        while (reply := self._receive()) != "OK":  # O packets carry text output
            if not reply.startswith("O"):
                raise BoardError(f"the gdb server does not take `monitor {text}`: {reply!r}")

    def detach(self) -> None:
        """Let the target run."""
        self._expect_ok("D;1", "detach")

    def command(self, text: str) -> str:
        """Send a packet, return the reply's content."""
        self._send(text)
        return self._receive()

    def _expect_ok(self, text: str, what: str) -> None:
        reply = self.command(text)
        if reply != "OK":
            raise BoardError(
                f"the gdb server refused the {what}: {reply!r}", hint="is the address memory on this board?"
            )

    def _send(self, text: str) -> None:
        payload = text.encode("ascii")
        self._transport.write(b"$" + payload + b"#" + f"{sum(payload) % 256:02x}".encode())

    def _receive(self) -> str:
        """The next packet; acknowledged. Stray acknowledgements before it are skipped."""
        while True:
            start = self._buffer.find(b"$")
            end = self._buffer.find(b"#", start)
            if start >= 0 and end >= 0 and len(self._buffer) >= end + 3:
                payload, check = self._buffer[start + 1 : end], self._buffer[end + 1 : end + 3]
                self._buffer = self._buffer[end + 3 :]
                if f"{sum(payload) % 256:02x}".encode() != check.lower():
                    self._transport.write(b"-")
                    continue
                self._transport.write(b"+")
                return payload.decode("ascii", errors="replace")
            data = self._transport.read(self._timeout_s)
            if not data:
                raise BoardError(
                    f"the gdb server stays silent for {self._timeout_s:g} s",
                    where=self._transport.name,
                    hint="is another debugger connected to it?",
                )
            self._buffer += data
