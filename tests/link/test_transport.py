"""Real byte streams: pipes of a child, sockets, a pty."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
import tty
from pathlib import Path

import pytest
from fake_board import Board, layer_outputs

from mcuprune.errors import LinkError
from mcuprune.link import protocol
from mcuprune.link.client import LinkClient
from mcuprune.link.protocol import FrameSplitter
from mcuprune.link.transport import LinkGoneError, ProcessTransport, open_transport

CHILD = f"""
import sys, os
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(protocol.__file__).parents[2])!r}]
from fake_board import Board
from mcuprune.link import protocol
board, splitter = Board(), protocol.FrameSplitter()
while data := os.read(0, 65536):
    for encoded in splitter.feed(data):
        os.write(1, protocol.encode_frame(board.answer(encoded)))
"""


def serve(read, write) -> threading.Thread:
    """A board on a thread, until its stream ends."""

    def work() -> None:
        board, splitter = Board(), FrameSplitter()
        try:
            while data := read():
                for encoded in splitter.feed(data):
                    write(protocol.encode_frame(board.answer(encoded)))
        except OSError:
            pass

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def talk(transport) -> None:
    """A short conversation."""
    with LinkClient(transport) as client:
        client.hello(10)
        data = bytes(range(40))
        assert client.infer(data, layers=True).output == layer_outputs(data)[-1]


def test_child_process():
    """A child that speaks over its pipes; it ends when the transport closes."""
    transport = ProcessTransport([sys.executable, "-c", CHILD])
    talk(transport)
    assert transport._child.returncode == 0


def test_child_that_fails_is_quoted():
    """A child that ends says why in the error."""
    transport = ProcessTransport([sys.executable, "-c", "import sys; sys.exit('arena too small')"], name="host build")
    with pytest.raises(LinkGoneError, match="host build went away: it ended with status 1; it said: arena too small"):
        talk(transport)


def test_child_that_stays_is_killed():
    """A child that does not end with its stdin is killed."""
    code = "import time, sys; sys.stdout.write('x'); sys.stdout.flush(); time.sleep(60)"
    transport = ProcessTransport([sys.executable, "-c", code])
    assert transport.read(10) == b"x"
    begin = time.monotonic()
    transport.close()
    assert transport._child.returncode == -9 and time.monotonic() - begin < 10


def test_missing_program():
    """A program that is not there is a LinkError."""
    with pytest.raises(LinkError, match="does not start"):
        ProcessTransport(["/nowhere/firmware"])


@pytest.mark.parametrize("form", ["{}", "unix:{}", "unix://{}"])
def test_unix_socket(tmp_path, form):
    """A unix socket, by its path or with the prefix."""
    path = tmp_path / "serial"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=lambda: _accept(server), daemon=True)
        thread.start()
        talk(open_transport(form.format(path)))
        thread.join(5)


def _accept(server: socket.socket) -> None:
    stream, _ = server.accept()
    with stream:
        serve(lambda: stream.recv(65536), stream.sendall).join(10)


def test_tcp_socket():
    """socket://HOST:PORT."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: _accept(server), daemon=True).start()
        talk(open_transport(f"socket://127.0.0.1:{server.getsockname()[1]}"))


def test_pty_through_pyserial():
    """A pty has no DTR and RTS; it is spoken to like a port."""
    board, port = os.openpty()
    tty.setraw(board)
    tty.setraw(port)
    serve(lambda: os.read(board, 4096), lambda data: os.write(board, data))
    transport = open_transport(os.ttyname(port))
    with LinkClient(transport) as client:
        client.hello(10)
        client.stats()


def test_pty_that_goes_away():
    """The end of an emulator behind a pty is noticed."""
    board, port = os.openpty()
    transport = open_transport(os.ttyname(port))
    os.close(port)
    os.close(board)
    with pytest.raises(LinkGoneError, match="went away"):
        for _ in range(20):
            transport.read(0.1)
    transport.close()


@pytest.mark.parametrize(
    ("port", "words"),
    [
        ("socket://127.0.0.1:1", "no connection"),
        ("socket://127.0.0.1", "names no host and port"),
        ("unix:/nowhere/serial", "no connection"),
        ("/dev/nowhere", "No such file"),
    ],
)
def test_ports_that_do_not_open(port, words):
    """A port that does not open gives one LinkError with a hint."""
    with pytest.raises(LinkError, match=words) as caught:
        open_transport(port)
    assert caught.value.hint
