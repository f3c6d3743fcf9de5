"""The link protocol's frames and payloads, as docs/protocol.md states them. Nothing here does input or output."""

from __future__ import annotations

import enum
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cobs import cobs

PROTOCOL_VERSION = 1
REPLY = 0x80
"""Added to a command's kind in its reply."""
RUN_ALL = 0xFFFF
"""stop_layer of INFER that runs every layer."""
TAKE_LAYER_CRCS, KEEP_STATE, CALL = 1, 2, 4
"""Flags of INFER."""
INLINED_OUTPUT, INLINED_CRCS = 1, 2
"""Bits of `inlined` in INFER's reply."""

_HEAD = struct.Struct("<BBHI")
_CRC = struct.Struct("<I")
_HELLO = struct.Struct("<HHI20s32sIIIHBI")
_INFER = struct.Struct("<HBI")
_INFER_REPLY = struct.Struct("<QHB")
_WRITE = struct.Struct("<I")
_READ = struct.Struct("<BIH")
_STATS = struct.Struct("<III")
_VERSION = struct.Struct("<H")

FRAME_OVERHEAD = _HEAD.size + _CRC.size
"""Bytes of a decoded frame beside its payload."""
WRITE_OVERHEAD = _WRITE.size
INFER_OVERHEAD = _INFER.size


class Kind(enum.IntEnum):
    """Commands, and the NAK."""

    HELLO = 0x01
    WRITE = 0x02
    INFER = 0x03
    READ = 0x04
    STATS = 0x05
    ECHO = 0x06
    NAK = 0xFF


class Status(enum.IntEnum):
    """The status byte of a reply."""

    OK = 0
    BAD_FRAME = 1
    BAD_COMMAND = 2
    BAD_SESSION = 3
    BAD_RANGE = 4
    FAILED = 5


class Region(enum.IntEnum):
    """What READ reads."""

    OUTPUT = 1
    LAYER = 2
    LAYER_CRCS = 3


class Counter(enum.IntEnum):
    """What `ticks` counts."""

    NONE = 0
    CYCLES = 1
    SYSTICK = 2
    NANOSECONDS = 3


class FrameError(Exception):
    """Bytes that are no frame, or a payload that is not what its kind promises. The client asks again."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, decoded. kind is a Kind, or a command + REPLY."""

    kind: int
    status: int
    seq: int
    session: int
    payload: bytes = b""


def encode_frame(frame: Frame) -> bytes:
    """The frame on the wire, with the closing zero."""
    body = _HEAD.pack(frame.kind, frame.status, frame.seq, frame.session) + frame.payload
    return bytes(cobs.encode(body + _CRC.pack(zlib.crc32(body)))) + b"\0"


def decode_frame(encoded: bytes) -> Frame:
    """The frame between two zeros.

    Raises:
        FrameError: COBS coding, length or CRC is wrong.
    """
    try:
        raw = bytes(cobs.decode(encoded))
    except cobs.DecodeError as error:
        raise FrameError(str(error)) from None
    if len(raw) < FRAME_OVERHEAD:
        raise FrameError(f"{len(raw)} bytes are too short")
    body = raw[: -_CRC.size]
    if _CRC.unpack(raw[-_CRC.size :])[0] != zlib.crc32(body):
        raise FrameError("wrong CRC")
    kind, status, seq, session = _HEAD.unpack_from(body)
    return Frame(kind, status, seq, session, body[_HEAD.size :])


def encoded_size(payload_bytes: int) -> int:
    """Largest size on the wire of a frame with such a payload: COBS adds a byte in 254, zeros stand at both ends."""
    raw = FRAME_OVERHEAD + payload_bytes
    return raw + raw // 254 + 1 + 2


class FrameSplitter:
    """Cuts a byte stream at its zeros."""

    def __init__(self, limit: int = 1 << 17) -> None:
        self._buffer = bytearray()
        self._limit = limit

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what lies between zeros, empty frames left out; a run longer than `limit` bytes is dropped."""
        self._buffer += data
        while (end := self._buffer.find(0)) >= 0:
            encoded = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            if encoded:
                yield encoded
        if len(self._buffer) > self._limit:
            self._buffer.clear()


@dataclass(frozen=True, slots=True)
class Hello:
    """What the board tells about itself and its model."""

    protocol: int
    max_payload: int
    rx_ring: int
    build_id: bytes
    model_sha256: bytes
    input_bytes: int
    output_bytes: int
    arena_bytes: int
    layers: int
    counter: Counter
    counter_hz: int
    board_id: str
    model_name: str

    def pack(self) -> bytes:
        """The payload of HELLO's reply."""
        fixed = _HELLO.pack(
            self.protocol,
            self.max_payload,
            self.rx_ring,
            self.build_id,
            self.model_sha256,
            self.input_bytes,
            self.output_bytes,
            self.arena_bytes,
            self.layers,
            self.counter,
            self.counter_hz,
        )
        texts = [text.encode() for text in (self.board_id, self.model_name)]
        return fixed + b"".join(bytes([len(text)]) + text for text in texts)

    @classmethod
    def unpack(cls, payload: bytes) -> Hello:
        """Raises FrameError where the payload is not such a reply; its version is not judged here."""
        try:
            fixed: tuple[Any, ...] = _HELLO.unpack_from(payload)
            counter = Counter(fixed[9])
            board_id, rest = _short_text(payload[_HELLO.size :])
            model_name, _ = _short_text(rest)
        except (struct.error, ValueError, IndexError) as error:
            raise FrameError(f"HELLO's reply of {len(payload)} bytes: {error}") from None
        return cls(*(*fixed[:9], counter, fixed[10], board_id, model_name))


