"""The client against boards and links that behave badly."""

from __future__ import annotations

import dataclasses
import zlib

import pytest
from fake_board import LAYERS, Board, FakeTransport, Faults, SpeakingTransport, hello, layer_outputs

from mcuprune.errors import LinkError
from mcuprune.link import protocol
from mcuprune.link.client import LinkClient, Timing
from mcuprune.link.protocol import Frame, Kind, Status

QUICK = Timing(first_s=0.02, first_infer_s=0.02, least_s=0.01, attempts=40, silent_attempts=12, silent_s=5.0)


def sample(i: int, size: int) -> bytes:
    return bytes((i * 7 + k * 13) % 256 for k in range(size))


@pytest.mark.parametrize(
    "faults",
    [
        Faults(),
        Faults(drop=0.2),
        Faults(cut=0.2),
        Faults(corrupt=0.3),
        Faults(duplicate=0.5),
        Faults(late=0.3, late_s=0.05),
        Faults(duplicate=0.3, swap=0.5, late=0.2),
        Faults(drop=0.05, cut=0.05, corrupt=0.1, duplicate=0.1, swap=0.2, late=0.05),
    ],
    ids=str,
)
@pytest.mark.parametrize("input_bytes", [40, 700])  # within one frame, and written in pieces before
def test_right_answers_over_a_bad_link(faults, input_bytes):
    """Whatever the link does, every answer is the right one."""
    transport = FakeTransport(Board(hello(input_bytes)), faults, seed=input_bytes)
    with LinkClient(transport, QUICK) as client:
        client.hello(5)
        for i in range(6):
            data = sample(i, input_bytes)
            wanted = layer_outputs(data)
            result = client.infer(data, layers=i % 3 == 0)
            assert result.output == wanted[-1]
            if i % 3 == 0:
                assert result.layer_crcs == tuple(zlib.crc32(output) for output in wanted)
            stop = i % LAYERS
            assert client.infer(data, stop_layer=stop).layers_run == stop + 1
            assert client.read_layer(len(wanted[stop])) == wanted[stop]
        assert client.stats().stack_used == 700
    assert transport.closed
    assert transport.largest <= transport.board.hello.rx_ring


@pytest.mark.parametrize("input_bytes", [40, 700])
@pytest.mark.parametrize("faults", [Faults(), Faults(drop=0.2, corrupt=0.2), Faults(late=0.3, late_s=0.05, swap=0.5)])
def test_a_call_advances_the_state_once(faults, input_bytes):
    """Attempts that ran and whose answers were lost do not count twice; a call can be asked for again."""
    transport = FakeTransport(Board(hello(input_bytes)), faults, seed=input_bytes)
    with LinkClient(transport, QUICK) as client:
        client.hello(5)
        for _ in range(2):
            for calls in range(5):
                data = sample(calls, input_bytes)
                wanted = layer_outputs(data, calls)
                assert client.infer(data, keep_state=calls > 0).output == wanted[-1]
                client.infer(data, keep_state=calls > 0, stop_layer=2, again=True)
                assert client.read_layer(len(wanted[2])) == wanted[2]


@pytest.mark.parametrize("input_bytes", [1, 248, 249, 250, 251, 252, 253, 500, 501, 1000])  # around max_payload - 7
def test_input_of_any_size(input_bytes):
    """An input arrives whole whether or not it fits a frame."""
    big = dataclasses.replace(hello(max(input_bytes, 16)), input_bytes=max(input_bytes, 16))
    with LinkClient(FakeTransport(Board(big)), QUICK) as client:
        client.hello(1)
        data = sample(3, big.input_bytes)
        assert client.infer(data).output == layer_outputs(data)[-1]


def test_a_frame_never_exceeds_the_ring():
    """A ring smaller than the board's largest frame limits what is sent at once."""
    transport = FakeTransport(Board(hello(700, max_payload=1024, rx_ring=128)))
    with LinkClient(transport, QUICK) as client:
        client.hello(1)
        data = sample(1, 700)
        assert client.infer(data, layers=True).output == layer_outputs(data)[-1]
    assert transport.largest <= 128


def test_what_is_not_inlined_is_read():
    """Outputs and CRCs beyond a frame come by READ."""
    board = Board(hello(300, max_payload=20, rx_ring=64))
    with LinkClient(FakeTransport(board), QUICK) as client:
        with pytest.raises(LinkError):
            client.infer(bytes(300))  # no hello yet
        client._hello = board.hello
        board.session = 0
        data = sample(5, 300)
        result = client.infer(data, layers=True)
    assert result.output == layer_outputs(data)[-1]
    assert result.layer_crcs == tuple(zlib.crc32(output) for output in layer_outputs(data))
    assert Kind.READ in board.commands


def test_wrong_input_size_is_refused():
    """An input of another size does not leave the host."""
    with LinkClient(FakeTransport(), QUICK) as client:
        client.hello(1)
        with pytest.raises(LinkError, match="39 bytes, the board's model takes 40"):
            client.infer(bytes(39))


