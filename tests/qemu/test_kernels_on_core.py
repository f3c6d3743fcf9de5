"""Kernels on emulated cores: what the host cannot run (assembler blocks, DSP instructions) gives the expected bytes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcuprune.encodings import ENCODINGS, Encoded
from tests.c.kernel_cases import ConvCase, adversarial_convs, c_encoding, tie_case

pytestmark = pytest.mark.qemu
FIRMWARE = Path(__file__).parents[2] / "firmware"

CORES = {"cortex-m4": "mps2-an386", "cortex-m3": "mps2-an385"}
KERNELS = {
    "cortex-m4": ("conv2d_s8_gap_dsp", "conv2d_s8_gap_ref", "conv2d_s8_bitmap_ref", "conv2d_s8_block_ref"),
    "cortex-m3": ("conv2d_s8_gap_ref", "conv2d_s8_bitmap_ref", "conv2d_s8_block_ref"),
}
ENCODING = {"gap": "gap", "bitmap": "bitmap", "block": "block2x2"}
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
MAX_EXIT = 200

LINKER_SCRIPT = """MEMORY { FLASH (rx) : ORIGIN = 0, LENGTH = 4M  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 4M }
SECTIONS {
    .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) } > FLASH
    .ARM.exidx : { *(.ARM.exidx*) } > FLASH
    .data : { *(.data*) } > RAM
    .bss (NOLOAD) : { *(.bss*) *(COMMON) } > RAM
    stack_top = ORIGIN(RAM) + LENGTH(RAM);
}
"""

RUNTIME = """#include "mcuprune_nn.h"
#include <string.h>
typedef struct { const char *name; size_t out_bytes, workspace_bytes; const int8_t *expected; } check;
enum { GUARD = 16, FILL = 0x5A };
static uint8_t out[65536 + GUARD], workspace[65536 + GUARD];
extern uint32_t stack_top[];
int main(void);

static void semihost(int operation, const void *argument)
{
    register int r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

__attribute__((noreturn)) static void leave(int code)
{
    const int block[2] = {0x20026, code}; /* ADP_Stopped_ApplicationExit */
    semihost(0x20, block);                /* SYS_EXIT_EXTENDED */
    for (;;) {
    }
}
static void reset(void) { leave(main()); }
static void fault(void) { semihost(4, "fault\\n"), leave(255); }
__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    stack_top, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault};

static void before(void) { memset(out, FILL, sizeof out), memset(workspace, FILL, sizeof workspace); }

static int guarded(const uint8_t *end)
{
    for (int i = 0; i < GUARD; i++)
        if (end[i] != FILL) return 0;
    return 1;
}

/* 1 where the output is not as expected, or something was written behind it or behind the workspace. */
static int after(const check *c)
{
    if (!memcmp(out, c->expected, c->out_bytes) && guarded(out + c->out_bytes) &&
        guarded(workspace + c->workspace_bytes))
        return 0;
    semihost(4, c->name), semihost(4, "\\n"); /* SYS_WRITE0 */
    return 1;
}
"""


def _array(name: str, ctype: str, data: Iterable[int]) -> str:
    return f"static const {ctype} {name}[] = {{{','.join(map(str, data)) or '0'}}};\n"


def _weights(prefix: str, encoded: Encoded) -> tuple[str, str]:
    """Arrays in C, and the initializer that points to them."""
    arrays = "".join(_array(f"{prefix}{a.member}", a.ctype, a.data.tolist()) for a in encoded.arrays)
    members = [f".{a.member} = {prefix}{a.member}" for a in encoded.arrays]
    members += [f".{name} = {value}" for name, value in encoded.scalars.items()]
    return arrays, "{" + ", ".join(members) + "}"


def _struct(fields: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f".{name} = {value}" for name, value in fields.items()) + "}"


def conv_call(number: int, kernel: str, case: ConvCase, encoded: Encoded) -> tuple[str, str]:
    """Declarations of one case, and statements that count it as failed or not."""
    p = f"c{number}_"
    text, weights = _weights(p, encoded)
    for name, ctype in (("bias", "int32_t"), ("mult", "int32_t"), ("shift", "int8_t")):
        text += _array(p + name, ctype, np.asarray(case.rescale[name]).tolist())
    text += _array(p + "in", "int8_t", case.x.reshape(-1).tolist())
    text += _array(p + "expected", "int8_t", case.expected.reshape(-1).tolist())
    rescale = case.rescale | {name: p + name for name in ("bias", "mult", "shift")}
    text += f"static const mp_conv2d_s8_{c_encoding(encoded)} {p}op = {{.shape = {_struct(case.shape)}, "
    text += f".rescale = {_struct(rescale)}, .weights = {weights}}};\n"
    sizes = kernel if kernel.endswith("_dsp") else "conv2d_s8_ref"
    name = f"{kernel} {encoded.encoding} {case.name}"
    call = f"""    before();
    mp_{kernel}(&{p}op, {p}in, (int8_t *)out, workspace);
    failed += after(&(check){{"{name}", {case.expected.size}, mp_{sizes}_workspace(&{p}op.shape), {p}expected}});
