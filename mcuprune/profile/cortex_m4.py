"""Modelled cycles of the Cortex-M4: the table cortex_m4.toml applied to exact execution counts, not to a trace."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import capstone
from capstone import arm

from mcuprune.profile.plugin import Counts

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CORE = "cortex-m4f"
"""The core that the table describes."""

# In capstone's order, from 1 on.
_CONDITIONS = ("eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le")


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table; cortex_m4.toml says what its members mean."""

    name: str
    mnemonics: tuple[str, ...]
    cycles: int
    per_register: int = 0
    pipelined: int | None = None
    stall: bool = False
    stack_forwards: bool = False
    to_pc: int | None = None
    branch: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """The table."""

    default: Rule
    refill: int
    stall_cycles: int
    forwards: frozenset[str]
    forwards_stack: frozenset[str]
    rules: Mapping[str, Rule]  # by mnemonic

    @property
    def loads(self) -> tuple[str, ...]:
        return self.rules["ldr"].mnemonics


@cache
def model() -> Model:
    """The table as the package holds it."""
    table = tomllib.loads(files("mcuprune.profile").joinpath("cortex_m4.toml").read_text(encoding="utf-8"))
    rules = [Rule(**{**raw, "mnemonics": tuple(raw["mnemonics"])}) for raw in table["rule"]]
    return Model(
        Rule("any other", (), table["default"]),
        table["refill"],
        table["stall_cycles"],
        frozenset(table["forwards"]),
        frozenset(table["forwards_stack"]),
        {mnemonic: rule for rule in rules for mnemonic in rule.mnemonics},
    )


def cycles_by_address(instruction: Callable[[int], Any | None], counts: Counts) -> Counts:
    """Modelled cycles of all executions of each instruction.

    Args:
        instruction: the instruction at an address, with capstone's details.
        counts: executions by address, of code that ran without interruption.
    """
    result: Counts = {}
    previous = None
    for address in sorted(counts):
        insn = instruction(address)
        before = previous if previous is not None and previous.address + previous.size == address else None
        count = counts[address]
        if insn is None:
            result[address] = model().default.cycles * count
        else:
            result[address] = _cycles(insn, before, count, counts.get(address + insn.size, 0))
        previous = insn
    return result


def _cycles(insn: Any, before: Any | None, count: int, behind: int) -> int:
    """Cycles of `count` executions; the instruction behind ran `behind` times."""
    table = model()
    name = mnemonic(insn)
    rule = table.rules.get(name, table.default)
    registers = [o.reg for o in insn.operands if o.type == arm.ARM_OP_REG]
    listed = len(registers) - (1 if _has_base(name) else 0)
    each = rule.cycles + rule.per_register * max(1, listed)
    if rule.to_pc is not None and arm.ARM_REG_PC in (registers if rule.per_register else registers[:1]):
        return (each + rule.to_pc + table.refill) * count
    if rule.branch == "taken" and not (name == "b" and _always(insn)):
        return each * count + table.refill * max(0, count - behind)
    if rule.branch:
        return (each + table.refill) * count
    needed = _address_registers(insn) or ({registers[0]} if _has_base(name) else set())
    previous = "" if before is None else mnemonic(before)
    if rule.pipelined is not None and before is not None and previous in table.loads:
        if before.operands[0].reg not in needed:
            return rule.pipelined * count
        return each * count
    if rule.stall and before is not None and _written(before) & needed:
        forwards = table.forwards | table.forwards_stack if rule.stack_forwards else table.forwards
        each += 0 if previous in forwards else table.stall_cycles
    return each * count


def mnemonic(insn: Any) -> str:
    """Without width suffix and condition."""
    name = str(insn.mnemonic).split(".")[0]
    if not _always(insn) and 1 <= insn.cc <= len(_CONDITIONS):
        name = name.removesuffix(_CONDITIONS[insn.cc - 1])
    return name


def _always(insn: Any) -> bool:
    return insn.cc in (arm.ARM_CC_AL, arm.ARM_CC_INVALID)


def _has_base(name: str) -> bool:
    """Whether the first register operand is the address of a list."""
    return name.startswith(("ldm", "stm", "vldm", "vstm"))


def _address_registers(insn: Any) -> set[int]:
    memory = [o.mem for o in insn.operands if o.type == arm.ARM_OP_MEM]
    return {m.base for m in memory if m.base} | {m.index for m in memory if m.index}


def _written(insn: Any) -> set[int]:
    try:
        return set(insn.regs_access()[1])
    except capstone.CsError:
        return set()
