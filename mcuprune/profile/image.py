"""An image seen by address: which function lies where, which functions are the firmware's, what an instruction is."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import capstone
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from mcuprune.build.folder import Folder
from mcuprune.errors import BuildError

_MOST_CODE = 1 << 25  # bytes


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the image. observer: it belongs to the firmware around the model, not to the model."""

    name: str
    start: int
    size: int
    observer: bool


class Image:
    """Functions and lazily disassembled Thumb code of a built folder."""

    def __init__(self, folder: Folder) -> None:
        """Read the image.

        Raises:
            BuildError: it is missing, older than its sources, or no readable ELF file.
        """
        path = folder.need_elf()
        try:
            own = _firmware_functions(folder)
            with path.open("rb") as stream:
                elf = ELFFile(stream)
                functions = [
                    Function(name, value & ~1, size, (name, file) in own or (name, "") in own)
                    for name, file, value, size in _functions(elf)
                    if size > 0
                ]
                self._code = [
                    (s["sh_addr"], s.data())
                    for s in elf.iter_sections()
                    if s["sh_flags"] & SH_FLAGS.SHF_EXECINSTR and s["sh_type"] == "SHT_PROGBITS"
                ]
        except BuildError:
            raise
        except Exception as fault:  # elftools raises many kinds on damaged files
            raise BuildError(
                f"{path} is not a readable ELF file ({fault})", hint=f"mcuprune build {folder.path}"
            ) from fault
        self.path = path
        self.functions = sorted(functions, key=lambda f: f.start)
        self._starts = [f.start for f in self.functions]
        self._decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
        self._decoder.detail = True
        self._seen: dict[int, Any] = {}

    @property
    def code(self) -> tuple[int, int]:
        """First address of code, and bytes from there to its end.

        Raises:
            BuildError: it lies too far apart to be counted.
        """
        start = min(address for address, _ in self._code)
        size = max(address + len(data) for address, data in self._code) - start
        if size > _MOST_CODE:
            raise BuildError(
                f"code lies {size} bytes apart, counted are at most {_MOST_CODE}",
                where=str(self.path),
                hint="keep all code in one memory to profile it",
            )
        return start, size

    def address(self, name: str) -> int:
        """Where a function starts.

        Raises:
            BuildError: the image has none of that name.
        """
        for function in self.functions:
            if function.name == name:
                return function.start
        raise BuildError(
            f"the image has no function {name}",
            where=str(self.path),
            hint="build it by `mcuprune build`: only traced models tell where a layer ends",
        )

    def function(self, address: int) -> Function | None:
        """The function that holds an address; None in library code without a size."""
        index = bisect.bisect_right(self._starts, address) - 1
        if index < 0 or address >= self.functions[index].start + self.functions[index].size:
            return None
        return self.functions[index]

    def instruction(self, address: int) -> Any | None:
        """The instruction at an address, as capstone sees it; None where there is none that it knows."""
        if address not in self._seen:
            found = None
            for start, data in self._code:
                if start <= address < start + len(data):
                    offset = address - start
                    found = next(self._decoder.disasm(data[offset : offset + 4], address, 1), None)
            self._seen[address] = found
        return self._seen[address]


def _functions(elf: Any) -> list[tuple[str, str, int, int]]:
    """Name, source file (of local ones; else ""), address and size of every function."""
    table = elf.get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        raise BuildError("the ELF file has no symbols", hint="build it by `mcuprune build`")
    result, file = [], ""
    for symbol in table.iter_symbols():
        kind = symbol["st_info"]["type"]
        if kind == "STT_FILE":
            file = Path(symbol.name).name
        elif kind == "STT_FUNC":
            local = symbol["st_info"]["bind"] == "STB_LOCAL"
            result.append((symbol.name, file if local else "", symbol["st_value"], symbol["st_size"]))
    return result


def _firmware_functions(folder: Folder) -> set[tuple[str, str]]:
    """Functions that the firmware around the model defines, as (name, file of local ones), from its object files.

    Link, driver, start-up and observer: what an interrupt or the trace brings into an inference.
    """
    found = set()
    for path in sorted((folder.path / "build" / "firmware").rglob("*.o")):
        with path.open("rb") as stream:
            functions = _functions(ELFFile(stream))
        found |= {(name, file) for name, file, _, _ in functions}
    return found
