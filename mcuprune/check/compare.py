"""Board against reference, byte by byte: outputs of every sample, layers by CRC, and the first place that differs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mcuprune.errors import CheckError
from mcuprune.inputs import Bytes, as_tensors
from mcuprune.ir.graph import Graph, Op, Tensor, file_layers
from mcuprune.link.client import LinkClient
from mcuprune.tflite.reference import Reply

Array = npt.NDArray[Any]
UNKNOWN = "unknown"
"""In place of values that the board does not hold."""
Progress = Callable[[int, int], None]
"""Called with samples done and samples in all."""


class Reference(Protocol):
    """What is asked of tflite.reference.ReferenceInterpreter; its layers are cut to the channels that the board has."""

    def stream(self, samples: Iterable[Sequence[Array]], want: str = ..., sequence: int = ...) -> Iterator[Reply]: ...

    def run_layers(self, inputs: Sequence[Array], earlier: Sequence[Sequence[Array]] = ...) -> dict[int, Array]: ...

    def layer_crcs(self, inputs: Sequence[Array], earlier: Sequence[Sequence[Array]] = ...) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class FirstDifference:
    """The first sample, and in it the first layer, where board and reference differ.

    layer: index of the operator; element: first differing position of its output (as the board has it, without channels
    that passes took), row-major; different: how many of its
    `size` elements differ. repeated is False where a second run of the sample did not differ any more: expected and got
    are then of the model's output in the first run. They are "unknown" where only a CRC tells.
    """

    sample: int
    layer: int
    op: str
    name: str
    element: int
    expected: int | float | str
    got: int | float | str
    different: int
    size: int
    repeated: bool = True

    def __str__(self) -> str:
        where = f"first difference: sample {self.sample}, layer {self.layer} {self.name}"
        if self.expected == UNKNOWN and self.repeated:
            return f"{where}, which is made some rows at a time: with --no-strips its elements can be shown"
        return (
            f"{where}, element {self.element}: "
            f"expected {self.expected}, got {self.got} ({self.different} of {self.size} elements differ)"
        )

    def to_json(self) -> dict[str, Any]:
        return {field: getattr(self, field) for field in self.__slots__}


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Every sample's outputs from both sides.

    board, reference: uint8 (n, output_bytes); ticks: int64 (n,); layer_equal: for each operator whether its CRC was
    equal in all samples, None where layers were not compared.
    """

    board: Bytes
    reference: Bytes
    ticks: npt.NDArray[np.int64]
    layer_equal: tuple[bool, ...] | None
    first_difference: FirstDifference | None
    seconds: float

    @property
    def bit_exact(self) -> int:
        """Samples whose every output byte is equal."""
        return int((self.board == self.reference).all(axis=1).sum())

    @property
    def equal(self) -> bool:
        """Every output byte, and every layer that was compared."""
        return self.bit_exact == len(self.board) and all(self.layer_equal or ())


def compare(
    client: LinkClient,
    reference: Reference,
    graph: Graph,
    rows: Bytes,
    *,
    layers: bool = False,
    sequence: int = 1,
    streamed: frozenset[int] = frozenset(),
    progress: Progress | None = None,
) -> Comparison:
    """Run all samples on both sides; the reference works ahead in its own process while the board computes.

    Args:
        rows: uint8 (n, input_bytes), from encode_inputs() or random_inputs().
        layers: compare every layer, too, by CRC-32 of its output.
        sequence: calls in a row that keep the model's state; both sides reset it before each such row of calls.
        streamed: layers that the board makes some rows at a time: their CRC is known, their bytes cannot be fetched.
    """
    board = np.empty((len(rows), _output_bytes(graph)), np.uint8)
    expected = np.empty_like(board)
    ticks = np.zeros(len(rows), np.int64)
    layer_equal = np.ones(len(graph.ops), bool)
    first: tuple[int, int | None] | None = None  # sample, layer where known
    begin = time.monotonic()
    want = "outputs+crcs" if layers else "outputs"
    replies = reference.stream((as_tensors(row, graph) for row in rows), want, sequence)
    for sample, reply in enumerate(replies):
        result = client.infer(rows[sample].tobytes(), layers=layers, keep_state=sample % sequence > 0)
        board[sample] = np.frombuffer(result.output, np.uint8)
        expected[sample] = _flat_bytes(reply.outputs)
        ticks[sample] = result.ticks
        layer = None
        if layers:
            same = _same_crcs(result.layer_crcs or (), reply.crcs, graph)
            layer_equal &= same
            layer = None if same.all() else int(np.argmin(same))
        if first is None and (layer is not None or (board[sample] != expected[sample]).any()):
            first = sample, layer
        if progress is not None:
            progress(sample + 1, len(rows))
    seconds = time.monotonic() - begin
    difference = None
    if first is not None:
        sample, layer = first
        calls = rows[sample - sample % sequence : sample + 1]
        difference = _locate(client, reference, graph, calls, sample, layer, streamed)
        difference = difference or _output_difference(graph, board[sample], expected[sample], sample, layer)
    return Comparison(board, expected, ticks, tuple(layer_equal.tolist()) if layers else None, difference, seconds)


