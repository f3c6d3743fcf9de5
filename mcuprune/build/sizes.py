"""What an image costs: flash and RAM by part, read from the ELF file's sections and symbols."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection, SymbolTableSection

from mcuprune.build.folder import Folder
from mcuprune.errors import BuildError

_ALLOC, _WRITE, _EXEC = 0x2, 0x1, 0x4


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of an image.

    flash and ram: by part, adding up to flash_bytes and ram_bytes. layers: flash of each layer's constants by its name.
    functions: of kernels and model code. compiler: what made it, as its version; "" where the file does not tell.
    """

    flash: Mapping[str, int]
    ram: Mapping[str, int]
    layers: Mapping[str, int]
    functions: Mapping[str, int]
    arena_bytes: int
    build_id: str
    compiler: str

    @property
    def flash_bytes(self) -> int:
        return sum(self.flash.values())

    @property
    def ram_bytes(self) -> int:
        return sum(self.ram.values())

    @property
    def weight_flash_bytes(self) -> int:
        return self.flash["layers: weights and parameters"]

    @property
    def model_code_bytes(self) -> int:
        return self.flash["kernels and model code"]

    @property
    def code_bytes(self) -> int:
        return self.model_code_bytes + self.flash["runtime, link and drivers"]


def measure(folder: Folder) -> Sizes:
    """Read the sizes of a built folder.

    Raises:
        BuildError: the folder is not built, or its ELF file cannot be read.
    """
    path = folder.need_elf()
    try:
        with path.open("rb") as stream:
            return _measure(folder, ELFFile(stream))
    except BuildError:
        raise
    except Exception as fault:  # elftools raises many kinds on damaged files
        raise BuildError(
            f"{path} is not a readable ELF file ({fault})", hint=f"mcuprune build {folder.path}"
        ) from fault


def _measure(folder: Folder, elf: Any) -> Sizes:
    owner = {symbol: layer["name"] for layer in folder.manifest["layers"] for symbol in layer["symbols"]}
    layers = {layer["name"]: 0 for layer in folder.manifest["layers"]}
    sections = [s for s in elf.iter_sections() if s["sh_flags"] & _ALLOC]
    functions: dict[str, int] = {}
    arena = 0
    model_files, model_functions = _model_functions(folder)
    for name, file, kind, size in _files_of_symbols(elf):
        if kind == "STT_OBJECT" and name in owner:
            layers[owner[name]] += size
        elif kind == "STT_FUNC" and (file in model_files if file else name in model_functions):
            functions[name] = functions.get(name, 0) + size
        elif kind == "STT_OBJECT" and name == "arena":
            arena = size
    model_code = sum(functions.values())
    in_flash = sum(s["sh_size"] for s in sections if s["sh_type"] != "SHT_NOBITS")
    code = sum(s["sh_size"] for s in sections if s["sh_type"] == "SHT_PROGBITS" and s["sh_flags"] & _EXEC)
    weights = sum(layers.values())
    ram = {s.name: s["sh_size"] for s in sections if s["sh_flags"] & _WRITE or s["sh_type"] == "SHT_NOBITS"}
    stack = ram.pop(".stack", 0)
    return Sizes(
        flash={
            "layers: weights and parameters": weights,
            "kernels and model code": model_code,
            "runtime, link and drivers": max(code - model_code, 0),
            "tables, vectors, initial data": in_flash - weights - max(code, model_code),
        },
        ram={
            "arena: activations and workspaces": arena,
            "stack": stack,
            "link buffers and the rest": sum(ram.values()) - arena,
        },
        layers=layers,
        functions=functions,
        arena_bytes=arena,
        build_id=read_build_id(folder.elf),
        compiler=_compiler(elf),
    )


def _compiler(elf: Any) -> str:
    """What compiled the image, from its debug information: `GNU C11 12.2.1 20221205 -mcpu=...` is GCC 12.2.1."""
    if not elf.has_dwarf_info():
        return ""
    for unit in elf.get_dwarf_info().iter_CUs():
        producer = unit.get_top_DIE().attributes.get("DW_AT_producer")
        text = producer.value.decode("utf-8", "replace") if producer is not None else ""
        found = re.match(r"GNU C\d* (\d+(?:\.\d+)+)", text)
        if found or "clang" in text:
            return f"GCC {found[1]}" if found else str(text)
    return ""


def _files_of_symbols(elf: Any) -> list[tuple[str, str, str, int]]:
    """Name, source file, kind and size of every symbol; the file is known for local symbols only."""
    table = elf.get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        raise BuildError("the ELF file has no symbols")
    result, file = [], ""
    for symbol in table.iter_symbols():
        kind = symbol["st_info"]["type"]
        if kind == "STT_FILE":
            file = symbol.name
        local = symbol["st_info"]["bind"] == "STB_LOCAL"
        result.append((symbol.name, Path(file).name if local else "", kind, symbol["st_size"]))
    return result


def _model_functions(folder: Folder) -> tuple[set[str], set[str]]:
    """Source files and global functions of the model and its kernels, from their object files."""
    files, functions = set(), set()
    for path in sorted((folder.path / "build" / "traced").rglob("*.o")):
        files.add(path.with_suffix(".c").name)
        with path.open("rb") as stream:
            symbols = _files_of_symbols(ELFFile(stream))
        functions |= {name for name, file, kind, _ in symbols if kind == "STT_FUNC" and not file}
    return files, functions


def read_build_id(path: Path) -> str:
    """The GNU build id of an ELF file, hex; "" where it has none.

    Raises:
        BuildError: the file is missing or no ELF file.
    """
    try:
        with path.open("rb") as stream:
            for section in ELFFile(stream).iter_sections():
                if isinstance(section, NoteSection):
                    for note in section.iter_notes():
                        if note["n_type"] == "NT_GNU_BUILD_ID":
                            return str(note["n_desc"])
    except Exception as fault:
        raise BuildError(
            f"{path} cannot be read as an ELF file ({fault})", hint="run `mcuprune build` again"
        ) from fault
    return ""
