"""The verb `generate`: from a model file to the files of a generated folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcuprune.boards import Board
from mcuprune.emit.c_text import is_identifier, name_fault
from mcuprune.emit.project import Project, project_files
from mcuprune.encodings import ENCODINGS
from mcuprune.errors import FitError, McupruneError, UsageError
from mcuprune.importers.tflite import import_tflite
from mcuprune.ir.graph import Graph
from mcuprune.ir.select import select_ops
from mcuprune.kernels.budget import OBJECTIVE as WITHIN
from mcuprune.kernels.budget import choose_weighed, choose_within
from mcuprune.kernels.choose import choose_fast
from mcuprune.kernels.lowering import lower
from mcuprune.passes.passes import PASSES, changes, run_passes
from mcuprune.plan.budget import fit_ordered
from mcuprune.plan.memory import PRICE
from mcuprune.plan.state import state_bytes

OBJECTIVES = ("balanced", "speed", "flash")


@dataclass(frozen=True, slots=True, eq=False)
class Generated:
    """A planned project and its files by relative path."""

    project: Project
    files: dict[str, bytes]


def plan_project(
    model: Path,
    graph: Graph,
    board: Board,
    *,
    name: str | None = None,
    optimize: str = "balanced",
    max_flash: int | None = None,
    encodings: Sequence[str] = (),
    passes: Sequence[str] = tuple(PASSES),
    strips: bool = True,
    max_ram: int | None = None,
) -> Project:
    """Rewrite the graph, choose kernels and encodings for each layer, order the operators and place the buffers.

    Args:
        max_flash: bytes of weights, parameters and kernels' code; the fastest that fits, in place of `optimize`.
        strips: whether pairs of layers may run by turns.
        max_ram: bytes that the arena may take; what the board has room for, where less.
    """
    whole, graph = graph, run_passes(graph, passes)
    forced = forced_encodings(graph, encodings)
    budget = None
    with _placed(graph):
        layers = [(op, lower(graph, op)) for op in graph.ops]
        if max_flash is None and optimize == "speed":
            choices = choose_fast(layers, board.core, forced)
        elif max_flash is None:
            choices = choose_weighed(layers, board.core, forced, optimize)
        else:
            optimize = WITHIN
            choices, budget = choose_within(layers, board.core, max_flash, forced, graph.source)
    room = board.ram.bytes - board.stack_bytes - 2 * state_bytes(graph)  # the checking firmware has a copy
    most = room if max_ram is None else min(room, max_ram)
    price = PRICE[optimize] if strips else None
    graph, choices, memory = fit_ordered(
        graph, choices, board.core.name, most, price=price, forced=forced, grow_flash=max_flash is None
    )
    return Project(
        name or default_name(model),
        graph,
        model.read_bytes(),
        board,
        choices,
        memory.plan,
        optimize,
        tuple(name for name in PASSES if name in passes),
        changes(whole, graph),
        budget,
        memory.strips,
    )


@contextlib.contextmanager
def _placed(graph: Graph) -> Iterator[None]:
    """Errors about an operator say of which file it is."""
    try:
        yield
    except McupruneError as error:
        if error.where is not None and error.where.startswith("op "):
            error.where = graph.within(error.where)
        raise


def forced_encodings(graph: Graph, assignments: Sequence[str]) -> dict[int, str]:
    """`LAYER=NAME` texts as encoding by index of the operator; the last match wins.

    Raises:
        UsageError: no such layer or encoding.
    """
    forced: dict[int, str] = {}
    for text in assignments:
        layer, equals, encoding = text.rpartition("=")
        if not equals or encoding not in ENCODINGS:
            raise UsageError(
                f"--encoding {text!r} is not LAYER=NAME with a known encoding", hint=f"names: {', '.join(ENCODINGS)}"
            )
        forced |= {op.index: encoding for op in select_ops(graph, layer)}
    return forced


def generate(
    model: Path,
    board: Board,
    *,
    name: str | None = None,
    optimize: str = "balanced",
    max_flash: int | None = None,
    encodings: Sequence[str] = (),
    passes: Sequence[str] = tuple(PASSES),
    strips: bool = True,
    max_ram: int | None = None,
    signature: str | None = None,
) -> Generated:
    """Read a model, choose, plan, and render; nothing is written.

    Args:
        max_flash: see plan_project().
        encodings: `LAYER=NAME` texts that force an encoding.
        passes: names of the rewrites that run after import.
        strips: whether pairs of layers may run by turns, some rows at a time, to make the arena smaller.
        max_ram: bytes that the arena may take.
        signature: see import_tflite().
    Raises:
        ModelError: the model is broken or unsupported.
        FitError: activations alone, or weights alone, are larger than the board's memory; or nothing fits max_flash or
            max_ram.
        UsageError: `name` cannot name a model in C.
    """
    fault = name_fault(name) if name is not None else None
    if fault is not None:
        raise UsageError(
            f"--name {name!r} cannot name a model in C: {fault}", hint=f"--name {default_name(Path(str(name)))}"
        )
    graph = import_tflite(model, signature)
    project = plan_project(
        model,
        graph,
        board,
        name=name,
        optimize=optimize,
        max_flash=max_flash,
        encodings=encodings,
        passes=passes,
        strips=strips,
        max_ram=max_ram,
    )
    _check_fit(project, max_ram)
    return Generated(project, project_files(project))


def default_name(model: Path) -> str:
    """The model file's stem as a C identifier."""
    name = "".join(c if c.isascii() and c.isalnum() else "_" for c in model.name.partition(".")[0]).lower()
    name = name.strip("_") or "model"
    return name if is_identifier(name) else f"model_{name}"


def _check_fit(project: Project, max_ram: int | None) -> None:
    board = project.board
    weights = sum(choice.flash_bytes for choice in project.choices)
    smallest = sum(choice.smallest_flash_bytes for choice in project.choices)
    if weights > board.flash.bytes:
        fits = smallest <= board.flash.bytes and project.objective != "flash"
        raise FitError(
            f"the weights take {weights} bytes, {weights - board.flash.bytes} more than the {board.flash.bytes} "
            f"bytes of flash on {board.name}",
            where=project.graph.source,
            hint=f"--optimize flash: {smallest} bytes"
            if fits
            else "prune the model further, or take a board with more flash",
        )
    if max_ram is not None and project.plan.arena_bytes > max_ram:
        steps = sorted(step for step in project.plan.peak_steps if 0 <= step < len(project.choices))
        over = project.plan.arena_bytes - max_ram
        raise FitError(
            f"the arena takes {project.plan.arena_bytes} bytes, {over} more than --max-ram {max_ram}; "
            f"all of it is in use in {', '.join(project.choices[step].op.name for step in steps)}",
            where=project.graph.source,
            hint=f"--max-ram {project.plan.arena_bytes} fits",
        )
    kept = 2 * project.plan.state.size
    need = project.plan.arena_bytes + board.stack_bytes + kept
    if need > board.ram.bytes:
        parts = f"{project.plan.arena_bytes} + {board.stack_bytes}" + (f" + {kept}" if kept else "")
        raise FitError(
            f"arena{', stack and twice the state' if kept else ' and stack'} take {parts} bytes, "
            f"{need - board.ram.bytes} more than the {board.ram.bytes} bytes of RAM on {board.name}",
            where=project.graph.source,
            hint="a smaller model, or a board with more RAM",
        )