def _output_bytes(graph: Graph) -> int:
    return sum(graph.tensor(index).nbytes for index in graph.outputs)


def _flat_bytes(arrays: Sequence[Array]) -> Bytes:
    return np.frombuffer(b"".join(array.tobytes() for array in arrays), np.uint8)


def _same_crcs(got: Sequence[int], expected: Sequence[int], graph: Graph) -> npt.NDArray[np.bool_]:
    if not len(got) == len(expected) == len(graph.ops):
        raise CheckError(
            f"the board has {len(got)} layers, the reference {len(expected)}, the model {len(graph.ops)}",
            where=graph.source,
            hint="generate, build and flash the model again with this version of mcuprune",
        )
    return np.equal(np.asarray(got, np.uint32), np.asarray(expected, np.uint32))


def _locate(
    client: LinkClient,
    reference: Reference,
    graph: Graph,
    calls: Bytes,
    sample: int,
    layer: int | None,
    streamed: frozenset[int],
) -> FirstDifference | None:
    """Run a sample again and fetch the layer that differs; None where nothing differs any more.

    calls: the sample, and before it those whose state it kept.
    """
    *earlier, data = (as_tensors(row, graph) for row in calls)
    row, kept = calls[-1].tobytes(), len(calls) > 1
    for number, before in enumerate(calls[:-1]):
        client.infer(before.tobytes(), keep_state=number > 0)
    again = layer is None
    if layer is None:
        crcs = client.infer(row, layers=True, keep_state=kept).layer_crcs or ()
        same = _same_crcs(crcs, reference.layer_crcs(data, earlier), graph)
        if same.all():
            return None
        layer = int(np.argmin(same))
    op = graph.ops[layer]
    tensor = graph.output_of(op)
    if layer in streamed:
        return _without_values(graph, sample, layer, repeated=True)
    client.infer(row, stop_layer=layer, keep_state=kept, again=again)
    got = np.frombuffer(client.read_layer(tensor.nbytes), np.uint8)
    expected = _flat_bytes([reference.run_layers(data, earlier)[file_layers(graph)[layer]]])
    return _difference(got, expected, tensor, op, sample, repeated=True)


def _output_difference(
    graph: Graph, got: Bytes, expected: Bytes, sample: int, layer: int | None
) -> FirstDifference | None:
    """The difference of a model's output that a second run did not show."""
    start = 0
    for index in graph.outputs:
        tensor = graph.tensor(index)
        part = slice(start, start + tensor.nbytes)
        start += tensor.nbytes
        for op in graph.ops:
            if index in op.outputs:
                found = _difference(got[part], expected[part], tensor, op, sample, repeated=False)
                if found is not None:
                    return found
    if layer is None:
        return None
    return _without_values(graph, sample, layer, repeated=False)  # its CRC differed once, the output did not


def _without_values(graph: Graph, sample: int, layer: int, *, repeated: bool) -> FirstDifference:
    """A difference of CRCs without values to show."""
    op = graph.ops[layer]
    size = graph.output_of(op).size
    return FirstDifference(sample, op.index, op.kind, op.name, 0, UNKNOWN, UNKNOWN, 0, size, repeated)


def _difference(
    got: Bytes, expected: Bytes, tensor: Tensor, op: Op, sample: int, *, repeated: bool
) -> FirstDifference | None:
    width = tensor.dtype.itemsize
    unequal = np.flatnonzero((got.reshape(-1, width) != expected.reshape(-1, width)).any(axis=1))
    if not unequal.size:
        return None
    at = int(unequal[0])
    values = [_value(side.view(tensor.dtype.numpy)[at]) for side in (expected, got)]
    return FirstDifference(
        sample, op.index, op.kind, op.name, at, values[0], values[1], int(unequal.size), tensor.size, repeated
    )


def _value(element: Any) -> int | float | str:
    """A JSON value: NaN and infinities as text."""
    value: int | float = element.item()
    return value if math.isfinite(value) else str(value)
