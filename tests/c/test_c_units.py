"""Builds each tests/c/test_*.c with the firmware files that its first line names, under ASan and UBSan, and runs it."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from c_build import FIRMWARE, HERE, INCLUDE, SANITIZE, WARNINGS, build, needs_cc


def _bytes(data: str) -> str:
    """A compound literal of hex digits; C has no empty one."""
    return "(const uint8_t[]){" + (",".join(f"0x{b:02x}" for b in bytes.fromhex(data)) or "0") + "}"


def vectors_header(vectors: dict[str, Any]) -> str:
    """The link's vectors as C tables."""
    lines = [
        "#include <stddef.h>",
        "#include <stdint.h>",
        "#define VECTOR_COUNT(table) (sizeof(table) / sizeof(table)[0])",
        "typedef struct { const uint8_t *bytes; size_t count; uint32_t crc; } crc_case;",
        "typedef struct { const uint8_t *decoded, *encoded; size_t decoded_count, encoded_count; } cobs_case;",
        "typedef struct { const char *name; const uint8_t *decoded, *wire; size_t decoded_count, wire_count; }"
        " frame_case;",
        "typedef struct { const uint8_t *bytes; size_t count; } stream_frame; /* bytes NULL: a NAK */",
        "typedef struct { const char *name; const uint8_t *wire; const stream_frame *frame; size_t wire_count;"
        " size_t frame_count; } stream_case;",
        f'_Static_assert(MP_LINK_MAX_PAYLOAD == {vectors["max_payload"]}, "the vectors were made for another size");',
        "static const crc_case crc_vector[] = {",
    ]
    for case in vectors["crc32"]:
        lines.append(f"{{{_bytes(case['bytes'])}, {len(case['bytes']) // 2}, {case['crc']:#x}u}},")
    lines.append("};\nstatic const cobs_case cobs_vector[] = {")
    for case in vectors["cobs"]:
        decoded, encoded = case["decoded"], case["encoded"]
        lines.append(f"{{{_bytes(decoded)}, {_bytes(encoded)}, {len(decoded) // 2}, {len(encoded) // 2}}},")
    lines.append("};\nstatic const frame_case frame_vector[] = {")
    for case in vectors["frames"]:
        header = struct.pack("<BBHI", case["kind"], case["status"], case["seq"], case["session"]).hex()
        decoded, wire = header + case["payload"], case["wire"]
        lines.append(
            f"{{{json.dumps(case['name'])}, {_bytes(decoded)}, {_bytes(wire)}, {len(decoded) // 2}, {len(wire) // 2}}},"
        )
    lines.append("};\nstatic const stream_case stream_vector[] = {")
    for case in vectors["streams"]:
        frames = ["{NULL, 0}" if f is None else f"{{{_bytes(f)}, {len(f) // 2}}}" for f in case["frames"]]
        table = "(const stream_frame[]){" + (",".join(frames) or "{NULL, 0}") + "}"
        wire = case["wire"]
        lines.append(f"{{{json.dumps(case['name'])}, {_bytes(wire)}, {table}, {len(wire) // 2}, {len(frames)}}},")
    return "\n".join([*lines, "};", ""])


@needs_cc
@pytest.mark.parametrize("test", sorted(HERE.glob("test_*.c")), ids=lambda path: path.stem)
def test_c_unit(test: Path, tmp_path: Path):
    """A C test compiles without a warning and ends with 0."""
    first = test.read_text().splitlines()[0]
    assert first.startswith("/* sources:"), f"{test.name} must name its sources in its first line"
    sources = [FIRMWARE / name for name in first.removeprefix("/* sources:").removesuffix("*/").split()]
    vectors = json.loads((HERE.parent / "link" / "vectors.json").read_text())
    (tmp_path / "vectors.h").write_text(vectors_header(vectors))
    program = build(tmp_path / test.stem, [test, *sources], *SANITIZE)
    done = subprocess.run([program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@needs_cc
@pytest.mark.parametrize("max_payload", [128, 256, 32768])
def test_link_at_other_payload_sizes(max_payload: int, tmp_path: Path):
    """The command loop works at the smallest and the largest max_payload."""
    test = HERE / "test_link.c"
    names = test.read_text().splitlines()[0].removeprefix("/* sources:").removesuffix("*/").split()
    sources = [test, *(FIRMWARE / name for name in names)]
    program = build(tmp_path / "test_link", sources, *SANITIZE, f"-DMP_LINK_MAX_PAYLOAD={max_payload}")
    done = subprocess.run([program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@needs_cc
def test_too_small_max_payload_does_not_compile(tmp_path: Path):
    """A max_payload that cannot hold the HELLO reply is refused by the compiler."""
    command = ["cc", *INCLUDE, "-DMP_LINK_MAX_PAYLOAD=127", "-c", "-o", str(tmp_path / "x.o")]
    done = subprocess.run([*command, str(FIRMWARE / "link" / "mp_frame.c")], capture_output=True, text=True)
    assert done.returncode != 0
    assert "MP_LINK_MAX_PAYLOAD" in done.stderr


@pytest.mark.qemu
@pytest.mark.skipif(
    shutil.which("arm-none-eabi-gcc") is None, reason="no cross compiler (apt install gcc-arm-none-eabi)"
)
@pytest.mark.parametrize("cpu", ["cortex-m0", "cortex-m3", "cortex-m4"])
def test_firmware_compiles_for_the_core(cpu: str, tmp_path: Path):
    """Every portable file compiles for the core without a warning."""
    sources = sorted(p for part in ("kernels", "link", "runtime") for p in (FIRMWARE / part).glob("*.c"))
    sources = [p for p in sources if p.stem.endswith("_ref") or p.parent.name != "kernels" or p.stem == "im2col_s8"]
    command = ["arm-none-eabi-gcc", "-mthumb", f"-mcpu={cpu}", "-O2", *WARNINGS, *INCLUDE, "-c"]
    done = subprocess.run([*command, *map(str, sources)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