def hello_version(payload: bytes) -> int:
    """The protocol version alone: the first two bytes of HELLO's reply in every version."""
    if len(payload) < _VERSION.size:
        raise FrameError(f"HELLO's reply has {len(payload)} bytes")
    return int(_VERSION.unpack_from(payload)[0])


def _short_text(data: bytes) -> tuple[str, bytes]:
    end = 1 + data[0]
    if len(data) < end:
        raise ValueError("a text is cut")
    return data[1:end].decode(), data[end:]


def hello_payload(version: int = PROTOCOL_VERSION) -> bytes:
    """HELLO's payload."""
    return _VERSION.pack(version)


def write_payload(offset: int, data: bytes) -> bytes:
    """WRITE's payload: input bytes from `offset` on."""
    return _WRITE.pack(offset) + data


def infer_payload(stop_layer: int, flags: int, offset: int, data: bytes) -> bytes:
    """INFER's payload: input bytes from `offset` on, then run up to and with stop_layer."""
    return _INFER.pack(stop_layer, flags, offset) + data


def read_payload(region: Region, offset: int, length: int) -> bytes:
    """READ's payload."""
    return _READ.pack(region, offset, length)


@dataclass(frozen=True, slots=True)
class InferReply:
    """INFER's reply; what was not inlined is None."""

    ticks: int
    layers_run: int
    output: bytes | None
    layer_crcs: tuple[int, ...] | None

    def pack(self) -> bytes:
        """The payload."""
        inlined = (INLINED_OUTPUT if self.output is not None else 0) | (
            INLINED_CRCS if self.layer_crcs is not None else 0
        )
        head = _INFER_REPLY.pack(self.ticks, self.layers_run, inlined)
        return head + (self.output or b"") + pack_crcs(self.layer_crcs or ())

    @classmethod
    def unpack(cls, payload: bytes, output_bytes: int) -> InferReply:
        """Raises FrameError where the length is not what `inlined` promises."""
        if len(payload) < _INFER_REPLY.size:
            raise FrameError(f"INFER's reply has {len(payload)} bytes")
        ticks, layers_run, inlined = _INFER_REPLY.unpack_from(payload)
        rest = payload[_INFER_REPLY.size :]
        in_output = output_bytes if inlined & INLINED_OUTPUT else 0
        in_crcs = 4 * layers_run if inlined & INLINED_CRCS else 0
        if len(rest) != in_output + in_crcs:
            raise FrameError(f"INFER's reply carries {len(rest)} bytes, not {in_output} + {in_crcs}")
        output = rest[:in_output] if inlined & INLINED_OUTPUT else None
        crcs = unpack_crcs(rest[in_output:]) if inlined & INLINED_CRCS else None
        return cls(ticks, layers_run, output, crcs)


def pack_crcs(crcs: tuple[int, ...]) -> bytes:
    """Layer CRCs as they travel."""
    return struct.pack(f"<{len(crcs)}I", *crcs)


def unpack_crcs(data: bytes) -> tuple[int, ...]:
    """Layer CRCs from whole groups of 4 bytes."""
    return struct.unpack(f"<{len(data) // 4}I", data)


@dataclass(frozen=True, slots=True)
class Stats:
    """Memory of the board, bytes; stack figures are 0 where it cannot tell."""

    stack_bytes: int
    stack_used: int
    arena_bytes: int

    def pack(self) -> bytes:
        """The payload of STATS's reply."""
        return _STATS.pack(self.stack_bytes, self.stack_used, self.arena_bytes)

    @classmethod
    def unpack(cls, payload: bytes) -> Stats:
        """Raises FrameError where the length is wrong."""
        if len(payload) != _STATS.size:
            raise FrameError(f"STATS's reply has {len(payload)} bytes, not {_STATS.size}")
        return cls(*_STATS.unpack(payload))
