"""Measure what kernels cost and fit the cost table: `python -m mcuprune.profile.calibrate [GLOB ...]`.

Firmware for each core holds many layers, those of every kernel and encoding; one inference under the counting plugin
gives the executed instructions of each and, on a core with a timing model, its modelled cycles. Both repeat exactly.
The table is written to mcuprune/kernels/costs.toml. With globs (`*_dsp`), only kernels whose symbol matches one are
measured, and the others keep their figures.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from rich.console import Console

from mcuprune.boards import Board, load_board
from mcuprune.build.compile import compile_folder
from mcuprune.build.folder import open_folder
from mcuprune.emit.project import project_files, source_closure, write_project
from mcuprune.encodings import ENCODINGS
from mcuprune.kernels.catalog import CATALOG
from mcuprune.kernels.choose import Choice
from mcuprune.kernels.cost import features
from mcuprune.kernels.kernel import Kernel
from mcuprune.profile import cortex_m4
from mcuprune.profile.calibration import FAMILIES, Served, calibration_projects
from mcuprune.profile.counting import count_layers
from mcuprune.profile.image import Image
from mcuprune.resources import resource_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BOARDS = ("mps2-an385-m0", "mps2-an385", "mps2-an386", "mps3-an547")
TABLE = Path(__file__).parents[1] / "kernels" / "costs.toml"
_ROUNDS = 200  # of reweighting

HEAD = """\
# Costs of kernels, fitted to measurements on emulated boards: features() in cost.py says what each coefficient
# multiplies, for executed instructions and for modelled cycles. Made by `make calibrate`; do not edit.
# error: the largest relative error of a prediction; code: bytes of each source file that the kernel brings along.
"""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Layers of one kernel with one encoding on a core.

    cycles: modelled, of each layer; empty where the core has no model. code: bytes of code and tables by source file.
    """

    choices: tuple[Choice, ...]
    instructions: tuple[int, ...]
    cycles: tuple[int, ...]
    code: Mapping[str, int]


def measure(board: Board, served: Sequence[Served]) -> Iterator[tuple[Served, Measurement]]:
    """Build firmware, run it once in QEMU, and count each layer; kernels that run none of the layers are left out."""
    for project, users in calibration_projects(board, served):
        with tempfile.TemporaryDirectory(prefix="mcuprune-calibrate-") as scratch:
            path = Path(scratch) / "project"
            write_project(project_files(project), path)
            folder = open_folder(path)
            compile_folder(folder)
            image = Image(folder)
            size = sum(project.graph.tensor(i).nbytes for i in project.graph.inputs)
            row = np.random.default_rng(2).integers(0, 256, size).astype(np.uint8)
            counts, _ = count_layers(folder, image, row.tobytes())
            for user in dict.fromkeys(users):
                mine = [step for step, other in enumerate(users) if other == user]
                cycles = [cortex_m4.cycles_by_address(image.instruction, counts[i]) for i in mine]
                yield (
                    user,
                    Measurement(
                        tuple(project.choices[i] for i in mine),
                        tuple(sum(counts[i].values()) for i in mine),
                        tuple(sum(c.values()) for c in cycles) if board.core.name == cortex_m4.CORE else (),
                        _code(user[0], path / "build" / "traced" / "mcuprune"),
                    ),
                )


def _code(kernel: Kernel, objects: Path) -> dict[str, int]:
    """Code and tables of a kernel by source file (without folder and ending), from the object files."""
    found = {}
    for source in sorted(source_closure(resource_dir("firmware"), {kernel.source})):
        file = objects / Path(source).with_suffix(".o")
        if source.endswith(".c") and file.is_file():
            with file.open("rb") as stream:
                sections = [s for s in ELFFile(stream).iter_sections() if s["sh_flags"] & SH_FLAGS.SHF_ALLOC]
                found[file.stem] = sum(s["sh_size"] for s in sections)
    return found


def fit(choices: Sequence[Choice], counts: Sequence[int]) -> tuple[dict[str, float], float]:
    """Non-negative coefficients of the model's features, and the largest relative error of a prediction.

    The largest relative error is made small, by least squares whose weights grow where the error is large (Lawson's
    algorithm). Features that do not help get no coefficient.
    """
    table = []
    for choice in choices:
        assert choice.params is not None and choice.packed is not None and choice.kernel is not None
        table.append(features(choice.kernel, choice.params.geometry, choice.packed))
    matrix = np.array([list(row.values()) for row in table]) / np.array(counts, float)[:, None]
    kept = _different(matrix)
    names = [name for name, keep in zip(table[0], kept, strict=True) if keep]
    matrix = matrix[:, kept]
    weights = np.full(len(counts), 1 / len(counts))
    best, error = np.zeros(len(names)), np.inf
    for _ in range(_ROUNDS):
        solution = _non_negative(matrix, weights)
        off = np.abs(matrix @ solution - 1)
        if off.max() < error:
            best, error = solution, float(off.max())
        weights = weights * off
        if not weights.sum() > 0:
            break
        weights = weights / weights.sum() + 1e-9
    coefficients = {name: round(float(v), 4) for name, v in zip(names, best, strict=True) if v >= 5e-5}
    return coefficients, math.ceil(error * 1e4) / 1e4


