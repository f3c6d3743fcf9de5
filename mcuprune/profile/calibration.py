"""Layers to measure kernels on: independent ones of several sizes and densities, each with an input of its own."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mcuprune.boards import Board
from mcuprune.emit.project import Project
from mcuprune.encodings import ENCODINGS, Rows
from mcuprune.errors import EncodingError
from mcuprune.ir.attributes import Activation, Attrs, ConvAttrs, FullyConnectedAttrs, Padding
from mcuprune.ir.graph import DType, Graph, Op, Quant, Tensor
from mcuprune.kernels.choose import Choice
from mcuprune.kernels.kernel import Kernel
from mcuprune.kernels.lowering import lower
from mcuprune.masks import NM, Block, Mask, Pattern, Unstructured, mask
from mcuprune.plan.arena import Plan
from mcuprune.plan.blocks import ALIGNMENT

MODEL = b"calibration"
DENSITIES = (0.05, 0.2, 0.5, 1.0)
# rows, columns, positions
POINTWISE = ((16, 24, 6), (40, 64, 25), (64, 64, 9), (24, 276, 10), (13, 257, 8), (64, 130, 65), (16, 8, 450))
WINDOWS = (
    (6, 4, 20),
    (9, 16, 12),
    (5, 30, 40),
    (20, 3, 8),
)  # side, input channels, output channels of 3x3 convolutions
FULLY_CONNECTED = ((12, 64), (12, 276), (128, 128), (64, 640))  # rows, cols
# height, width, channels, side of the window, stride
DEPTHWISE = (
    (13, 5, 64, 3, 1),
    (9, 9, 17, 3, 1),
    (25, 10, 24, 3, 2),
    (12, 12, 32, 3, 2),
    (3, 3, 128, 3, 1),
    (10, 8, 24, 5, 1),
    (11, 7, 16, 4, 2),
)
FAMILIES = ("conv2d_s8", "depthwise_conv2d_s8", "fully_connected_s8")
"""Families that have layers here: those with weights."""

Served = tuple[Kernel, str]
"""A kernel and the encoding of its weights."""


class _Layers:
    """A graph of independent layers."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []
        self.begin("")

    def begin(self, encoding: str) -> None:
        """The layers added from now on have zeros as this encoding likes them; always the same ones."""
        self.pattern = pattern_of(encoding)
        self.rng = np.random.default_rng(1)

    def add(
        self, kind: str, x: tuple[int, ...], w: tuple[int, ...], y: tuple[int, ...], density: float, attrs: Attrs
    ) -> None:
        """Add a layer; none where the pattern does not fit its weights."""
        rows = (self.rng.integers(1, 100, w) * self.rng.choice((-1, 1), w)).astype(np.int8).reshape(w[0], -1)
        kept = _mask(self.pattern, rows, density, self.rng)
        if kept is None:
            return
        source = self._tensor(x, DType.INT8, Quant((0.05,), (3,)))
        weights = self._tensor(w, DType.INT8, Quant((0.01,), (0,)), (rows * kept).astype(np.int8).reshape(w))
        bias = self._tensor((y[-1],), DType.INT32, None, np.zeros(y[-1], np.int32))
        out = self._tensor(y, DType.INT8, Quant((0.3,), (-5,)))
        self.ops.append(Op(len(self.ops), kind, f"op_{len(self.ops)}", (source, weights, bias), (out,), attrs))

    def _tensor(self, shape: tuple[int, ...], dtype: DType, quant: Quant | None, data: np.ndarray | None = None) -> int:
        self.tensors.append(Tensor(len(self.tensors), f"t{len(self.tensors)}", shape, dtype, quant, data))
        return len(self.tensors) - 1

    def graph(self) -> Graph:
        inputs = tuple(op.inputs[0] for op in self.ops)
        return Graph(tuple(self.tensors), tuple(self.ops), inputs, (), "", "calibration")


def _mask(pattern: Pattern, rows: Rows, density: float, rng: np.random.Generator) -> Mask | None:
    """Which weights stay: so many of them at random; of N:M that share of its groups."""
    if isinstance(pattern, NM):
        if rows.shape[1] % pattern.m:
            return None
        kept: Mask = mask(rng.random(rows.shape), pattern)
        kept &= mask(rng.random(rows.shape), Block(pattern.rows, pattern.m), 1 - density)
        return kept
    return mask(rng.random(rows.shape), pattern, 1 - density)


def pattern_of(encoding: str) -> Pattern:
    """The zeros that an encoding is made for, read from its name."""
    if found := re.fullmatch(r"block(\d+)x(\d+)", encoding):
        return Block(int(found[1]), int(found[2]))
    if found := re.fullmatch(r"nm(\d+)[x_](\d+)(?:x(\d+))?", encoding):
        return NM(int(found[1]), int(found[2]), int(found[3] or 1))
    return Unstructured()


