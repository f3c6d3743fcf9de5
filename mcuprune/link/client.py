"""The host's side of the link: asks, waits, asks again, and says clearly why a board cannot be spoken to.

One command is under way at a time. Every attempt has a sequence number of its own, and only the answer to the last one
counts: bytes are handled in order, so once it is here, no earlier attempt is still waiting in the board.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from mcuprune.errors import LinkError
from mcuprune.link import protocol
from mcuprune.link.protocol import Frame, FrameError, FrameSplitter, Hello, InferReply, Kind, Region, Stats, Status
from mcuprune.link.transport import Transport

_T = TypeVar("_T")

_HELLO_WAITS_S = (0.1, 0.2, 0.4, 0.8, 1.0)  # between attempts; the last one repeats
_STATUS_WORDS: dict[int, str] = {
    Status.BAD_COMMAND: "does not know the command",
    Status.BAD_RANGE: "refused the offset or length",
    Status.FAILED: "reports that the model's invoke failed",
}


@dataclass(frozen=True, slots=True)
class Timing:
    """How long to wait, seconds. A wait adapts to the answers seen; it doubles after each one that did not come."""

    first_s: float = 2.0
    first_infer_s: float = 30.0
    least_s: float = 0.5
    most_s: float = 120.0
    attempts: int = 12  # of one command, on a link where something still arrives
    silent_attempts: int = 6  # of one command, where nothing does
    silent_s: float = 60.0  # likewise, whichever comes first


@dataclass(slots=True)
class LinkCounts:
    """What happened on the wire so far."""

    sent: int = 0
    answered: int = 0
    timeouts: int = 0
    refused: int = 0  # NAKs: the board got a damaged frame
    damaged: int = 0  # the host got a damaged frame
    stale: int = 0  # answers to earlier attempts
    looped: int = 0  # the host's own frames
    bytes_received: int = 0

    def describe(self) -> str:
        return (
            f"{self.sent} frames sent, {self.answered} answered, {self.refused} refused as damaged, "
            f"{self.damaged} damaged on the way back, {self.timeouts} without an answer"
        )


@dataclass(frozen=True, slots=True)
class InferResult:
    """One inference. output is empty where a layer stopped it; layer_crcs is None where they were not asked for."""

    ticks: int
    layers_run: int
    output: bytes
    layer_crcs: tuple[int, ...] | None


class _Wait:
    """Smoothed time to an answer and its spread. Source: Jacobson and Karels; RFC 6298, 2."""

    def __init__(self, first_s: float, timing: Timing) -> None:
        self._timing = timing
        self._timeout_s = first_s
        self._smooth_s: float | None = None
        self._spread_s = 0.0

    def timeout_s(self, failures: int) -> float:
        return min(self._timing.most_s, self._timeout_s * 2.0 ** min(failures, 2))

    def grace_s(self) -> float:
        """How long after a NAK the answer may still come: the NAK may be for garbage before the command."""
        return max(min(0.05, self._timing.least_s), 2 * (self._smooth_s or 0.0))

    def saw(self, took_s: float) -> None:
        if self._smooth_s is None:
            self._smooth_s, self._spread_s = took_s, took_s / 2
        else:
            self._spread_s += (abs(took_s - self._smooth_s) - self._spread_s) / 4
            self._smooth_s += (took_s - self._smooth_s) / 8
        self._timeout_s = max(self._timing.least_s, 2 * self._smooth_s + 4 * self._spread_s)


class LinkClient:
    """Speaks to one board over a transport; a context manager that closes it. Call hello() first.

    Raises, from every method: LinkError with a hint; its subclass LinkGoneError where the other side closed.
    """

    def __init__(self, transport: Transport, timing: Timing | None = None) -> None:
        self.transport = transport
        self.counts = LinkCounts()
        self._timing = timing or Timing()
        self._splitter = FrameSplitter()
        self._frames: list[Frame] = []
        self._seq = secrets.randbelow(0xFFFF)
        self._session = 0
        self._hello: Hello | None = None
        self._call = 0
        self._waits: dict[object, _Wait] = {}
        self._first_bytes = b""

    def __enter__(self) -> LinkClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.transport.close()

    @property
    def board(self) -> Hello:
        """What the board answered to hello()."""
        if self._hello is None:
            raise LinkError("hello() was not asked yet", where=self.transport.name)
        return self._hello

    def hello(self, timeout_s: float = 10.0) -> Hello:
        """Start a session: ask until the board answers. An answer to any of the attempts counts, late ones too.

        Raises:
            LinkError: silence, bytes that are no frames, another protocol version.
        """
        self._session = secrets.randbits(32) or 1
        self._hello = None
        deadline = time.monotonic() + timeout_s
        asked: set[int] = set()
        while (left_s := deadline - time.monotonic()) > 0:
            wait_s = min(left_s, _HELLO_WAITS_S[min(len(asked), len(_HELLO_WAITS_S) - 1)])
            asked.add(self._send(Kind.HELLO, protocol.hello_payload()))
            reply = self._receive(Kind.HELLO, asked, wait_s, wait_s)
            if reply is not None:
                self._hello = self._read_hello(reply)
                self.echo(b"mcuprune")  # once it is back, no earlier HELLO is left in the board's ring
                return self._hello
        raise self._no_hello(timeout_s)

    def _read_hello(self, reply: Frame) -> Hello:
        try:
            version = protocol.hello_version(reply.payload) if reply.status == Status.OK else None
            if version == protocol.PROTOCOL_VERSION:
                return Hello.unpack(reply.payload)
        except FrameError as error:
            raise LinkError(
                f"the board's answer to HELLO is malformed: {error}",
                where=self.transport.name,
                hint="generate, build and flash the model again with this version of mcuprune",
            ) from None
        speaks = "refuses" if version is None else f"speaks version {version} of"
        raise LinkError(
            f"the board {speaks} the link protocol, this mcuprune speaks version {protocol.PROTOCOL_VERSION}",
            where=self.transport.name,
            hint="generate, build and flash the model again with this version of mcuprune",
        )

    def _no_hello(self, timeout_s: float) -> LinkError:
        where = self.transport.name
        if not self.counts.bytes_received:
            return LinkError(
                f"the port stays silent: no answer to HELLO in {timeout_s:g} s",
                where=where,
                hint="is it the right port, and is the board powered and flashed? `mcuprune flash DIR` flashes it",
            )
        if self.counts.looped:
            return LinkError(
                "the port sends back what it is sent: no board answers",
                where=where,
                hint="take off the loop-back wire, or name the board's port",
            )
        if self.counts.refused or self.counts.answered or self.counts.stale:
            return self._too_noisy("HELLO")
        count, sample = self.counts.bytes_received, self._first_bytes[:24]
        return LinkError(
            f"the port sends {count} bytes that are no mcuprune frames: {sample!r}",
            where=where,
            hint="does the board run another program, or at another baud rate? `mcuprune flash DIR` flashes it",
        )

    def _too_noisy(self, command: str) -> LinkError:
        return LinkError(
            f"the link is too noisy for {command}: {self.counts.describe()}",
            where=self.transport.name,
            hint="check cable, ground and baud rate",
        )

    def infer(
        self,
        input_bytes: bytes,
        *,
        layers: bool = False,
        stop_layer: int | None = None,
        keep_state: bool = False,
        again: bool = False,
    ) -> InferResult:
        """Run the model on an input.

        Args:
            input_bytes: the whole input; what one frame cannot carry is written before.
            layers: take a CRC-32 of each layer's output.
            stop_layer: stop after this layer; read_layer() then fetches its output.
            keep_state: start from the state that the call before left; default from the first one.
            again: this is the last call once more: with keep_state, start where that one did.
        Raises:
            LinkError: also where the model's invoke fails on the board.
        """
        board = self.board
        if len(input_bytes) != board.input_bytes:
            raise LinkError(f"an input of {len(input_bytes)} bytes, the board's model takes {board.input_bytes}")
        room = self._max_payload() - protocol.INFER_OVERHEAD
        split = max(0, len(input_bytes) - room)
        if not again:
            self._call ^= protocol.CALL  # attempts of one call have one flag, so that it advances the state once
        flags = (protocol.TAKE_LAYER_CRCS if layers else 0) | (protocol.KEEP_STATE if keep_state else 0) | self._call
        payload = protocol.infer_payload(
            protocol.RUN_ALL if stop_layer is None else stop_layer,
            flags,
            split,
            input_bytes[split:],
        )

        def write_first_part() -> None:  # at each attempt: an attempt that ran has overwritten the input
            step = self._max_payload() - protocol.WRITE_OVERHEAD
            for at in range(0, split, step):
                self.request(Kind.WRITE, protocol.write_payload(at, input_bytes[at : min(at + step, split)]))

        reply = self.request(Kind.INFER, payload, variant=(layers, stop_layer), prepare=write_first_part)
        result = self._unpack(lambda: InferReply.unpack(reply, board.output_bytes))
        output = result.output
        if output is None:
            output = self._read(Region.OUTPUT, board.output_bytes) if stop_layer is None else b""
        crcs = result.layer_crcs
        if layers and crcs is None:
            crcs = protocol.unpack_crcs(self._read(Region.LAYER_CRCS, 4 * result.layers_run))
        return InferResult(result.ticks, result.layers_run, output, crcs)

    def read_layer(self, size: int) -> bytes:
        """The output of the layer that the last infer() stopped at; size in bytes."""
        return self._read(Region.LAYER, size)

    def stats(self) -> Stats:
        """Stack and arena of the board."""
        reply = self.request(Kind.STATS)
        return self._unpack(lambda: Stats.unpack(reply))

    def echo(self, data: bytes) -> bytes:
        """The same bytes, through the board."""
        reply = self.request(Kind.ECHO, data)
        if reply != data:
            raise LinkError("ECHO came back changed although its CRC is right", where=self.transport.name)
        return reply

    def _read(self, region: Region, size: int) -> bytes:
        step = self._max_payload()
        parts = []
        for at in range(0, size, step):
            length = min(step, size - at)
            part = self.request(Kind.READ, protocol.read_payload(region, at, length))
            if len(part) != length:
                raise LinkError(f"READ of {length} bytes gave {len(part)}", where=self.transport.name)
            parts.append(part)
        return b"".join(parts)

    def request(
        self,
        kind: Kind,
        payload: bytes = b"",
        *,
        variant: object = None,
        prepare: Callable[[], None] | None = None,
    ) -> bytes:
        """Send a command until it is answered and return the answer's payload.

        Args:
            variant: commands of the same kind that take other times are waited for separately.
            prepare: called before each attempt.
        """
        first_s = self._timing.first_infer_s if kind is Kind.INFER else self._timing.first_s
        wait = self._waits.setdefault((kind, variant), _Wait(first_s, self._timing))
        timeouts = 0
        began, received = time.monotonic(), self.counts.bytes_received
        for _ in range(self._timing.attempts):
            if prepare is not None:
                prepare()
            sent_at, refused = time.monotonic(), self.counts.refused
            seq = self._send(kind, payload)
            reply = self._receive(kind, {seq}, wait.timeout_s(timeouts), wait.grace_s())
            if reply is not None:
                wait.saw(time.monotonic() - sent_at)
                return self._accepted(kind, reply)
            timeouts += self.counts.refused == refused
            silent_s = time.monotonic() - began if self.counts.bytes_received == received else 0.0
            if silent_s and (timeouts >= self._timing.silent_attempts or silent_s >= self._timing.silent_s):
                raise LinkError(
                    f"the board fell silent: no answer to {kind.name} in {silent_s:.1f} s",
                    where=self.transport.name,
                    hint="reset the board and try again; a fault or an endless loop in the firmware looks like this",
                )
        raise self._too_noisy(kind.name)

    def _accepted(self, kind: Kind, reply: Frame) -> bytes:
        if reply.status == Status.OK:
            return reply.payload
        if reply.status == Status.BAD_SESSION:
            raise LinkError(
                f"the board lost the session at {kind.name}: it was reset, or another program spoke to it",
                where=self.transport.name,
                hint="close other programs on this port, look at the board's supply, and try again",
            )
        raise LinkError(
            f"the board {_STATUS_WORDS.get(reply.status, f'answers status {reply.status}')} at {kind.name}",
            where=self.transport.name,
            hint="generate, build and flash the model again with this version of mcuprune",
        )

    def _unpack(self, unpack: Callable[[], _T]) -> _T:
        try:
            return unpack()
        except FrameError as error:
            raise LinkError(
                f"the board's answer is malformed: {error}",
                where=self.transport.name,
                hint="generate, build and flash the model again with this version of mcuprune",
            ) from None

    def _max_payload(self) -> int:
        """Largest payload whose frame fits the board's frame and its ring."""
        board = self.board
        size = board.max_payload
        while size > 0 and protocol.encoded_size(size) > board.rx_ring:
            size -= 1
        if size <= protocol.INFER_OVERHEAD:
            raise LinkError(
                f"the board takes frames of {board.max_payload} bytes into a ring of {board.rx_ring}: too small",
                where=self.transport.name,
            )
        return size

    def _send(self, kind: Kind, payload: bytes) -> int:
        self._seq = self._seq % 0xFFFF + 1  # 1..65535: a NAK has 0
        frame = protocol.encode_frame(Frame(kind, 0, self._seq, self._session, payload))
        self.transport.write(b"\0" + frame)  # the zero closes what was cut before
        self.counts.sent += 1
        return self._seq

    def _receive(self, kind: Kind, seqs: set[int], timeout_s: float, grace_s: float) -> Frame | None:
        """The answer to one of seqs; None where it did not come in time, or within grace_s of a NAK."""
        deadline = time.monotonic() + timeout_s
        refused = False
        while True:
            while self._frames:
                frame = self._frames.pop(0)
                if frame.kind == kind | protocol.REPLY and frame.seq in seqs and frame.session == self._session:
                    self.counts.answered += 1
                    return frame
                if frame.kind == Kind.NAK:
                    self.counts.refused += 1
                    deadline = deadline if refused else min(deadline, time.monotonic() + grace_s)
                    refused = True
                elif frame.kind < protocol.REPLY:
                    self.counts.looped += 1
                else:
                    self.counts.stale += 1
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                self.counts.timeouts += not refused
                return None
            self._take(self.transport.read(left_s))

    def _take(self, data: bytes) -> None:
        self.counts.bytes_received += len(data)
        if len(self._first_bytes) < 64:
            self._first_bytes += data[:64]
        for encoded in self._splitter.feed(data):
            try:
                self._frames.append(protocol.decode_frame(encoded))
            except FrameError:
                self.counts.damaged += 1
