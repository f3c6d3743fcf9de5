"""A board in Python behind a transport that loses, cuts, damages, repeats, delays and swaps what goes over it."""

from __future__ import annotations

import random
import time
import zlib
from dataclasses import dataclass, field

from mcuprune.link import protocol
from mcuprune.link.protocol import Frame, FrameError, FrameSplitter, Hello, InferReply, Kind, Region, Stats, Status

LAYERS = 5


def layer_outputs(data: bytes, calls: int = 0) -> list[bytes]:
    """The fake model: every layer depends on all of the input and on the calls before, and each has another size."""
    total = sum(data) + calls
    return [bytes((b * (i + 3) + i + total) % 256 for b in data[: len(data) - 3 * i]) for i in range(LAYERS)]


def hello(input_bytes: int = 40, max_payload: int = 256, rx_ring: int = 512, version: int = 1) -> Hello:
    """What the fake board answers."""
    output_bytes = len(layer_outputs(bytes(input_bytes))[-1])
    return Hello(
        version,
        max_payload,
        rx_ring,
        bytes(range(20)),
        bytes(range(32)),
        input_bytes,
        output_bytes,
        4096,
        LAYERS,
        protocol.Counter.CYCLES,
        25_000_000,
        "fake-bøard",
        "toy",
    )


@dataclass
class Board:
    """Firmware as docs/protocol.md has it: answers one frame after the other. INFER spoils the input, as on a board."""

    hello: Hello = field(default_factory=hello)
    session: int | None = None
    commands: list[Kind] = field(default_factory=list)
    calls: int = 0  # what the model keeps: calls since a reset
    before: int = 0  # the same, before the last call
    last_call: int = 0

    def __post_init__(self) -> None:
        self.input = bytearray(self.hello.input_bytes)
        self.regions: dict[int, bytes] = {}

    def answer(self, encoded: bytes) -> Frame:
        """The reply to what lay between two zeros."""
        try:
            frame = protocol.decode_frame(encoded)
            if len(frame.payload) > self.hello.max_payload:
                raise FrameError("too long")
        except FrameError:
            return Frame(Kind.NAK, Status.BAD_FRAME, 0, 0)
        self.commands.append(Kind(frame.kind))
        if frame.kind == Kind.HELLO:
            self.session = frame.session
        if frame.session != self.session:
            status, payload = Status.BAD_SESSION, b""
        else:
            status, payload = getattr(self, "_" + Kind(frame.kind).name.lower())(frame.payload)
        return Frame(frame.kind | protocol.REPLY, status, frame.seq, frame.session, payload)

    def _hello(self, payload: bytes) -> tuple[Status, bytes]:
        return Status.OK, self.hello.pack()

    def _echo(self, payload: bytes) -> tuple[Status, bytes]:
        return Status.OK, payload

    def _stats(self, payload: bytes) -> tuple[Status, bytes]:
        return Status.OK, Stats(8192, 700, 4096).pack()

    def _write(self, payload: bytes) -> tuple[Status, bytes]:
        offset, data = int.from_bytes(payload[:4], "little"), payload[4:]
        if offset + len(data) > len(self.input):
            return Status.BAD_RANGE, b""
        self.input[offset : offset + len(data)] = data
        self.regions = {}
        return Status.OK, b""

    def _infer(self, payload: bytes) -> tuple[Status, bytes]:
        stop, flags = int.from_bytes(payload[:2], "little"), payload[2]
        status, _ = self._write(payload[3:])
        if status != Status.OK:
            return status, b""
        if not flags & protocol.KEEP_STATE:
            self.calls = self.before = 0
        elif flags & protocol.CALL != self.last_call:
            self.before = self.calls
        self.calls, self.last_call = self.before + 1, flags & protocol.CALL
        layers = layer_outputs(bytes(self.input), self.before)
        self.input[:] = b"\xa5" * len(self.input)
        run = len(layers) if stop == protocol.RUN_ALL else stop + 1
        crcs = tuple(zlib.crc32(output) for output in layers[:run])
        self.regions = {Region.LAYER_CRCS: protocol.pack_crcs(crcs)}
        self.regions[Region.OUTPUT if stop == protocol.RUN_ALL else Region.LAYER] = layers[run - 1]
        room = self.hello.max_payload - 11
        output = layers[-1] if stop == protocol.RUN_ALL and len(layers[-1]) <= room else None
        room -= len(output or b"")
        inlined = crcs if flags & protocol.TAKE_LAYER_CRCS and 4 * run <= room else None
        return Status.OK, InferReply(1234, run, output, inlined).pack()

    def _read(self, payload: bytes) -> tuple[Status, bytes]:
        region, offset = payload[0], int.from_bytes(payload[1:5], "little")
        length = int.from_bytes(payload[5:], "little")
        data = self.regions.get(region, b"")
        if length > self.hello.max_payload or not data or offset + length > len(data):
            return Status.BAD_RANGE, b""
        return Status.OK, data[offset : offset + length]