def _convolutions(layers: _Layers) -> None:
    attrs = ConvAttrs((1, 1), (1, 1), Padding.SAME, Activation.NONE)
    for density in DENSITIES:
        for rows, cols, positions in POINTWISE:
            layers.add("CONV_2D", (1, positions, 1, cols), (rows, 1, 1, cols), (1, positions, 1, rows), density, attrs)
        for side, in_ch, rows in WINDOWS:
            size = (1, side, side)
            layers.add("CONV_2D", (*size, in_ch), (rows, 3, 3, in_ch), (*size, rows), density, attrs)


def _fully_connected(layers: _Layers) -> None:
    for density in DENSITIES:
        for rows, cols in FULLY_CONNECTED:
            attrs = FullyConnectedAttrs(Activation.NONE)
            layers.add("FULLY_CONNECTED", (1, cols), (rows, cols), (1, rows), density, attrs)


def _depthwise(layers: _Layers) -> None:
    for height, width, channels, side, stride in DEPTHWISE:
        attrs = ConvAttrs((stride, stride), (1, 1), Padding.SAME, Activation.NONE)
        out = (1, -(-height // stride), -(-width // stride), channels)
        layers.add("DEPTHWISE_CONV_2D", (1, height, width, channels), (1, side, side, channels), out, 1.0, attrs)


_MAKERS: dict[str, Callable[[_Layers], None]] = dict(
    zip(FAMILIES, (_convolutions, _depthwise, _fully_connected), strict=True)
)


def calibration_projects(board: Board, served: Sequence[Served]) -> list[tuple[Project, list[Served]]]:
    """Firmware that holds every layer that these kernels run, and by which of them each of its layers is run.

    There are as few projects as the board's memories allow.
    """
    found = []
    waiting = list(served)
    while waiting:
        layers = _Layers()
        choices: list[Choice] = []
        users: list[Served] = []
        while waiting:
            added = _choices(layers, *waiting[0])
            if choices and not _fit(board, layers, [*choices, *added]):
                break
            choices += added
            users += [waiting.pop(0)] * len(added)
        if choices:
            found.append((_project(board, layers, choices), users))
    return found


def _choices(layers: _Layers, kernel: Kernel, encoding: str) -> list[Choice]:
    """Add a family's layers; those that the kernel runs with the encoding."""
    begin = len(layers.ops)
    layers.begin(encoding)
    _MAKERS[kernel.family](layers)
    graph = layers.graph()
    choices = []
    for op in layers.ops[begin:]:
        params = lower(graph, op)
        assert params is not None
        if kernel.obstacle(params) is None:
            with contextlib.suppress(EncodingError):
                choices.append(Choice(op, params, kernel, kernel.pack(params, ENCODINGS[encoding]), encoding))
    return choices


def _fit(board: Board, layers: _Layers, choices: Sequence[Choice]) -> bool:
    """Whether the layers leave a quarter of the board's memories for all else. Inputs and outputs all live at once."""
    flash = sum(choice.flash_bytes for choice in choices)
    ram = sum(layers.tensors[t].nbytes for c in choices for t in (c.op.inputs[0], c.op.outputs[0]))
    return 4 * flash < 3 * board.flash.bytes and 4 * ram < 3 * board.ram.bytes


def _project(board: Board, layers: _Layers, choices: Sequence[Choice]) -> Project:
    graph = replace(
        layers.graph(),
        ops=tuple(choice.op for choice in choices),
        inputs=tuple(choice.op.inputs[0] for choice in choices),
        outputs=tuple(choice.op.outputs[0] for choice in choices),
        sha256=hashlib.sha256(MODEL).hexdigest(),
    )
    return Project("calibration", graph, MODEL, board, tuple(choices), _side_by_side(graph, choices), "speed")


def _side_by_side(graph: Graph, choices: Sequence[Choice]) -> Plan:
    """Inputs and outputs one after the other, and one workspace behind them: nothing is to be saved here."""
    offsets: dict[int, int] = {}
    end = 0
    for tensor in (*graph.inputs, *graph.outputs):
        offsets[tensor] = end
        end += -(-graph.tensors[tensor].nbytes // ALIGNMENT) * ALIGNMENT
    workspaces = {step: end for step, choice in enumerate(choices) if choice.workspace_bytes > 0}
    whole = end + max((choice.workspace_bytes for choice in choices), default=0)
    return Plan(offsets, workspaces, whole, whole, ())
