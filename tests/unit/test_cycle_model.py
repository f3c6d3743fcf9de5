"""The Cortex-M4 timing model, instruction by instruction. Machine code was assembled once; capstone reads it back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import capstone
import pytest

from mcuprune.profile import cortex_m4

# machine code, what it says, cycles of the last instruction
CASES = [
    # arithmetic and multiplications
    ("8818", "adds r0, r1, r2", 1),
    ("01fb0230", "mla r0, r1, r2, r3", 1),
    ("21fb0230", "smlad r0, r1, r2, r3", 1),
    ("c2fb0301", "smlal r0, r1, r2, r3", 1),
    ("51fb12f0", "smmulr r0, r1, r2", 1),
    ("a2fb0301", "umull r0, r1, r2, r3", 1),
    ("01f30700", "ssat r0, #8, r1", 1),
    ("2ffa91f0", "sxtb16 r0, r1, ror #8", 1),
    ("c1ea0240", "pkhbt r0, r1, r2, lsl #0x10", 1),
    ("91fbf2f0", "sdiv r0, r1, r2", 7),
    ("00bf", "nop", 1),
    ("0cbf08461a68", "ite eq ; moveq r0, r1 ; ldrne r2, [r3]", 2),
    # loads: alone, pipelined, by an address that was loaded, computed, or written back just before
    ("0868", "ldr r0, [r1]", 2),
    ("8856", "ldrsb r0, [r1, r2]", 2),
    ("08681a68", "ldr r0, [r1] ; ldr r2, [r3]", 1),
    ("08781a5f", "ldrb r0, [r1] ; ldrsh r2, [r3, r4]", 1),
    ("08680268", "ldr r0, [r1] ; ldr r2, [r0]", 2),
    ("51f8040b0a68", "ldr r0, [r1], #4 ; ldr r2, [r1]", 1),
    ("04310a68", "adds r1, #4 ; ldr r2, [r1]", 3),
    ("04315a58", "adds r1, #4 ; ldr r2, [r3, r1]", 3),
    ("04311a68", "adds r1, #4 ; ldr r2, [r3]", 2),
    ("08601a68", "str r0, [r1] ; ldr r2, [r3]", 2),
    ("21f003010a68", "bic r1, r1, #3 ; ldr r2, [r1]", 2),  # the model lets bit-field instructions forward
    ("10b5029a", "push {r4, lr} ; ldr r2, [sp, #8]", 2),
    ("50f821f0", "ldr.w pc, [r0, r1, lsl #2]", 5),
    # stores
    ("0860", "str r0, [r1]", 1),
    ("04310a70", "adds r1, #4 ; strb r2, [r1]", 2),
    ("04320a70", "adds r2, #4 ; strb r2, [r1]", 1),
    ("0a681a60", "ldr r2, [r1] ; str r2, [r3]", 1),
    # several words
    ("d2e90001", "ldrd r0, r1, [r2]", 3),
    ("c2e90001", "strd r0, r1, [r2]", 3),
    ("0432d2e90001", "adds r2, #4 ; ldrd r0, r1, [r2]", 4),
    ("10b5dde90201", "push {r4, lr} ; ldrd r0, r1, [sp, #8]", 4),
    ("1ec8", "ldm r0!, {r1, r2, r3, r4}", 5),
    ("20e90600", "stmdb r0!, {r1, r2}", 3),
    ("043090e81e00", "adds r0, #4 ; ldm.w r0, {r1, r2, r3, r4}", 6),
    ("b0e81080", "ldm.w r0!, {r4, pc}", 5),
    ("f0b5", "push {r4, r5, r6, r7, lr}", 6),
    ("30bc", "pop {r4, r5}", 3),
    ("10bd", "pop {r4, pc}", 5),
    # jumps that are always taken
    ("dfe800f0", "tbb [pc, r0]", 6),
    ("7047", "bx lr", 3),
    ("9847", "blx r3", 3),
    ("8746", "mov pc, r0", 3),
    ("8744", "add pc, r0", 3),
    ("fee7", "b #0", 3),
    ("fff7feff", "bl #0", 3),
    # floating point
    ("30ee810a", "vadd.f32 s0, s1, s2", 1),
    ("00ee810a", "vmla.f32 s0, s1, s2", 3),
    ("80ee810a", "vdiv.f32 s0, s1, s2", 14),
    ("b1eee00a", "vsqrt.f32 s0, s1", 14),
    ("90ed000a", "vldr s0, [r0]", 2),
    ("2ded048a", "vpush {s16, s17, s18, s19}", 5),
    ("b0ec020a", "vldmia r0!, {s0, s1}", 3),
]


def disassembled(code: str) -> dict[int, Any]:
    """Instructions by address."""
    decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    decoder.detail = True
    return {insn.address: insn for insn in decoder.disasm(bytes.fromhex(code), 0)}


@pytest.mark.parametrize(("code", "text", "cycles"), CASES, ids=[text for _, text, _ in CASES])
def test_instruction(code: str, text: str, cycles: int) -> None:
    """Cycles of the last instruction of a snippet that runs 7 times; the snippet is what it says."""
    found = disassembled(code)
    assert " ; ".join(f"{i.mnemonic} {i.op_str}".strip() for i in found.values()) == text
    counts = dict.fromkeys(found, 7)
    assert cortex_m4.cycles_by_address(found.get, counts)[max(found)] == 7 * cycles


@pytest.mark.parametrize("code", ["fed1", "00b1"], ids=["bne", "cbz"])
@pytest.mark.parametrize(("behind", "cycles"), [(10, 10), (4, 10 + 6 * 2), (0, 30), (12, 10)])
def test_branch_is_taken_as_often_as_what_follows_was_not_run(code: str, behind: int, cycles: int) -> None:
    """A conditional branch, run 10 times: a cycle each, two more each time it was taken."""
    found = disassembled(code + "00bf")
    counts = {0: 10} | ({2: behind} if behind else {})
    assert cortex_m4.cycles_by_address(found.get, counts)[0] == cycles


def test_only_a_neighbour_that_ran_counts_as_before() -> None:
    """A load behind a load that did not run, or that does not stand right before it, is not pipelined."""
    found = disassembled("08681a68")
    assert cortex_m4.cycles_by_address(found.get, {2: 5}) == {2: 10}
    apart = {0: found[0], 4: disassembled("00bf00bf1a68")[4]}
    assert cortex_m4.cycles_by_address(apart.get, {0: 5, 4: 5}) == {0: 10, 4: 10}


def test_unknown_instruction_takes_the_default() -> None:
    """What cannot be disassembled takes one cycle."""
    assert cortex_m4.cycles_by_address(lambda address: None, {0: 3}) == {0: 3}


def test_each_mnemonic_has_one_rule() -> None:
    """No mnemonic stands in two rules, and no rule asks for what it cannot have."""
    table = cortex_m4.model()
    rules = {id(rule): rule for rule in table.rules.values()}.values()
    assert sum(len(rule.mnemonics) for rule in rules) == len(table.rules)
    assert {rule.branch for rule in rules} == {"", "always", "taken"}
    assert all(rule.pipelined is None or rule.name == "load" for rule in rules)


def test_every_rule_is_tested() -> None:
    """Each rule of the table has a case here."""
    words = [part.split()[0] for _, text, _ in CASES for part in text.split(" ; ")]
    named = {re.sub(r"(eq|ne)$", "", word.split(".")[0]) for word in words}
    untested = {rule.name for rule in cortex_m4.model().rules.values() if not named & set(rule.mnemonics)}
    assert not untested


def test_documentation_shows_the_table() -> None:
    """docs/profile.md has a row for each rule, with its mnemonics and cycles."""
    text = (Path(__file__).parents[2] / "docs" / "profile.md").read_text(encoding="utf-8")
    for rule in cortex_m4.model().rules.values():
        names = ", ".join(mnemonic.upper() for mnemonic in rule.mnemonics)
        row = next((line for line in text.splitlines() if line.startswith(f"| {names} |")), None)
        assert row is not None, names
        assert re.search(rf"\b{rule.cycles}\b", row), row