@dataclass(frozen=True)
class Faults:
    """Probabilities, for each frame in each direction; delay in seconds."""

    drop: float = 0.0
    cut: float = 0.0
    corrupt: float = 0.0
    duplicate: float = 0.0  # replies alone: a wire does not repeat, a late answer looks like it
    swap: float = 0.0  # replies alone
    late: float = 0.0
    late_s: float = 0.03


class FakeTransport:
    """Transport to a Board, seeded."""

    def __init__(self, board: Board | None = None, faults: Faults | None = None, seed: int = 0) -> None:
        self.name = "fake"
        self.board = board or Board()
        self.faults = faults or Faults()
        self.rng = random.Random(seed)
        self.closed = False
        self.largest = 0  # bytes of one write
        self._to_board = FrameSplitter()
        self._due: list[tuple[float, bytes]] = []

    def write(self, data: bytes) -> None:
        self.largest = max(self.largest, len(data))
        for encoded in self._to_board.feed(self._spoil(data)):
            reply = protocol.encode_frame(self.board.answer(encoded))
            self._reply(self._spoil(reply))
            if self.rng.random() < self.faults.duplicate:
                self._reply(reply)

    def read(self, timeout_s: float) -> bytes:
        now = time.monotonic()
        end = now + timeout_s
        ready = b"".join(data for due, data in self._due if due <= now)
        if ready:
            self._due = [(due, data) for due, data in self._due if due > now]
            return ready
        time.sleep(max(0.0, min([end, *(due for due, _ in self._due)]) - now))
        return b""

    def close(self) -> None:
        self.closed = True

    def _reply(self, data: bytes) -> None:
        late = self.faults.late_s if self.rng.random() < self.faults.late else 0.0
        self._due.append((time.monotonic() + late, data))
        if len(self._due) > 1 and self.rng.random() < self.faults.swap:
            self._due[-2:] = self._due[:-3:-1]

    def _spoil(self, data: bytes) -> bytes:
        if self.rng.random() < self.faults.drop:
            return b""
        if self.rng.random() < self.faults.cut:
            begin, end = sorted(self.rng.randrange(len(data) + 1) for _ in range(2))
            data = data[:begin] + data[end:]
        if data and self.rng.random() < self.faults.corrupt:
            at = self.rng.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ 1 << self.rng.randrange(8)]) + data[at + 1 :]
        return data


class SpeakingTransport:
    """A device that is not ours: says what `speak` returns for every write."""

    def __init__(self, speak) -> None:
        self.name = "other"
        self._speak = speak
        self._ready = b""

    def write(self, data: bytes) -> None:
        self._ready += self._speak(data)

    def read(self, timeout_s: float) -> bytes:
        ready, self._ready = self._ready, b""
        if not ready:
            time.sleep(timeout_s)
        return ready

    def close(self) -> None:
        pass
