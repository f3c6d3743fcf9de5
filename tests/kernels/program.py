"""Programs that run kernels on layers and compare bytes: for this computer, with sanitizers, and for emulated cores."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.boards import CORES
from mcuprune.emit.c_text import array_body, struct_body
from mcuprune.emit.context import c_symbol, struct_members
from mcuprune.emit.project import source_closure
from mcuprune.encodings import ENCODINGS, Encoding
from mcuprune.errors import EncodingError
from mcuprune.ir.graph import DType
from mcuprune.kernels.kernel import Kernel, Packed
from mcuprune.kernels.params import CONSTANT_INPUT, CTYPES
from tests.kernels.layers import Layer

FIRMWARE = Path(__file__).parents[2] / "firmware"
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
GUARDS = ["-fsanitize=address"]  # around arrays; the checks' own code needs no more
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1"]
MAX_EXIT = 200


@dataclass(frozen=True, slots=True)
class Machine:
    """An emulated machine with a core: QEMU's name, where vectors, code and data lie, the RAM to use, the flags of the
    compiler."""

    qemu: str
    flags: tuple[str, ...]
    vectors: int = 0
    code: int = 0x1000
    data: int = 0x20000000
    data_mib: int = 4


_M33 = ("-mcpu=cortex-m33", "-mthumb", "-mfloat-abi=softfp", "-mfpu=fpv5-sp-d16")
MACHINES = {
    "cortex-m0": Machine("mps2-an385", ("-mcpu=cortex-m0", "-mthumb")),
    "cortex-m3": Machine("mps2-an385", ("-mcpu=cortex-m3", "-mthumb")),
    "cortex-m4f": Machine("mps2-an386", CORES["cortex-m4f"].flags),
    "cortex-m7": Machine("mps2-an500", ("-mcpu=cortex-m7", "-mthumb")),
    "cortex-m33": Machine("mps2-an505", _M33, 0x10000000, 0x10001000, 0x38000000, 2),
    "cortex-m55": Machine(
        "mps3-an547", ("-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"), 0, 0x11000000, 0x31000000, 2
    ),
}

SCRIPT = """MEMORY {{
    VECTORS (rx) : ORIGIN = {vectors:#x}, LENGTH = 4K
    CODE (rx) : ORIGIN = {code:#x}, LENGTH = 2M
    DATA (rwx) : ORIGIN = {data:#x}, LENGTH = {data_mib}M
}}
SECTIONS {{
    .vectors : {{ KEEP(*(.vectors)) }} > VECTORS
    .text : {{ *(.text*) *(.rodata*) }} > CODE
    .ARM.exidx : {{ *(.ARM.exidx*) }} > CODE
    .data : {{ *(.data*) }} > DATA
    .bss (NOLOAD) : {{ *(.bss*) *(COMMON) }} > DATA
    stack_top = ORIGIN(DATA) + LENGTH(DATA);
}}
"""

ON_CORE = """
extern uint32_t stack_top[];
int main(void);

static void semihost(int operation, const void *argument)
{
    register int r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}
static void say(const char *text) { semihost(4, text), semihost(4, "\\n"); } /* SYS_WRITE0 */

__attribute__((noreturn)) static void leave(int code)
{
    const int block[2] = {0x20026, code}; /* ADP_Stopped_ApplicationExit */
    semihost(0x20, block);                /* SYS_EXIT_EXTENDED */
    for (;;) {
    }
}
static void reset(void)
{
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: floating point and MVE, ignored where there is none */
    leave(main());
}
static void fault(void) { say("fault"), leave(255); }
__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    stack_top, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault};
"""

ON_HOST = """
#include <stdio.h>
static void say(const char *text) { puts(text); }
"""

HEAD = """#include "mcuprune_nn.h"
#include <string.h>
#ifdef __has_attribute
#if __has_attribute(nonstring)
#define NONSTRING __attribute__((nonstring)) /* the last byte is data, too */
#endif
#endif
#ifndef NONSTRING
#define NONSTRING
#endif
"""

_ESCAPES = [f"\\{byte:03o}" for byte in range(256)]

CHECK = """
#ifdef __arm__
#define GUARD 16 /* bytes behind what a kernel writes; on the host the sanitizer has its own */
#define GUARDED(size) ((size) + GUARD)
#define WORKSPACE(size) uint8_t *const workspace = shared /* by all checks: memory is small */
#else
#define GUARD 0
#define GUARDED(size) ((size) ? (size) : 1)
#define WORKSPACE(size) static _Alignas(4) uint8_t workspace[GUARDED(size)]
#endif

static int guarded(const uint8_t *end, uint8_t fill)
{
    for (int i = 0; i < GUARD; i++)
        if (end[i] != fill) return 0;
    return 1;
}

static int wrong(const char *name, const char *what)
{
    say(name), say(what);
    return 1;
}
"""


def _array(symbol: str, ctype: str, data: npt.NDArray[Any], align: int = 4) -> str:
    """An aligned constant array; bytes as a string, which compilers read ten times as fast as numbers."""
    align = 8 if ctype in ("int64_t", "double") else align
    head = f"static const _Alignas({align}) {ctype} {symbol}[{max(data.size, 1)}]"
    if data.size and ctype in ("int8_t", "uint8_t"):
        return f'{head} NONSTRING = "{_escaped(data)}";\n'
    return f"{head} = {{\n{array_body(data)}\n}};\n"


def _escaped(data: npt.NDArray[Any]) -> str:
    return "".join(map(_ESCAPES.__getitem__, np.ascontiguousarray(data).view(np.uint8).tobytes()))


def _bytes(symbol: str, data: npt.NDArray[Any]) -> str:
    """The bytes of an array."""
    return _array(symbol, "uint8_t", np.frombuffer(data.tobytes(), np.uint8), 8)


def _pointer(symbol: str, data: npt.NDArray[Any], const: str = "const ") -> str:
    """An array of bytes as what it holds."""
    return f"({const}{CTYPES[DType(data.dtype.name)]} *){symbol}"


def layer_text(at: int, layer: Layer) -> str:
    """Inputs and output of a layer, which its checks share."""
    text = "".join(_bytes(f"l{at}_in{i}", x) for i, x in enumerate(layer.inputs))
    for i, (before, after) in enumerate(layer.states):
        text += _bytes(f"l{at}_before{i}", before) + _bytes(f"l{at}_after{i}", after)
    return text + _bytes(f"l{at}_expected", layer.expected)


def check_text(number: int, at: int, kernel: Kernel, layer: Layer, packed: Packed, label: str) -> str:
    """A function that runs one kernel on layer `at`, twice with other bytes around, and in place where it may."""
    p = f"c{number}"
    arrays = [array for array in packed.arrays if not array.member.startswith(CONSTANT_INPUT)]
    text = "".join(_array(c_symbol(p, array), array.ctype, array.data) for array in arrays)
    text += f"static const {kernel.ctype} {p}_op = {{\n{struct_body(struct_members(p, packed))}\n}};\n"
    out = layer.expected.nbytes
    workspace = kernel.workspace(layer.params.geometry)
    inputs = [_pointer(f"l{at}_in{i}", x) for i, x in enumerate(layer.inputs)]
    states = [(f"{p}_state{i}", before) for i, (before, _) in enumerate(layer.states)]
    text += "".join(f"static _Alignas(8) uint8_t {name}[{x.nbytes}];\n" for name, x in states)

    def call(arguments: list[str]) -> str:
        tail = ["workspace" if workspace else "NULL"] if kernel.takes_workspace else []
        if kernel.takes_list:
            arguments = ["(const void *const[]){" + ", ".join(arguments) + "}"]
        kept = [_pointer(name, x, "") for name, x in states]
        out = _pointer(f"{p}_out", layer.expected, "")
        return f"{kernel.symbol}({', '.join([f'&{p}_op', *arguments, *kept, out, *tail])});"

    in_place = kernel.in_place(layer.params)
    space = max(out, *(x.nbytes for x in layer.inputs)) if in_place else out
    lines = [f"static _Alignas(8) uint8_t {p}_out[GUARDED({space})];", f"static int {p}(void)", "{"]
    lines += [f'    static const char name[] = "{label}";']
    lines += [f"    WORKSPACE({workspace});"]
    if kernel.takes_workspace:
        function = f"mp_{kernel.family}_ref_workspace" if kernel.isa == "ref" else f"{kernel.symbol}_workspace"
        lines += [f'    if ({function}(&{p}_op.shape) != {workspace}) return wrong(name, "workspace size");']
    lines += ["    for (int turn = 0; turn < 2; turn++) {", "        const uint8_t fill = turn ? 0x91 : 0x6E;"]
    lines += [f"        memset({p}_out, fill, sizeof {p}_out), memset(workspace, fill, GUARDED({workspace}));"]
    lines += [f"        memcpy({name}, l{at}_before{i}, {x.nbytes});" for i, (name, x) in enumerate(states)]
    lines += [f"        {call(inputs)}"]
    for i, (name, x) in enumerate(states):
        lines += [f'        if (memcmp({name}, l{at}_after{i}, {x.nbytes})) return wrong(name, "state differs");']
    lines += [f'        if (memcmp({p}_out, l{at}_expected, {out})) return wrong(name, "bytes differ");']
    lines += [f'        if (!guarded({p}_out + {space}, fill)) return wrong(name, "wrote behind the output");']
    lines += [f'        if (!guarded(workspace + {workspace}, fill)) return wrong(name, "wrote behind the workspace");']
    lines += ["    }"]
    for i, x in enumerate(layer.inputs):
        if in_place and x.nbytes >= out:
            lines += [f"    memcpy({p}_out, l{at}_in{i}, {x.nbytes});"]
            lines += [f"    {call([*inputs[:i], _pointer(f'{p}_out', x), *inputs[i + 1 :]])}"]
            lines += [f'    if (memcmp({p}_out, l{at}_expected, {out})) return wrong(name, "bytes differ in place");']
    return text + "\n".join([*lines, "    return 0;", "}", ""])


@dataclass(frozen=True, slots=True)
class Program:
    """C text, the kernels in it, and how many checks each one got."""

    text: str
    checks: dict[str, int]
    sources: frozenset[str]


def program(kernels: Iterable[Kernel], layers: Iterable[Layer], host: bool) -> Program:
    """Every kernel on every layer that it serves, with every encoding that it reads."""
    parts, checks, sources = [HEAD, ON_HOST if host else ON_CORE, CHECK], dict[str, int](), set[str]()
    layers = list(layers)
    number = largest = 0
    told = set[int]()
    for kernel in kernels:
        sources.add(kernel.source)
        for at, layer in enumerate(layers):
            if layer.params.family != kernel.family or kernel.obstacle(layer.params) is not None:
                continue
            encodings: list[Encoding | None] = [e for e in ENCODINGS.values() if kernel.serves(e)]
            for encoding in encodings or [None]:
                try:
                    packed = kernel.pack(layer.params, encoding)
                except EncodingError:
                    continue
                name = f"{kernel.symbol}:{encoding.name}" if encoding else kernel.symbol
                if at not in told:
                    parts.append(layer_text(at, layer))
                    told.add(at)
                parts.append(check_text(number, at, kernel, layer, packed, f"{name} {layer.name}"))
                checks[name] = checks.get(name, 0) + 1
                largest = max(largest, kernel.workspace(layer.params.geometry))
                number += 1
    parts.insert(3, "" if host else f"static _Alignas(4) uint8_t shared[GUARDED({largest})];\n")
    calls = "".join(f"    failed += c{i}();\n" for i in range(number))
    parts.append(f"int main(void)\n{{\n    int failed = 0;\n{calls}")
    parts.append(f"    return failed < {MAX_EXIT} ? failed : {MAX_EXIT};\n}}\n")
    return Program("".join(parts), checks, frozenset(sources))


def _closure(sources: frozenset[str]) -> list[Path]:
    """The kernels' files and those of the helpers that they include."""
    return [FIRMWARE / path for path in sorted(source_closure(FIRMWARE, set(sources))) if path.endswith(".c")]


def run(
    prog: Program, folder: Path, core: str, objects: Path, optimize: str = "-O3"
) -> subprocess.CompletedProcess[str]:
    """Build and run; the exit code is the number of checks that failed, their names are printed.

    objects: a folder for compiled kernels, which later programs find there.
    """
    main, image = folder / "main.c", folder / "kernels.elf"
    main.write_text(prog.text)
    include = [f"-I{FIRMWARE / part}" for part in ("include", "numerics", "kernels")]
    if core == "host":
        compiler = ["cc", "-std=c11", *WARNINGS, *include]
        built = [_compiled([*compiler, *SANITIZERS], source, objects) for source in _closure(prog.sources)]
        _run("cc", *GUARDS, *include, "-c", "-o", folder / "main.o", main)
        _run("cc", "-fsanitize=address,undefined", "-o", image, folder / "main.o", *built)
        return subprocess.run([image], capture_output=True, text=True, timeout=300)
    machine = MACHINES[core]
    script = SCRIPT.format(vectors=machine.vectors, code=machine.code, data=machine.data, data_mib=machine.data_mib)
    (folder / "link.ld").write_text(script)
    compiler = ["arm-none-eabi-gcc", *machine.flags, "-std=c11", *WARNINGS, *include]
    built = [_compiled([*compiler, optimize], source, objects) for source in _closure(prog.sources)]
    checks = _compiled(["arm-none-eabi-gcc", *MACHINES["cortex-m0"].flags, *include], main, objects)
    link = ["-nostartfiles", "--specs=nano.specs", "-Wl,--no-warn-rwx-segments,--no-warn-mismatch"]
    _run("arm-none-eabi-gcc", *machine.flags, *link, "-T", folder / "link.ld", "-o", image, checks, *built)
    command = ["qemu-system-arm", "-M", machine.qemu, "-display", "none", "-monitor", "none", "-serial", "none"]
    command += ["-semihosting-config", "enable=on,target=native", "-kernel", image]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)


def _compiled(compiler: list[str], source: Path, objects: Path) -> Path:
    """The object of a source under one command; equal text is compiled once in a session.

    Checks run on every core as they were compiled for the smallest: they pass pointers alone, so the ABI of floating
    point, which the linker would find to differ, does not matter.
    """
    key = hashlib.sha256("\n".join([*compiler, source.read_text("utf-8")]).encode()).hexdigest()[:16]
    built = objects / f"{source.stem}-{key}.o"
    if not built.exists():
        fresh = built.with_suffix(f".{os.getpid()}")  # another worker may be at it, too
        _run(*compiler, "-c", "-o", fresh, source)
        fresh.rename(built)
    return built


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]
