"""`verify`: every layer of a board's build against TFLite's reference kernels."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt

from mcuprune.check.accuracy import accuracy, predictions
from mcuprune.check.compare import FirstDifference, Progress, Reference, compare
from mcuprune.check.own import OwnReference
from mcuprune.check.session import Opener, SessionOptions, session
from mcuprune.inputs import Bytes, class_count
from mcuprune.ir.graph import DType, Graph, Op, file_layers, kept_channels
from mcuprune.tflite.mending import mend
from mcuprune.tflite.reference import ReferenceInterpreter
from mcuprune.tflite.schema import read_file

ReferenceFactory = Callable[[Path, Graph], AbstractContextManager[Reference]]


def litert(model_path: Path, graph: Graph) -> AbstractContextManager[Reference]:
    """The reference for a model: the layers that the board has, cut to their channels.

    Where LiteRT does not run an operator, the interpreter takes its place.
    """
    if lacks_reference(graph):
        return OwnReference(graph)
    content = read_file(model_path)
    if graph.notes:
        content = mended(content, graph)
    return ReferenceInterpreter(content, model_path.name, file_layers(graph), kept_channels(graph), graph.subgraph)


def mended(content: bytes, graph: Graph) -> bytes:
    """A file that was read although LiteRT refuses it, as LiteRT loads it."""
    axes = {tensor.index: tensor.quant.axis or 0 for tensor in graph.tensors if tensor.quant is not None}
    return mend(content, graph.source, axes, graph.subgraph)


def lacks_reference(graph: Graph) -> bool:
    """Whether LiteRT has no kernel for some operator: LSTM on int16."""
    return any(op.kind == "UNIDIRECTIONAL_SEQUENCE_LSTM" and _on_int16(graph, op) for op in graph.ops)


def _on_int16(graph: Graph, op: Op) -> bool:
    return graph.tensors[op.inputs[0]].dtype is DType.INT16


@dataclass(frozen=True, slots=True)
class LayerResult:
    """One operator: equal in all samples or not."""

    index: int
    op: str
    name: str
    equal: bool

    def to_json(self) -> dict[str, Any]:
        return {"index": self.index, "op": self.op, "name": self.name, "equal": self.equal}


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What verify found over `inputs` samples. equal: outputs and all layers.

    board: uint8 (inputs, output_bytes), what the board gave.
    """

    equal: bool
    inputs: int
    layers: tuple[LayerResult, ...]
    first_difference: FirstDifference | None
    seconds: float
    board: Bytes = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Equal results give equal objects: times are left out."""
        return {
            "equal": self.equal,
            "inputs": self.inputs,
            "layers": [layer.to_json() for layer in self.layers],
            "first_difference": self.first_difference and self.first_difference.to_json(),
        }


def verify(
    graph: Graph,
    model_path: Path,
    opener: Opener,
    rows: Bytes,
    *,
    sequence: int = 1,
    options: SessionOptions | None = None,
    streamed: frozenset[int] = frozenset(),
    progress: Progress | None = None,
    reference: ReferenceFactory = litert,
) -> VerifyResult:
    """Compare every layer of every sample.

    Args:
        graph: the model as it was generated; layers are compared on the channels that passes left.
        model_path: the `.tflite` that graph was read from.
        rows: uint8 (n, input_bytes).
        sequence: so many calls in a row keep the model's state.
        streamed: layers that the board makes some rows at a time.
    """
    with (
        reference(model_path, graph) as expected,
        session(opener, graph, options or SessionOptions()) as client,
    ):
        found = compare(
            client, expected, graph, rows, layers=True, sequence=sequence, streamed=streamed, progress=progress
        )
    layers = layer_results(graph, found.layer_equal or ())
    return VerifyResult(found.equal, len(rows), layers, found.first_difference, found.seconds, found.board)


def correct(graph: Graph, board: Bytes, labels: npt.NDArray[Any]) -> int | None:
    """How many outputs (n, output_bytes) choose their label; None where the first output is not a score a class."""
    output = graph.tensor(graph.outputs[0])
    if output.size != class_count(graph):
        return None
    chosen = predictions(board[: len(labels), : output.nbytes], output)
    return accuracy(chosen, labels).correct


def layer_results(graph: Graph, equal: tuple[bool, ...]) -> tuple[LayerResult, ...]:
    """The operators with their verdicts."""
    return tuple(LayerResult(op.index, op.kind, op.name, same) for op, same in zip(graph.ops, equal, strict=True))
