"""Frames and payloads: the vectors that the C side is tested with, and round trips."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_board import hello
from hypothesis import given
from hypothesis import strategies as st

from mcuprune.link import protocol
from mcuprune.link.protocol import Frame, FrameError, FrameSplitter, Hello, InferReply, Stats

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())


def ids(vector: dict) -> str:
    return vector["name"].replace(" ", "_")


@pytest.mark.parametrize("vector", VECTORS["frames"], ids=ids)
def test_frame_vectors(vector):
    """Fields give the stored bytes, and the bytes give the fields."""
    frame = Frame(*(vector[key] for key in ("kind", "status", "seq", "session")), bytes.fromhex(vector["payload"]))
    assert protocol.encode_frame(frame).hex() == vector["wire"]
    assert protocol.decode_frame(bytes.fromhex(vector["wire"])[:-1]) == frame


@pytest.mark.parametrize("vector", VECTORS["streams"], ids=ids)
def test_stream_vectors(vector):
    """A stream falls into the stored frames; the board's limit of length is the board's alone."""
    decoded = []
    for encoded in FrameSplitter().feed(bytes.fromhex(vector["wire"])):
        try:
            frame = protocol.decode_frame(encoded)
            decoded.append(frame if len(frame.payload) <= VECTORS["max_payload"] else None)
        except FrameError:
            decoded.append(None)
    wanted = [
        None if text is None else protocol.decode_frame(protocol.cobs.encode(bytes.fromhex(text)))
        for text in vector["frames"]
    ]
    assert decoded == wanted


@given(
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=600),
)
def test_frame_round_trip(kind, status, seq, session, payload):
    """decode(encode(frame)) is the frame, one zero ends it, and its size is as promised."""
    frame = Frame(kind, status, seq, session, payload)
    wire = protocol.encode_frame(frame)
    assert wire.count(0) == 1 and wire[-1] == 0
    assert protocol.decode_frame(wire[:-1]) == frame
    assert len(wire) + 1 <= protocol.encoded_size(len(payload))


@given(st.lists(st.binary(min_size=1, max_size=40).map(lambda b: b.replace(b"\0", b"\1"))), st.integers(1, 7))
def test_splitter_takes_any_pieces(frames, step):
    """However the stream is cut into pieces, the same frames come out."""
    stream = b"".join(frame + b"\0" for frame in frames)
    splitter = FrameSplitter()
    found = [f for at in range(0, len(stream), step) for f in splitter.feed(stream[at : at + step])]
    assert found == frames


def test_splitter_forgets_endless_noise():
    """A stream without zeros does not fill the memory."""
    splitter = FrameSplitter(limit=100)
    for _ in range(50):
        assert not list(splitter.feed(b"\xff" * 30))
    assert len(splitter._buffer) <= 130
    assert list(splitter.feed(b"\0abc\0"))[-1] == b"abc"


@given(st.binary(min_size=1, max_size=80), st.integers(0, 7), st.data())
def test_one_flipped_bit_is_found(payload, bit, data):
    """A frame with one bit flipped never decodes to another frame."""
    wire = bytearray(protocol.encode_frame(Frame(6, 0, 7, 0xDEADBEEF, payload))[:-1])
    wire[data.draw(st.integers(0, len(wire) - 1))] ^= 1 << bit
    for encoded in FrameSplitter().feed(bytes(wire) + b"\0"):
        with pytest.raises(FrameError):
            protocol.decode_frame(encoded)


def test_hello_layout():
    """HELLO's reply lies as the table in docs/protocol.md says."""
    payload = hello().pack()
    assert payload[:8] == bytes([1, 0, 0, 1, 0, 2, 0, 0])
    assert payload[8:28] == bytes(range(20)) and payload[28:60] == bytes(range(32))
    assert payload[79] == 11 and payload[80:91].decode() == "fake-bøard"
    assert Hello.unpack(payload) == hello()


@pytest.mark.parametrize("length", [0, 1, 40, 78, 79, 85, 91])
def test_cut_hello_is_refused(length):
    """A HELLO reply that is too short is a FrameError, whatever is missing."""
    with pytest.raises(FrameError):
        Hello.unpack(hello().pack()[:length])


@pytest.mark.parametrize("output", [None, b"abc"])
@pytest.mark.parametrize("crcs", [None, (1, 0xFFFFFFFF)])
def test_infer_reply_round_trip(output, crcs):
    """Output and CRCs travel where they are inlined; a byte too many or too few is refused."""
    reply = InferReply(2**40, 2, output, crcs)
    assert InferReply.unpack(reply.pack(), 3) == reply
    for wrong in (reply.pack() + b"x", reply.pack()[:-1]):
        with pytest.raises(FrameError):
            InferReply.unpack(wrong, 3)


def test_stats_round_trip():
    """STATS's reply has three numbers."""
    assert Stats.unpack(Stats(1, 2, 3).pack()) == Stats(1, 2, 3)
    with pytest.raises(FrameError):
        Stats.unpack(b"123")