def _different(matrix: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Columns that are not zero, and not the same as an earlier one but for a factor."""
    norms = np.linalg.norm(matrix, axis=0)
    kept: list[int] = []
    for i in np.flatnonzero(norms):
        if all(matrix[:, i] @ matrix[:, j] < (1 - 1e-12) * norms[i] * norms[j] for j in kept):
            kept.append(int(i))
    chosen = np.zeros(len(norms), np.bool_)
    chosen[kept] = True
    return chosen


def _non_negative(matrix: npt.NDArray[Any], weights: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Weighted least squares of matrix @ x = 1, no x negative.

    Source: Lawson, Hanson, Solving Least Squares Problems, chapter 23, algorithm NNLS.
    """
    root = np.sqrt(weights)
    norms = np.linalg.norm(matrix * root[:, None], axis=0)
    scaled = matrix * root[:, None] / norms  # columns of one size: their gradients compare
    x: npt.NDArray[Any] = np.zeros(matrix.shape[1])
    used = np.zeros(matrix.shape[1], np.bool_)
    for _ in range(10 * len(x)):
        gradient = np.where(used, -np.inf, scaled.T @ (root - scaled @ x))
        if gradient.max() <= 1e-10:
            break
        used[int(gradient.argmax())] = True
        while True:
            part = np.zeros(len(x))
            part[used] = np.linalg.lstsq(scaled[:, used], root, rcond=None)[0]
            low = used & (part <= 0)
            if not low.any():
                break
            step = (x[low] / (x[low] - part[low])).min()
            x = x + step * (part - x)
            used &= x > 1e-12
            x[~used] = 0.0
        x = part
    solution: npt.NDArray[Any] = x / norms
    return solution


def _kernels(board: Board) -> Iterator[tuple[str, Kernel, str]]:
    """Key in the table, kernel and encoding: all with weights that a board's core runs."""
    for kernel in CATALOG:
        if kernel.isa in board.core.isas and kernel.family in FAMILIES:
            served = [encoding.name for encoding in ENCODINGS.values() if kernel.serves(encoding)]
            for name in served:
                yield f"{kernel.symbol}:{name}" if len(served) > 1 else kernel.symbol, kernel, name


def _entry(found: Measurement) -> dict[str, Any]:
    """What the table holds of a kernel."""
    instructions, error = fit(found.choices, found.instructions)
    entry: dict[str, Any] = {"error": error, "code": dict(found.code), "instructions": instructions}
    if found.cycles:
        entry["cycles"], of_cycles = fit(found.choices, found.cycles)
        entry["error"] = max(error, of_cycles)
    return entry


def calibrate(board: Board, globs: Sequence[str], known: dict[str, Any], console: Console) -> dict[str, Any]:
    """The table of a board's core: measured where a glob matches the kernel's symbol, else as it is known."""
    keys = {(kernel, encoding): key for key, kernel, encoding in _kernels(board)}
    wanted = [served for served in keys if any(fnmatch(served[0].symbol, glob) for glob in globs)]
    table = {key: known[key] for served, key in keys.items() if served not in wanted and key in known}
    for served, found in measure(board, wanted):
        table[keys[served]] = _entry(found)
        console.print(f"{board.core.name} {keys[served]}: {table[keys[served]]}")
    return {key: table[key] for key in keys.values() if key in table}


def text_of(cores: dict[str, Any]) -> str:
    """The table as TOML."""
    lines = [HEAD]
    for core, kernels in cores.items():
        for key, entry in kernels.items():
            lines.append(f"[cores.{core}.{_quoted(key)}]")
            lines.append(f"error = {entry['error']:.4f}")
            for what in ("code", "instructions", "cycles"):
                if what in entry:
                    pairs = ", ".join(f"{name} = {value}" for name, value in entry[what].items())
                    lines.append(f"{what} = {{ {pairs} }}")
            lines.append("")
    return "\n".join(lines)


def _quoted(key: str) -> str:
    return f'"{key}"' if ":" in key else key


def main(globs: Sequence[str] = ()) -> None:
    """Measure, fit, write."""
    console = Console(stderr=True, soft_wrap=True)
    known = tomllib.loads(TABLE.read_text(encoding="utf-8"))["cores"] if globs else {}
    cores = {}
    for name in BOARDS:
        board = load_board(name)
        cores[board.core.name] = calibrate(board, globs or ("*",), known.get(board.core.name, {}), console)
    TABLE.write_text(text_of(cores), encoding="utf-8")
    console.print(f"written to {TABLE}")


if __name__ == "__main__":
    main(sys.argv[1:])
