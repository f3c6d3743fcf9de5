"""Models with variables, built by the schema's object API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s

from tests.tflite_builder import Builder


class StateBuilder(Builder):
    """A model with variables, further subgraphs, and signatures; see Builder."""

    def __init__(self) -> None:
        super().__init__()
        self.initial: dict[str, np.ndarray] = {}
        self.handles: dict[str, int] = {}

    def _handle(self, name: str) -> int:
        index = self.tensor((), np.int32, name=f"handle of {name}")
        self.graph.tensors[index].type = s.TensorType.RESOURCE
        options = s.VarHandleOptionsT()
        options.container, options.sharedName = b"", name.encode()
        return self.op("VAR_HANDLE", [], [index], options)

    def variable(self, name: str, initial: np.ndarray | None) -> None:
        """A variable; initial None: it has no first value."""
        self.handles[name] = self._handle(name)
        if initial is not None:
            self.initial[name] = initial

    def read(self, name: str, like: int) -> int:
        """READ_VARIABLE, of a tensor's shape, type and quantization."""
        source = self.graph.tensors[like]
        out = self.tensor(self.shape(like), np.int8)
        self.graph.tensors[out].type = source.type
        self.graph.tensors[out].quantization = source.quantization
        return self.op("READ_VARIABLE", [self.handles[name]], [out], s.ReadVariableOptionsT())

    def assign(self, name: str, value: int) -> None:
        """ASSIGN_VARIABLE."""
        self.op("ASSIGN_VARIABLE", [self.handles[name], value], [], s.AssignVariableOptionsT())

    def subgraph(self, name: str) -> Any:
        """Begin another subgraph; what follows goes there. Returns the one before."""
        before, self.graph = self.graph, s.SubGraphT()
        self.graph.name = name.encode()
        self.graph.tensors, self.graph.operators, self.graph.inputs, self.graph.outputs = [], [], [], []
        self.model.subgraphs.append(self.graph)
        return before

    def call_once(self) -> None:
        """CALL_ONCE, first of the operators, and the subgraph that gives the variables their first values."""
        number = len(self.model.subgraphs)
        options = s.CallOnceOptionsT()
        options.initSubgraphIndex = number
        self.op("CALL_ONCE", [], [], options)
        self.graph.operators.insert(0, self.graph.operators.pop())
        before = self.subgraph("init")
        for name, value in self.initial.items():
            handle = self._handle(name)
            data = self.tensor(value.shape, value.dtype, 0.1, data=value)
            self.op("ASSIGN_VARIABLE", [handle, data], [], s.AssignVariableOptionsT())
        self.graph = before

    def signature(self, key: str, subgraph: int, inputs: dict[str, int], outputs: dict[str, int]) -> None:
        """A name for a subgraph's function."""
        entry = s.SignatureDefT()
        entry.signatureKey, entry.subgraphIndex = key.encode(), subgraph
        entry.inputs, entry.outputs = (_maps(names) for names in (inputs, outputs))
        self.model.signatureDefs = [*(self.model.signatureDefs or []), entry]

    def pack(self) -> bytes:
        """Bytes of the model, outputs as they are."""
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def build(self, outputs: Sequence[int]) -> bytes:
        self.graph.outputs = list(outputs)
        return self.pack()


def _maps(names: dict[str, int]) -> list[Any]:
    found = []
    for name, tensor in names.items():
        entry = s.TensorMapT()
        entry.name, entry.tensorIndex = name.encode(), tensor
        found.append(entry)
    return found


def delay_line(samples: int = 4, initial: int = 3) -> bytes:
    """A streaming convolution: keeps the last samples - 1 rows of 3 values, and a running sum of its outputs."""
    rng = np.random.default_rng(samples)
    model = StateBuilder()
    x = model.input((1, 1, 1, 3), 0.1, 2)
    window = model.tensor((1, samples - 1, 1, 3), np.int8, 0.1, 2)
    total = model.tensor((1, 1, 1, 2), np.int8, 0.2, -4)
    model.variable("window", np.full((1, samples - 1, 1, 3), initial, np.int8))
    model.variable("sum", np.array([[[[5, -7]]]], np.int8))
    model.call_once()
    old = model.read("window", window)
    padded = model.pad(old, [(0, 0), (0, 1), (0, 0), (0, 0)])
    placed = model.pad(x, [(0, 0), (samples - 1, 0), (0, 0), (0, 0)])
    joined = model.add(padded, placed, 0.1, 2)
    y = model.conv_2d(
        joined,
        rng.integers(-9, 10, (2, samples, 1, 3)).astype(np.int8),
        np.array([30, -50], np.int32),
        scale=0.2,
        zero_point=-4,
        padding=1,
    )
    shifted = model.conv_2d(
        joined,
        _shift(3),
        np.zeros(3, np.int32),
        weight_scales=1 / 127,
        scale=0.1,
        zero_point=2,
        padding=1,
        stride=(1, 1),
    )
    model.assign("window", shifted)
    summed = model.add(model.read("sum", total), y, 0.2, -4)
    model.assign("sum", summed)
    again = model.read("sum", total)
    return model.build([y, model.relu(again, 0.2, -4)])


def _shift(channels: int) -> np.ndarray:
    """Weights of a convolution over two rows that gives the second one."""
    weights = np.zeros((channels, 2, 1, channels), np.int8)
    weights[np.arange(channels), 1, 0, np.arange(channels)] = 127
    return weights
