"""The results as Markdown and JSON. Figures only: no dates, no paths; equal code gives equal files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mcuprune.bench.cases import BOARDS, GOALS, MODELS, Goal, Model, Row
from mcuprune.bench.run import Measured
from mcuprune.boards import load_board
from mcuprune.profile.result import Profile


@dataclass(frozen=True, slots=True)
class Setting:
    """What the figures were made with. baseline: name and commit of it; "" where there was none."""

    command: str
    commit: str
    version: str
    qemu: str
    baseline: str


def dense_of(found: Sequence[Measured], one: Measured) -> Profile | None:
    """Our own dense figures of the same model and board."""
    case = one.case
    same = (m.profile for m in found if (m.case.model, m.case.board) == (case.model, case.board) and m.case.row.own)
    return next(same, None)


def to_json(found: Sequence[Measured], setting: Setting) -> dict[str, Any]:
    """docs/benchmarks.json."""
    return {
        "about": "One inference each, counted in QEMU; cycles are modelled for the Cortex-M4: docs/profile.md.",
        "command": setting.command,
        "commit": setting.commit,
        "mcuprune": setting.version,
        "compiler": _compilers(found),
        "flags": {board: " ".join((*load_board(board).core.flags, "-O3")) for board in _boards(found)},
        "qemu": setting.qemu,
        "baseline": setting.baseline or None,
        "rows": [_row(found, one) for one in found],
    }


def _row(found: Sequence[Measured], one: Measured) -> dict[str, Any]:
    case, profile, dense = one.case, one.profile, dense_of(found, one)
    return {
        "model": case.model.key,
        "board": case.board,
        "core": profile.core,
        "row": case.row.key,
        "pruned": case.row.about(),
        "optimize": case.row.optimize,
        "macs": profile.macs,
        "nnz_macs": profile.nnz_macs,
        "instructions": profile.instructions,
        "modelled_cycles": profile.total_cycles,
        "against": {"instructions_ratio": _against(profile, 0), "cycles_ratio": _against(profile, 1)},
        "against_dense": {
            "instructions_ratio": _ratio(dense.instructions if dense else None, profile.instructions),
            "cycles_ratio": _ratio(dense.total_cycles if dense else None, profile.total_cycles),
        },
        "pointwise_flash_bytes": one.pointwise_flash_bytes,
        "weight_flash_bytes": profile.memory.weight_flash_bytes,
        "code_bytes": profile.memory.code_bytes,
        "arena_bytes": profile.memory.arena_bytes,
        "stream_bytes": profile.stream_bytes,
        "bound_bytes": profile.bound_bytes,
        "layers": [
            {
                "index": layer.index,
                "name": layer.name,
                "kernel": layer.kernel,
                "encoding": layer.encoding,
                "instructions": layer.instructions,
                "modelled_cycles": layer.cycles,
                "flash_bytes": layer.flash_bytes,
            }
            for layer in profile.layers
        ],
    }


def _against(profile: Profile, which: int) -> float | None:
    """Times the baseline's instructions (0) or cycles (1), of the layers that it has."""
    if profile.baseline is None:
        return None
    theirs = (profile.baseline.instructions, profile.baseline.cycles)[which]
    return _ratio(theirs, profile.compared()[which])


def _ratio(over: int | None, under: int | None) -> float | None:
    return round(over / under, 4) if over and under else None


def _compilers(found: Sequence[Measured]) -> str:
    return ", ".join(dict.fromkeys(one.compiler for one in found))


def _boards(found: Sequence[Measured]) -> list[str]:
    return [board for board in BOARDS if any(one.case.board == board for one in found)]


def to_markdown(found: Sequence[Measured], setting: Setting) -> str:
    """docs/benchmarks.md."""
    lines = [
        "# Benchmarks",
        "",
        f"Made by `{setting.command}` on commit {setting.commit} of mcuprune {setting.version}; {_compilers(found)}, "
        f"`-O3`, QEMU {setting.qemu}.",
        "[benchmarks.json](benchmarks.json) has every layer. Do not edit.",
        "",
        "One inference each on random input. **Instructions** are counted in QEMU; **cycles** are modelled for the",
        "Cortex-M4 ([profile.md](profile.md)), without flash wait states. Neither is measured on silicon; both repeat",
        "exactly.",
        "",
    ]
    if setting.baseline:
        lines += [
            f"*x CMSIS-NN* is how many times more {setting.baseline}, dense, takes for the same layers with the same",
            "compiler and flags; operators that only convert or move data are left out on both sides. *x dense* is",
            "beside our own kernels with every layer dense.",
            "",
        ]
    lines += [
        "*pointwise* is the flash of the 1x1 convolutions, *weights* of all layers: values, indices, row tables, bias,",
        "multiplier, shift. *code* is kernels and model code. Masks are those of `prune --one-shot`, without training:",
        "they say what a sparsity costs and gives, not what accuracy it has. kB are 1000 bytes.",
        "",
        "| board | core | compiled with |",
        "|---|---|---|",
    ]
    for board in _boards(found):
        core = load_board(board).core
        lines.append(f"| `{board}` | {core.name} | `{' '.join(core.flags)}` |")
    lines += ["", *_goals(found)]
    for model in MODELS:
        if any(one.case.model == model for one in found):
            lines += _model(found, model)
    lines += ["## How the rows are pruned", "", "| row | `prune --one-shot` | `generate` |", "|---|---|---|"]
    rows = list(dict.fromkeys(one.case.row for one in found))
    lines += [
        f"| {r.key} | {r.about() if r.own or not r.pattern else f'`{r.about()}`'} | {_optimize(r)} |" for r in rows
    ]
    lines += ["", "`CONV_1` is the first convolution; models without one have no such rule.", ""]
    return "\n".join(lines)


