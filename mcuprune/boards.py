"""Boards as data: one TOML file each, checked when read.

A board names a core, its memories, a serial driver and the way to run it. `load_board` takes the name of a board
that ships with mcuprune, or the path of a user's own file.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcuprune.errors import BoardFileError
from mcuprune.resources import resource_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, slots=True)
class Core:
    """A processor: how to compile for it and which kernels it runs, the fastest instruction-set level first."""

    name: str
    cross: str  # prefix of the compiler's name
    flags: tuple[str, ...]
    isas: tuple[str, ...]


_HARD = ("-mfloat-abi=hard",)


def _arm(name: str, isas: tuple[str, ...], cpu: str, *flags: str) -> Core:
    return Core(name, "arm-none-eabi-", (cpu, "-mthumb", *flags), isas)


CORES: Mapping[str, Core] = {
    core.name: core
    for core in (
        Core("host", "", (), ("ref",)),
        _arm("cortex-m0", ("armv6m", "ref"), "-mcpu=cortex-m0"),
        _arm("cortex-m3", ("armv7m", "ref"), "-mcpu=cortex-m3"),
        _arm("cortex-m4f", ("dsp", "armv7m", "ref"), "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", *_HARD),
        # single precision: every Cortex-M7 with a floating-point unit runs it
        _arm("cortex-m7", ("dsp", "armv7m", "ref"), "-mcpu=cortex-m7", "-mfpu=fpv5-sp-d16", *_HARD),
        _arm("cortex-m33", ("dsp", "armv7m", "ref"), "-mcpu=cortex-m33", "-mfpu=fpv5-sp-d16", *_HARD),
        _arm("cortex-m55", ("mve", "dsp", "armv7m", "ref"), "-mcpu=cortex-m55", *_HARD),
    )
}
"""Cores by the name that board files use."""

DRIVERS = ("cmsdk_uart", "stdio_host")
RUNNERS = ("qemu", "process")


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of memory, in bytes."""

    base: int
    bytes: int

    @property
    def end(self) -> int:
        return self.base + self.bytes


@dataclass(frozen=True, slots=True)
class Uart:
    """A serial port of the board: register base, interrupt numbers, baud rate."""

    base: int
    rx_irq: int
    tx_irq: int
    baud: int


@dataclass(frozen=True, slots=True)
class Runner:
    """How an image gets into the board: `qemu` with a machine name, or `process` for the host build."""

    kind: str
    machine: str | None = None


@dataclass(frozen=True, slots=True)
class Board:
    """One board, as its TOML file describes it."""

    name: str
    title: str
    core: Core
    clock_hz: int
    driver: str
    flash: Region
    ram: Region
    vectors: Region | None  # where the core looks for its vector table after reset, if not at the start of flash
    stack_bytes: int
    runner: Runner
    uart: Uart | None
    tested_on: str
    file: Path

    @property
    def is_host(self) -> bool:
        return self.core.name == "host"


def board_names() -> list[str]:
    """The boards that ship with mcuprune, sorted."""
    return sorted(path.stem for path in resource_dir("boards").glob("*.toml"))


def load_board(name: str) -> Board:
    """Read a board by name, or from a `.toml` file of the user's own.

    Raises:
        BoardFileError: there is no such board, or its file fails a check.
    """
    path = Path(name) if name.endswith(".toml") else resource_dir("boards") / f"{name}.toml"
    if not path.is_file():
        raise BoardFileError(
            f"no board is called {name!r}",
            hint=f"one of: {', '.join(board_names())}; or the path of a board file ending in .toml",
        )
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise BoardFileError(f"not a TOML file: {fault}", where=str(path)) from fault
    board = _from_table(table, path)
    for check in CHECKS:
        complaint = check(board)
        if complaint:
            raise BoardFileError(complaint, where=f"{path}, {check.__name__.removeprefix('_').replace('_', ' ')}")
    return board


