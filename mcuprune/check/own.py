"""The numpy interpreter in the place of LiteRT's, for models that LiteRT refuses."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy.typing as npt

from mcuprune.ir import interpreter
from mcuprune.ir.graph import Graph, file_layers
from mcuprune.tflite.reference import Reply

Array = npt.NDArray[Any]


class OwnReference:
    """What compare() asks of a reference; arguments and results as of ReferenceInterpreter."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def __enter__(self) -> OwnReference:
        return self

    def __exit__(self, *caught: object) -> None:
        pass

    def stream(
        self, samples: Iterable[Sequence[Array]], want: str = "outputs+crcs", sequence: int = 1
    ) -> Iterator[Reply]:
        """Replies to samples in their order; outputs and CRCs of layers, whatever is wanted."""
        state: Sequence[Array] = ()
        for number, sample in enumerate(samples):
            if number % sequence == 0:
                state = interpreter.initial_state(self._graph)
            results, state = interpreter.step(self._graph, sample, state)
            yield Reply(interpreter.outputs_of(self._graph, results), self._crcs(results))

    def run_layers(self, inputs: Sequence[Array], earlier: Sequence[Sequence[Array]] = ()) -> dict[int, Array]:
        """Every layer, by the file's tensor index."""
        results = self._results(inputs, earlier)
        return {i: results[op.outputs[0]] for i, op in zip(file_layers(self._graph), self._graph.ops, strict=True)}

    def layer_crcs(self, inputs: Sequence[Array], earlier: Sequence[Sequence[Array]] = ()) -> list[int]:
        """zlib.crc32 of every layer."""
        return self._crcs(self._results(inputs, earlier))

    def _results(self, inputs: Sequence[Array], earlier: Sequence[Sequence[Array]]) -> dict[int, Array]:
        state: Sequence[Array] = interpreter.initial_state(self._graph)
        for sample in earlier:
            _, state = interpreter.step(self._graph, sample, state)
        return interpreter.step(self._graph, inputs, state)[0]

    def _crcs(self, results: dict[int, Array]) -> list[int]:
        return [zlib.crc32(results[op.outputs[0]].tobytes()) for op in self._graph.ops]