def _optimize(row: Row) -> str:
    return "`--encoding '*=dense' --no-passes`" if row.own else f"`--optimize {row.optimize}`"


def _model(found: Sequence[Measured], model: Model) -> list[str]:
    """A model's tables, one a board."""
    lines = [f"## {model.title}", ""]
    for board in _boards(found):
        mine = [one for one in found if one.case.model == model and one.case.board == board]
        if not mine:
            continue
        cycles = any(one.profile.total_cycles is not None for one in mine)
        head = ["", *(["M cycles", "x CMSIS-NN", "x dense"] if cycles else []), "M instr.", "x CMSIS-NN", "x dense"]
        head += ["pointwise kB", "weights kB", "code kB", "arena kB"]
        lines += [
            f"### {board}, {load_board(board).core.name}",
            "",
            _line(head),
            _line(["---", *["--:"] * (len(head) - 1)]),
        ]
        lines += [_line(_cells(found, one, cycles)) for one in mine]
        lines.append("")
    return lines


def _cells(found: Sequence[Measured], one: Measured, cycles: bool) -> list[str]:
    profile, dense, memory = one.profile, dense_of(found, one), one.profile.memory
    cells = [one.case.row.key]
    if cycles:
        ratio = _ratio(dense.total_cycles if dense else None, profile.total_cycles)
        cells += [_millions(profile.total_cycles), _times(_against(profile, 1)), _times(ratio)]
    ratio = _ratio(dense.instructions if dense else None, profile.instructions)
    cells += [_millions(profile.instructions), _times(_against(profile, 0)), _times(ratio)]
    pointwise = one.pointwise_flash_bytes
    cells.append(_kilo(pointwise) if pointwise else "-")
    return [*cells, *(_kilo(n) for n in (memory.weight_flash_bytes, memory.code_bytes, memory.arena_bytes))]


def _goals(found: Sequence[Measured]) -> list[str]:
    """Rows with goals: asked, reached."""
    by_key = {(one.case.model.key, one.case.board, one.case.row.key): one for one in found}
    rows = [(key, goal, by_key[key]) for key, goal in GOALS.items() if key in by_key]
    if not rows:
        return []
    head = [
        "model",
        "board",
        "row",
        "cycles: asked, aim, reached",
        "instructions: asked, reached",
        "flash kB: asked, reached",
        "arena kB: asked, aim, reached",
    ]
    lines = ["## Goals", "", "Ratios are to CMSIS-NN, dense; **bold** misses what was asked.", "", _line(head)]
    lines.append(_line(["---"] * len(head)))
    lines += [_line([*key, *_reached(goal, one)]) for key, goal, one in rows]
    return [*lines, ""]


def _reached(goal: Goal, one: Measured) -> list[str]:
    """A goal's cells."""
    profile = one.profile
    cycles = instructions = flash = arena = ""
    if goal.cycles is not None:
        got = _against(profile, 1)
        cycles = f"{goal.cycles[0]:g}x, {goal.cycles[1]:g}x, {_mark(_times(got), got is None or got >= goal.cycles[0])}"
    if goal.millions is not None and profile.total_cycles is not None:
        good = profile.total_cycles <= goal.millions[0] * 1e6
        cycles = (
            f"{goal.millions[0]:g} M, {goal.millions[1]:g} M, {_mark(_millions(profile.total_cycles) + ' M', good)}"
        )
    if goal.instructions is not None:
        got = _against(profile, 0)
        instructions = f"{goal.instructions:g}x, {_mark(_times(got), got is None or got >= goal.instructions)}"
    if goal.flash_bytes is not None:
        pointwise = goal.flash_of == "pointwise layers"
        size = one.pointwise_flash_bytes if pointwise else profile.memory.weight_flash_bytes
        flash = f"{goal.flash_bytes / 1000:g}, {_mark(_kilo(size), size <= goal.flash_bytes)} ({goal.flash_of})"
    if goal.code_bytes is not None:
        size = profile.memory.code_bytes
        code = f"{goal.code_bytes / 1000:g}, {_mark(_kilo(size), size <= goal.code_bytes)} (code)"
        flash = f"{flash}; {code}" if flash else code
    if goal.arena_bytes is not None:
        size, (most, aim) = profile.memory.arena_bytes, goal.arena_bytes
        arena = f"{most / 1000:g}, {aim / 1000:g}, {_mark(_kilo(size), size <= most)}"
    return [cycles, instructions, flash, arena]


def missed(found: Sequence[Measured]) -> list[str]:
    """Goals that were not reached, as text."""
    texts = []
    for one in found:
        goal = GOALS.get((one.case.model.key, one.case.board, one.case.row.key))
        for cell in _reached(goal, one) if goal is not None else ():
            if "**" in cell:
                texts.append(f"{one.case.key}: {cell}")
    return texts


def _mark(text: str, good: bool) -> str:
    return text if good else f"**{text}**"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _millions(value: int | None) -> str:
    return "-" if value is None else f"{value / 1e6:.2f}"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _kilo(size: int) -> str:
    return f"{size / 1000:.1f}"