def _from_table(table: Mapping[str, Any], path: Path) -> Board:
    """Pick the fields out of the TOML table; a missing or mistyped one is named."""

    def get(source: Mapping[str, Any], key: str, kind: type, section: str = "") -> Any:
        value = source.get(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            problem = "is missing" if value is None else f"is {value!r}"
            raise BoardFileError(f"{section}{key} {problem}; it needs a {kind.__name__}", where=str(path))
        return value

    def region(key: str) -> Region:
        raw = get(get(table, "memory", dict), key, dict, "memory.")
        return Region(get(raw, "base", int, f"memory.{key}."), get(raw, "bytes", int, f"memory.{key}."))

    core_name = get(table, "core", str)
    if core_name not in CORES:
        raise BoardFileError(f"core {core_name!r} is not known", where=str(path), hint=f"one of: {', '.join(CORES)}")
    uart = None
    if "uart" in table:
        raw = get(table, "uart", dict)
        uart = Uart(*(get(raw, key, int, "uart.") for key in ("base", "rx_irq", "tx_irq", "baud")))
    runner = get(table, "runner", dict)
    return Board(
        name=get(table, "name", str),
        title=get(table, "title", str),
        core=CORES[core_name],
        clock_hz=get(table, "clock_hz", int),
        driver=get(table, "driver", str),
        flash=region("flash"),
        ram=region("ram"),
        vectors=region("vectors") if "vectors" in get(table, "memory", dict) else None,
        stack_bytes=get(get(table, "stack", dict), "bytes", int, "stack."),
        runner=Runner(get(runner, "kind", str, "runner."), runner.get("machine")),
        uart=uart,
        tested_on=get(table, "tested_on", str),
        file=path,
    )


def _name_is_a_word(board: Board) -> str | None:
    ok = board.name.replace("-", "").replace("_", "").isalnum()
    return None if ok else f"name {board.name!r} may hold letters, digits, - and _ only"


def _sizes_are_positive(board: Board) -> str | None:
    sizes = {
        "memory.flash.bytes": board.flash.bytes,
        "memory.ram.bytes": board.ram.bytes,
        "memory.vectors.bytes": board.vectors.bytes if board.vectors else 1,
        "stack.bytes": board.stack_bytes,
        "clock_hz": board.clock_hz,
    }
    bad = [f"{name} = {value}" for name, value in sizes.items() if value <= 0]
    return f"{', '.join(bad)}: must be positive" if bad else None


def _regions_apart(board: Board) -> str | None:
    if board.is_host:
        return None
    regions = {"flash": board.flash, "ram": board.ram} | ({"vectors": board.vectors} if board.vectors else {})
    for (name, one), (other_name, other) in itertools.combinations(regions.items(), 2):
        if one.base < other.end and other.base < one.end:
            return f"{name} 0x{one.base:08x}..0x{one.end:08x} overlaps {other_name} from 0x{other.base:08x}"
    return None


def _vectors_aligned(board: Board) -> str | None:
    name, region = ("vectors", board.vectors) if board.vectors else ("flash", board.flash)
    return None if region.base % 1024 == 0 else f"{name} base 0x{region.base:x} cannot hold a vector table"


def _stack_fits(board: Board) -> str | None:
    return None if board.stack_bytes < board.ram.bytes else "the stack is larger than the RAM"


def _driver_known(board: Board) -> str | None:
    return None if board.driver in DRIVERS else f"driver {board.driver!r} is not one of {', '.join(DRIVERS)}"


def _driver_has_uart(board: Board) -> str | None:
    return None if board.is_host or board.uart else "the driver needs a [uart] section"


def _runner_known(board: Board) -> str | None:
    if board.runner.kind not in RUNNERS:
        return f"runner {board.runner.kind!r} is not one of {', '.join(RUNNERS)}"
    return "a qemu runner needs machine" if board.runner.kind == "qemu" and not board.runner.machine else None


CHECKS: tuple[Callable[[Board], str | None], ...] = (
    _name_is_a_word,
    _sizes_are_positive,
    _regions_apart,
    _vectors_aligned,
    _stack_fits,
    _driver_known,
    _driver_has_uart,
    _runner_known,
)
"""What every board file must pass: each check returns a complaint or None."""