def test_silent_port():
    """A port that says nothing is called silent."""
    with pytest.raises(LinkError, match="silent") as caught, LinkClient(SpeakingTransport(lambda data: b"")) as client:
        client.hello(0.3)
    assert "flash" in caught.value.hint and caught.value.where == "other"


@pytest.mark.parametrize("text", [b"Hello from Zephyr\r\n", b"\x00boot\x00> ", b"\xff\x00\xfe"])
def test_another_program(text):
    """Bytes that are no frames are shown, with the two usual causes."""
    with pytest.raises(LinkError, match="no mcuprune frames") as caught:
        LinkClient(SpeakingTransport(lambda data: text)).hello(0.3)
    assert "baud" in caught.value.hint


def test_loop_back():
    """A port that sends everything back is no board."""
    with pytest.raises(LinkError, match="sends back"):
        LinkClient(SpeakingTransport(bytes)).hello(0.3)


def test_other_protocol_version():
    """Both versions are named."""
    with pytest.raises(LinkError, match=r"speaks version 2 .* speaks version 1"):
        LinkClient(FakeTransport(Board(hello(version=2))), QUICK).hello(1)


def test_nak_storm():
    """A board that refuses every frame ends in a complaint about noise, with the counts."""
    nak = protocol.encode_frame(Frame(Kind.NAK, Status.BAD_FRAME, 0, 0))
    with pytest.raises(LinkError, match=r"too noisy for HELLO.*refused"):
        LinkClient(SpeakingTransport(lambda data: nak * 50)).hello(0.3)


def test_noise_after_a_good_start():
    """A link that goes bad later says so at the command that failed."""
    transport = FakeTransport()
    client = LinkClient(transport, dataclasses.replace(QUICK, attempts=5))
    client.hello(1)
    transport.faults = Faults(corrupt=1.0)
    with pytest.raises(LinkError, match="too noisy for STATS"):
        client.stats()


def test_board_that_falls_silent():
    """A board that stops answering is not called noisy."""
    transport = FakeTransport()
    client = LinkClient(transport, dataclasses.replace(QUICK, silent_attempts=3))
    client.hello(1)
    transport.faults = Faults(drop=1.0)
    with pytest.raises(LinkError, match="fell silent: no answer to INFER"):
        client.infer(bytes(40))


def test_reset_board():
    """A board that lost its session was reset."""
    transport = FakeTransport()
    client = LinkClient(transport, QUICK)
    client.hello(1)
    transport.board.session = None
    with pytest.raises(LinkError, match="lost the session"):
        client.stats()


def test_answers_of_another_session_are_ignored():
    """A reply with the right number but another session does not count."""

    class OtherSession(Board):
        def answer(self, encoded: bytes) -> Frame:
            return dataclasses.replace(super().answer(encoded), session=99)

    with pytest.raises(LinkError):
        LinkClient(FakeTransport(OtherSession()), QUICK).hello(0.3)


def test_failed_invoke():
    """The status FAILED is put into words."""

    class Broken(Board):
        def _infer(self, payload: bytes) -> tuple[Status, bytes]:
            return Status.FAILED, b""

    client = LinkClient(FakeTransport(Broken()), QUICK)
    client.hello(1)
    with pytest.raises(LinkError, match="invoke failed"):
        client.infer(bytes(40))


def test_malformed_answers():
    """An answer of the wrong length is a LinkError, not an exception from inside."""

    class Short(Board):
        def _infer(self, payload: bytes) -> tuple[Status, bytes]:
            return Status.OK, b"12345"

        def _stats(self, payload: bytes) -> tuple[Status, bytes]:
            return Status.OK, b""

    client = LinkClient(FakeTransport(Short()), QUICK)
    client.hello(1)
    with pytest.raises(LinkError, match="malformed"):
        client.infer(bytes(40))
    with pytest.raises(LinkError, match="malformed"):
        client.stats()


def test_early_hello_is_answered_late():
    """An emulator that notices its port after a while: the first late answer ends the waiting."""
    transport = FakeTransport(faults=Faults(late=1.0, late_s=0.35))
    client = LinkClient(transport, dataclasses.replace(QUICK, first_s=1.0))
    assert client.hello(3).board_id == "fake-bøard"
    assert transport.board.commands.count(Kind.HELLO) >= 2


def test_slow_inference_teaches_patience():
    """After one slow answer the next wait is longer, so that commands are not repeated."""
    transport = FakeTransport(faults=Faults(late=1.0, late_s=0.04))
    client = LinkClient(transport, dataclasses.replace(QUICK, first_s=1.0, first_infer_s=1.0))
    client.hello(3)
    for i in range(6):
        client.infer(sample(i, 40))
    assert transport.board.commands.count(Kind.INFER) == 6 and client.counts.timeouts <= 1


def test_sequence_numbers_wrap_without_zero():
    """Numbers of attempts go 1..65535 and around; 0 is the NAK's."""
    client = LinkClient(FakeTransport(), QUICK)
    client.hello(1)
    client._seq = 65533
    seen = []
    for _ in range(4):
        client.stats()
        seen.append(client._seq)
    assert seen == [65534, 65535, 1, 2]
