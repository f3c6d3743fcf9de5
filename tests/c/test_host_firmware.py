"""The host build of the firmware, spoken to over its pipes as a board is over a UART."""

from __future__ import annotations

import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from c_build import FIRMWARE, HERE, build, needs_cc
from cobs import cobs
from elftools.elf.elffile import ELFFile

SOURCES = (
    "drivers/stdio_host.c",
    "link/mp_crc32.c",
    "link/mp_frame.c",
    "link/mp_link.c",
    "runtime/mp_build_id.c",
    "runtime/mp_firmware.c",
    "runtime/mp_observer.c",
)
SESSION = 0xC0FFEE00

pytestmark = needs_cc


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The host firmware with the fake model."""
    output = tmp_path_factory.mktemp("host") / "firmware"
    return build(output, [HERE / "host_main.c", *(FIRMWARE / s for s in SOURCES)], "-Wl,--build-id=sha1")


@pytest.fixture
def board(program: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The firmware, running."""
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    yield process
    process.kill()
    process.communicate()


def ask(board: subprocess.Popen[bytes], kind: int, payload: bytes = b"", seq: int = 1) -> bytes:
    """The payload of the reply to a command; status must be OK."""
    data = struct.pack("<BBHI", kind, 0, seq, SESSION) + payload
    assert board.stdin is not None
    board.stdin.write(cobs.encode(data + struct.pack("<I", zlib.crc32(data))) + b"\0")
    reply = receive(board)
    assert struct.unpack("<BBHI", reply[:8]) == (kind + 0x80, 0, seq, SESSION)
    return reply[8:]


def receive(board: subprocess.Popen[bytes]) -> bytes:
    """One decoded frame without its CRC, which is right."""
    assert board.stdout is not None
    wire = b""
    while not wire.endswith(b"\0"):
        piece = board.stdout.read(1)
        assert piece, "the firmware ended"
        wire += piece
    data = cobs.decode(wire[:-1])
    assert zlib.crc32(data[:-4]) == struct.unpack("<I", data[-4:])[0]
    return data[:-4]


def test_host_firmware_answers(board: subprocess.Popen[bytes], program: Path):
    """HELLO carries the ELF's build id, INFER the model's outputs, and time passes in nanoseconds."""
    hello = ask(board, 1, struct.pack("<H", 1))
    with program.open("rb") as file:
        note = next(iter(ELFFile(file).get_section_by_name(".note.gnu.build-id").iter_notes()))
    assert hello[8:28].hex() == note["n_desc"]
    assert struct.unpack("<BI", hello[74:79]) == (3, 1_000_000_000)
    assert hello[79:] == bytes([7]) + "host ä".encode() + b"\x04fake"

    infer = ask(board, 3, struct.pack("<HBI", 0xFFFF, 1, 0) + bytes(range(12)), seq=2)
    ticks, layers, inlined = struct.unpack("<QHB", infer[:11])
    assert 0 < ticks < 1_000_000_000
    assert (layers, inlined) == (3, 3)
    assert list(infer[11:16]) == [2 * (i + 1) - 3 & 0xFF for i in range(5)]
    assert ask(board, 5, seq=3) == struct.pack("<III", 0, 0, 64)


def test_host_firmware_answers_in_bulk(board: subprocess.Popen[bytes]):
    """Many frames in one write come back in order."""
    ask(board, 1, struct.pack("<H", 1))
    frames = b""
    for seq in range(200):
        data = struct.pack("<BBHI", 6, 0, seq, SESSION) + bytes([seq]) * 100
        frames += cobs.encode(data + struct.pack("<I", zlib.crc32(data))) + b"\0"
    assert board.stdin is not None
    board.stdin.write(frames)
    for seq in range(200):
        reply = receive(board)
        assert struct.unpack("<H", reply[2:4])[0] == seq
        assert reply[8:] == bytes([seq]) * 100


def test_host_firmware_refuses_garbage(board: subprocess.Popen[bytes]):
    """Garbage gets a NAK, and the link goes on."""
    assert board.stdin is not None
    board.stdin.write(b"\x11garbage\0")
    assert receive(board) == struct.pack("<BBHI", 0xFF, 1, 0, 0)
    ask(board, 1, struct.pack("<H", 1))


def test_host_firmware_leaves_at_the_end_of_its_input(program: Path):
    """End of file in the middle of a frame: exit status 0, nothing said."""
    done = subprocess.run([program], input=b"\x05ab", capture_output=True, timeout=10)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_host_firmware_leaves_when_nobody_reads(program: Path):
    """A closed output ends the program without a signal."""
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.close()
        process.stdin.write(b"\x11garbage\0")
        assert process.wait(timeout=10) == 0
