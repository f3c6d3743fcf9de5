"""Frames between the reference interpreter and its child process: a JSON header and raw arrays, lengths before both."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

_LENGTHS = struct.Struct("<IQ")  # bytes of the header, bytes of the arrays


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: a header of JSON values and arrays of any shape."""

    header: dict[str, Any]
    arrays: list[npt.NDArray[Any]]


def write_frame(sink: BinaryIO, frame: Frame) -> None:
    """Write one frame and flush."""
    parts = [np.ascontiguousarray(a).tobytes() for a in frame.arrays]
    kinds = [[a.dtype.str, list(a.shape)] for a in frame.arrays]
    header = json.dumps({**frame.header, "arrays": kinds}).encode()
    sink.write(b"".join([_LENGTHS.pack(len(header), sum(map(len, parts))), header, *parts]))
    sink.flush()


def read_frame(source: BinaryIO) -> Frame | None:
    """Read one frame; None at the end of the stream, also in the middle of a frame."""
    head = source.read(_LENGTHS.size)
    if len(head) < _LENGTHS.size:
        return None
    header_bytes, body_bytes = _LENGTHS.unpack(head)
    text, body = source.read(header_bytes), source.read(body_bytes)
    if len(text) < header_bytes or len(body) < body_bytes:
        return None
    header = json.loads(text)
    arrays, offset = [], 0
    for dtype, shape in header.pop("arrays"):
        count = math.prod(shape)
        arrays.append(np.frombuffer(body, dtype, count, offset).reshape(shape))
        offset += count * np.dtype(dtype).itemsize
    return Frame(header, arrays)
