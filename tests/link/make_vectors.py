"""Writes vectors.json: bytes of the link that host and firmware agree on. Run it after a change of docs/protocol.md.

The coding comes from two sources outside of this project: the `cobs` package and zlib.
"""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

from cobs import cobs

VECTORS = Path(__file__).with_name("vectors.json")
MAX_PAYLOAD = 1024
OVERHEAD = 12
BOUNDARIES = (0, 1, 2, 252, 253, 254, 255, 256, 507, 508, 509, 510, 762, 763)


def body(kind: int, status: int, seq: int, session: int, payload: bytes) -> bytes:
    """A decoded frame with its CRC."""
    data = struct.pack("<BBHI", kind, status, seq, session) + payload
    return data + struct.pack("<I", zlib.crc32(data))


def wire(data: bytes) -> bytes:
    """A decoded frame as it travels."""
    return cobs.encode(data) + b"\0"


def ramp(length: int) -> bytes:
    """Bytes 0..255 again and again."""
    return bytes(i % 256 for i in range(length))


def nonzero(length: int) -> bytes:
    """Bytes 1..255 again and again: no zero in sight, so blocks of COBS are full."""
    return bytes(i % 255 + 1 for i in range(length))


def good_frames() -> list[dict[str, Any]]:
    """Frames that decode, field by field."""
    frames = [
        ("hello", 0x01, 0, 1, 0x12345678, struct.pack("<H", 1)),
        ("hello again, zeros everywhere", 0x01, 0, 0, 0, b"\0\0"),
        ("write nothing", 0x02, 0, 2, 0x12345678, struct.pack("<I", 0)),
        ("write 490 zeros", 0x02, 0, 3, 0x12345678, struct.pack("<I", 0) + bytes(490)),
        ("infer, CRCs, all layers", 0x03, 0, 0xFFFF, 0xFFFFFFFF, struct.pack("<HBI", 0xFFFF, 1, 0) + ramp(490)),
        ("read", 0x04, 0, 5, 0x12345678, struct.pack("<BIH", 1, 0, 12)),
        ("stats", 0x05, 0, 6, 0x12345678, b""),
        ("reply to stats", 0x85, 0, 6, 0x12345678, struct.pack("<III", 4096, 512, 100_000)),
        ("reply: bad range", 0x84, 4, 7, 0x12345678, b""),
        ("NAK", 0xFF, 1, 0, 0, b""),
        ("echo, largest, ramp", 0x06, 0, 8, 0x12345678, ramp(MAX_PAYLOAD)),
        ("echo, largest, no zero", 0x06, 0, 0x0909, 0x12345678, nonzero(MAX_PAYLOAD)),
        ("echo, largest, all zero", 0x06, 0, 10, 0x12345678, bytes(MAX_PAYLOAD)),
        ("echo, largest, all 0xff", 0x06, 0, 11, 0x12345678, b"\xff" * MAX_PAYLOAD),
    ]
    frames += [(f"echo {n} without zero", 0x06, 1, 0x0101, 0x01010101, nonzero(n)) for n in BOUNDARIES]
    # with 8 bytes of header and 4 of CRC, the whole frame crosses the blocks of 254 here
    frames += [
        (f"echo {n} without zero", 0x06, 1, 0x0101, 0x01010101, nonzero(n)) for n in (241, 242, 243, 495, 496, 497)
    ]
    return [
        {
            "name": name,
            "kind": kind,
            "status": status,
            "seq": seq,
            "session": session,
            "payload": payload.hex(),
            "wire": wire(body(kind, status, seq, session, payload)).hex(),
        }
        for name, kind, status, seq, session, payload in frames
    ]


def streams() -> list[dict[str, Any]]:
    """Bytes as a receiver sees them, and what it makes of each end of a frame: the decoded frame, or null for a NAK."""
    good = body(0x06, 0, 0x1234, 0xCAFEBABE, b"payload")
    flipped = bytearray(good)
    flipped[9] ^= 0x10
    bad_crc = bytes(flipped)
    too_long = body(0x06, 0, 1, 2, nonzero(MAX_PAYLOAD + 1))
    cases: list[tuple[str, bytes, list[bytes | None]]] = [
        ("one good frame", wire(good), [good]),
        ("two good frames", wire(good) + wire(good), [good, good]),
        ("empty frames are ignored", b"\0\0" + wire(good) + b"\0\0\0" + wire(good), [good, good]),
        ("wrong CRC", wire(bad_crc), [None]),
        ("wrong CRC, then good", wire(bad_crc) + wire(good), [None, good]),
        ("CRC of another length", wire(good[:-4] + b"x" + good[-4:]), [None]),
        ("a code that points past the end", b"\x05ab\0" + wire(good), [None, good]),
        ("cut in the middle", wire(good)[:9] + b"\0" + wire(good), [None, good]),
        ("cut, and the next runs into it", wire(good)[:9] + wire(good) + wire(good), [None, good]),
        ("the end mark is lost", wire(good)[:-1] + wire(good) + wire(good), [None, good]),
        ("too short: 11 bytes", wire(good[:11]), [None]),
        ("too short: one byte", wire(b"a"), [None]),
        ("too short: no byte, code 1", b"\x01\0", [None]),
        ("12 zeros have another CRC", wire(bytes(12)), [None]),
        ("one byte too long", wire(too_long) + wire(good), [None, good]),
        ("far too long", nonzero(5000) + b"\0" + wire(good), [None, good]),
        ("far too long, all zeros", b"\x01" * 5000 + b"\0" + wire(good), [None, good]),
        ("garbage, closed by a zero", b"\x11\x22\x33garbage\0" + wire(good), [None, good]),
        ("a UART's noise", b"\xff\xfe\0\x80\0" + wire(good), [None, None, good]),
        ("no end yet", wire(good)[:-1], []),
        ("nothing", b"", []),
    ]
    return [
        {"name": name, "wire": data.hex(), "frames": [None if f is None else f.hex() for f in frames]}
        for name, data, frames in cases
    ]


def vectors() -> dict[str, Any]:
    """Everything in the file."""
    crc_of = [b"", b"\0", b"a", b"123456789", bytes(32), b"\xff" * 32, ramp(256), nonzero(1000)]
    cobs_of = [f(n) for n in BOUNDARIES for f in (ramp, nonzero, bytes)] + [nonzero(254) + b"\0", b"\0" + nonzero(254)]
    return {
        "max_payload": MAX_PAYLOAD,
        "crc32": [{"bytes": data.hex(), "crc": zlib.crc32(data)} for data in crc_of],
        "cobs": [{"decoded": data.hex(), "encoded": cobs.encode(data).hex()} for data in cobs_of],
        "frames": good_frames(),
        "streams": streams(),
    }


def text() -> str:
    """The file's text, equal at every run."""
    return json.dumps(vectors(), indent=1) + "\n"


if __name__ == "__main__":
    VECTORS.write_text(text())
