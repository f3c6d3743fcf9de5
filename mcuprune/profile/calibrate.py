"""Measure what kernels cost and fit the cost table: `python -m mcuprune.profile.calibrate`.

One firmware a core holds many layers, each with an input of its own; the layers before and after one are left out by
stopping the inference. Instructions are counted by SysTick under QEMU's -icount shift=0 (see flash/qemu.py), so the
figures are exact to 40 instructions and repeat. The table is written to mcuprune/kernels/costs.toml.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from rich.console import Console

from mcuprune.boards import load_board
from mcuprune.build.compile import compile_folder
from mcuprune.build.folder import open_folder
from mcuprune.emit.project import Project, project_files, write_project
from mcuprune.encodings import ENCODINGS
from mcuprune.flash.flash import flash
from mcuprune.flash.power import board_opener
from mcuprune.ir.graph import (
    Activation,
    Attrs,
    ConvAttrs,
    DType,
    FullyConnectedAttrs,
    Graph,
    Op,
    Padding,
    Quant,
    Tensor,
)
from mcuprune.kernels.choose import Choice, candidates
from mcuprune.kernels.cost import features
from mcuprune.kernels.lower import lower
from mcuprune.link import protocol
from mcuprune.link.client import LinkClient
from mcuprune.link.protocol import InferReply, Kind
from mcuprune.plan.arena import plan_arena

MODEL = b"calibration"
BOARDS = ("mps2-an385", "mps2-an386")
MATRICES = ((16, 24, 6), (40, 64, 25), (64, 64, 9), (24, 276, 10), (13, 257, 8), (64, 130, 65))  # rows, cols, positions
DENSITIES = (0.05, 0.2, 0.5, 1.0)


class _Layers:
    """A graph of independent layers."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(1)
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []
        self.inputs: list[int] = []

    def _tensor(self, shape: tuple[int, ...], dtype: DType, quant: Quant | None, data: np.ndarray | None = None) -> int:
        self.tensors.append(Tensor(len(self.tensors), f"t{len(self.tensors)}", shape, dtype, quant, data))
        return len(self.tensors) - 1

    def layer(
        self,
        kind: str,
        x: tuple[int, ...],
        w: tuple[int, ...],
        y: tuple[int, ...],
        density: float,
        block: tuple[int, int],
        attrs: Attrs,
    ) -> None:
        """Add a layer whose zeros come in blocks of that many rows and columns."""
        weights = self.rng.integers(1, 100, w).astype(np.int8)
        rows = weights.reshape(w[0], -1)
        coarse = self.rng.random([-(-n // b) for n, b in zip(rows.shape, block, strict=True)]) < density
        kept = np.kron(coarse, np.ones(block, bool))[: rows.shape[0], : rows.shape[1]]
        weights = (rows * kept).astype(np.int8).reshape(w)
        source = self._tensor(x, DType.INT8, Quant((0.05,), (3,)))
        self.inputs.append(source)
        taken = [source, self._tensor(w, DType.INT8, Quant((0.01,), (0,)), weights)]
        taken.append(self._tensor((w[0],), DType.INT32, None, np.zeros(w[0], np.int32)))
        out = self._tensor(y, DType.INT8, Quant((0.3,), (-5,)))
        self.ops.append(Op(len(self.ops), kind, f"op_{len(self.ops)}", tuple(taken), (out,), attrs))


def _matrices(layers: _Layers, block: tuple[int, int]) -> None:
    """Pointwise, 3x3 and fully-connected layers of several sizes and densities."""
    pointwise = ConvAttrs((1, 1), (1, 1), Padding.SAME, Activation.NONE)
    for density in DENSITIES:
        for rows, cols, positions in MATRICES:
            layers.layer(
                "CONV_2D",
                (1, positions, 1, cols),
                (rows, 1, 1, cols),
                (1, positions, 1, rows),
                density,
                block,
                pointwise,
            )
        for side, in_ch, rows in ((6, 4, 20), (9, 16, 12), (5, 30, 40)):
            layers.layer(
                "CONV_2D", (1, side, side, in_ch), (rows, 3, 3, in_ch), (1, side, side, rows), density, block, pointwise
            )
        for rows, cols in ((12, 64), (12, 276), (128, 128), (64, 640)):
            layers.layer(
                "FULLY_CONNECTED",
                (1, cols),
                (rows, cols),
                (1, rows),
                density,
                block,
                FullyConnectedAttrs(Activation.NONE),
            )


def _project(board_name: str, symbol: str, encoding: str) -> Project | None:
    """All layers that one kernel runs with one encoding."""
    board = load_board(board_name)
    layers = _Layers()
    shape = tuple(int(c) for c in encoding.removeprefix("block").split("x")) if encoding.startswith("block") else (1, 1)
    _matrices(layers, (shape[0], shape[1]))
    ops, choices = [], []
    graph = Graph(tuple(layers.tensors), tuple(layers.ops), tuple(layers.inputs), (), "", "calibration")
    for op in layers.ops:
        params = lower(graph, op)
        assert params is not None
        fitting = [c for c in candidates(op, params, board.core) if c.kernel and c.kernel.symbol == symbol]
        fitting = [c for c in fitting if c.encoding == encoding]
        if fitting:
            ops.append(op)
            choices.append(fitting[0])
    if not ops:
        return None
    kept = tuple(op.inputs[0] for op in ops)
    outputs = tuple(op.outputs[0] for op in ops)
    graph = replace(graph, ops=tuple(ops), inputs=kept, outputs=outputs, sha256=hashlib.sha256(MODEL).hexdigest())
    plan = plan_arena(graph, {i: c.workspace_bytes for i, c in enumerate(choices)})
    return Project("calibration", graph, MODEL, board, tuple(choices), plan, "speed")


def measure(project: Project) -> tuple[list[float], int]:
    """Executed instructions of each layer of a project on its emulated board, and the bytes of its kernel's code."""
    with tempfile.TemporaryDirectory(prefix="mcuprune-calibrate-") as scratch:
        path, state = Path(scratch) / "project", Path(scratch) / "state"
        write_project(project_files(project), path)
        folder = open_folder(path)
        compile_folder(folder)
        flash(folder, state=state)
        code = _code_bytes(path / "build" / "traced" / "mcuprune" / "kernels")
        ticks = []
        with LinkClient(board_opener(folder, state=state)()) as client:
            board = client.hello()
            client.infer(np.random.default_rng(2).integers(0, 256, board.input_bytes).astype(np.uint8).tobytes())
            for step in range(len(project.choices)):  # what the arena holds by now serves as input, too
                payload = protocol.infer_payload(step, 0, 0, b"")
                ticks.append(InferReply.unpack(client.request(Kind.INFER, payload), board.output_bytes).ticks)
    per_tick = 1e9 / project.board.clock_hz
    return [float(t) for t in np.diff(np.array([0, *ticks])) * per_tick], code


def _code_bytes(objects: Path) -> int:
    """Code and tables of the kernel's object files; im2col is left out, dense kernels have it anyway."""
    total = 0
    for path in objects.glob("*.o"):
        if path.stem != "im2col_s8":
            with path.open("rb") as stream:
                total += sum(
                    s["sh_size"] for s in ELFFile(stream).iter_sections() if s["sh_flags"] & SH_FLAGS.SHF_ALLOC
                )
    return total


def fit(choices: Sequence[Choice], counts: Sequence[float]) -> tuple[dict[str, float], float]:
    """Non-negative coefficients of the model's features, and the largest relative error of a prediction.

    Relative errors are minimised, features that do not help are dropped, so coefficients mean what they say.
    """
    table = []
    for choice in choices:
        assert choice.params is not None and choice.packed is not None and choice.kernel is not None
        table.append(features(choice.kernel, choice.params.geometry, choice.packed))
    names = [name for name in table[0] if any(row[name] for row in table)]
    matrix = np.array([[row[name] for name in names] for row in table])
    target = np.array(counts)
    scaled = matrix / target[:, None]
    active = list(range(len(names)))
    while True:
        solution, *_ = np.linalg.lstsq(scaled[:, active], np.ones(len(target)), rcond=None)
        negative = [i for i, value in zip(active, solution, strict=True) if value < 0]
        if not negative:
            break
        worst = min(negative, key=lambda i: solution[active.index(i)] * matrix[:, i].mean())
        active.remove(worst)
    error = float(np.abs(scaled[:, active] @ solution - 1).max())
    return {names[i]: round(float(v), 4) for i, v in zip(active, solution, strict=True)}, error


def _kernels() -> Iterator[tuple[str, str, str]]:
    """Board, symbol and encoding of every kernel with encoded weights that a board's core runs."""
    from mcuprune.kernels.catalog import CATALOG

    for board in BOARDS:
        isas = load_board(board).core.isas
        for kernel in CATALOG:
            if kernel.isa in isas and kernel.family in ("conv2d_s8", "fully_connected_s8"):
                for encoding in ENCODINGS.values():
                    if kernel.serves(encoding):
                        yield board, kernel.symbol, encoding.name


HEAD = """# Executed instructions of kernels, fitted to measurements on emulated boards: see features() in cost.py for
# what each coefficient multiplies. Made by `make calibrate`; do not edit.
# error: the largest relative error of a prediction; code_bytes: of the kernel, without what dense kernels need, too.
"""


def main() -> None:
    """Measure, fit, write."""
    console = Console(stderr=True)
    lines = [HEAD]
    target = Path(__file__).parents[1] / "kernels" / "costs.toml"
    for board, symbol, encoding in _kernels():
        project = _project(board, symbol, encoding)
        if project is None:
            continue
        counts, code = measure(project)
        coefficients, error = fit(project.choices, counts)
        core = project.board.core.name
        key = f'"{symbol}:{encoding}"' if encoding.startswith("block") else symbol
        lines.append(f"[cores.{core}.{key}]")
        lines += [f"error = {error:.4f}", f"code_bytes = {code}"]
        lines.append(f"instructions = {{ {', '.join(f'{name} = {value}' for name, value in coefficients.items())} }}")
        lines.append("")
        console.print(f"{core} {symbol} {encoding}: {coefficients}, error {error:.1%}")
    target.write_text("\n".join(lines), encoding="utf-8")
    console.print(f"written to {target}")


if __name__ == "__main__":
    main()