"""
    return text, call


def build(folder: Path, core: str, text: str, optimize: str = "-O3") -> Path:
    """An image of one C file and the core's kernels, warnings being errors."""
    (folder / "main.c").write_text(text)
    (folder / "link.ld").write_text(LINKER_SCRIPT)
    compiler = ["arm-none-eabi-gcc", f"-mcpu={core}", "-mthumb", "-std=c11", *WARNINGS]
    compiler += [f"-I{FIRMWARE / part}" for part in ("include", "numerics", "kernels")]
    _compile(*compiler, "-c", "-o", folder / "main.o", folder / "main.c")
    kernels = [FIRMWARE / "kernels" / f"{kernel}.c" for kernel in ("im2col_s8", "rows_bitmap", *KERNELS[core])]
    output = folder / "kernels.elf"
    link = ["-nostartfiles", "--specs=nano.specs", "-Wl,--no-warn-rwx-segments", "-T", folder / "link.ld"]
    _compile(*compiler, optimize, *link, "-o", output, folder / "main.o", *kernels)
    return output


def _compile(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def run_on_core(core: str, image: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs an image until it leaves through semihosting; its exit code is the program's."""
    command = ["qemu-system-arm", "-M", CORES[core], "-display", "none", "-monitor", "none", "-serial", "none"]
    command += ["-semihosting-config", "enable=on,target=native", "-kernel", str(image), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)


def program(core: str, cases: Iterable[ConvCase]) -> str:
    """A C program whose exit code is the number of cases that a core computes otherwise than expected."""
    texts, calls = [], []
    for case in cases:
        for kernel in KERNELS[core]:
            encoded = ENCODINGS[ENCODING[kernel.split("_")[2]]].encode(case.w)
            text, call = conv_call(len(calls), kernel, case, encoded)
            texts.append(text)
            calls.append(call)
    body = "".join(calls)
    return f"{RUNTIME}{''.join(texts)}int main(void)\n{{\n    int failed = 0;\n{body}" + (
        f"    return failed < {MAX_EXIT} ? failed : {MAX_EXIT};\n}}\n"
    )


@pytest.mark.parametrize("core,optimize", [("cortex-m4", "-O3"), ("cortex-m4", "-O0"), ("cortex-m3", "-O3")])
def test_kernels_on_core(core: str, optimize: str, tmp_path: Path):
    """Each border of a sparse kernel, on the core; without optimization, too, where registers are scarce."""
    image = build(tmp_path, core, program(core, adversarial_convs()), optimize)
    done = run_on_core(core, image)
    assert done.returncode == 0, f"{done.returncode} cases differ:\n{done.stdout}{done.stderr}"


def test_a_wrong_byte_is_seen(tmp_path: Path):
    """The program on the core tells a wrong result by its exit code."""
    case = tie_case(-3)
    text = program("cortex-m4", [case]).replace(
        "static const int8_t c0_expected[] = {", "static const int8_t c0_expected[] = {1+"
    )
    assert run_on_core("cortex-m4", build(tmp_path, "cortex-m4", text)).returncode == 1
