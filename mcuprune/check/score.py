"""`check`: a labelled data set on the board, scored, and held against the reference interpreter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mcuprune.check.accuracy import Accuracy, accuracy, confusion_matrix, predictions
from mcuprune.check.compare import Comparison, FirstDifference, Progress, compare
from mcuprune.check.session import Opener, SessionOptions, session
from mcuprune.check.verify import LayerResult, ReferenceFactory, layer_results, litert
from mcuprune.data import Dataset
from mcuprune.errors import DataError
from mcuprune.inputs import check_labels, class_count, encode_samples, output_number, output_rows
from mcuprune.ir.graph import Graph
from mcuprune.link.protocol import Counter, Hello, Stats


@dataclass(frozen=True, slots=True)
class Timing:
    """Ticks of one inference, and the whole run. counter says what a tick is; hz is 0 where nothing counts."""

    counter: Counter
    counter_hz: int
    median_ticks: int
    min_ticks: int
    max_ticks: int
    seconds: float
    samples: int
    includes_layer_crcs: bool = False  # the ticks hold the CRC of every layer, which no user's firmware takes

    @property
    def samples_per_s(self) -> float:
        return self.samples / self.seconds if self.seconds > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "counter": self.counter.name.lower(),
            "counter_hz": self.counter_hz,
            "median_ticks": self.median_ticks,
            "min_ticks": self.min_ticks,
            "max_ticks": self.max_ticks,
            "seconds": round(self.seconds, 3),
            "samples_per_s": round(self.samples_per_s, 1),
            "includes_layer_crcs": self.includes_layer_crcs,
        }


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What check found.

    agreement: samples in which board and reference choose the same class; bit_exact: samples whose every output byte is
    equal; confusion: rows are labels, columns the board's choice; notes: what was done to the data.
    """

    board: Accuracy
    reference: Accuracy
    agreement: int
    bit_exact: int
    first_difference: FirstDifference | None
    confusion: tuple[tuple[int, ...], ...]
    class_names: tuple[str, ...]
    layers: tuple[LayerResult, ...] | None
    hello: Hello
    stats: Stats
    timing: Timing
    notes: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Every output byte, and every layer where they were compared."""
        return self.first_difference is None

    def faults(self, min_accuracy: float | None = None) -> tuple[str, ...]:
        """Why the check fails; empty where it passes."""
        found = []
        if self.first_difference is not None:
            samples = self.board.samples
            found.append(f"{samples - self.bit_exact} of {samples} outputs differ from the reference")
            if self.bit_exact == samples:
                found[-1] = "a layer differs from the reference"
        if min_accuracy is not None and self.board.value < min_accuracy:
            found.append(f"accuracy {self.board.value:.4f} is under {min_accuracy:g}")
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """`results` is equal for equal inputs and builds; what varies from run to run is under `timing`."""
        results = {
            "samples": self.board.samples,
            "accuracy": self.board.value,
            "accuracy_interval": [self.board.low, self.board.high],
            "correct": self.board.correct,
            "reference_accuracy": self.reference.value,
            "reference_correct": self.reference.correct,
            "agreement": self.agreement,
            "bit_exact": self.bit_exact,
            "first_difference": self.first_difference and self.first_difference.to_json(),
            "confusion": [list(row) for row in self.confusion],
            "class_names": list(self.class_names),
        }
        if self.layers is not None:
            results["layers"] = [layer.to_json() for layer in self.layers]
        return {
            "results": results,
            "board": self.hello.board_id,
            "build_id": self.hello.build_id.hex(),
            "model_sha256": self.hello.model_sha256.hex(),
            "memory": {
                "stack_bytes": self.stats.stack_bytes,
                "stack_used": self.stats.stack_used,
                "arena_bytes": self.stats.arena_bytes,
            },
            "timing": self.timing.to_json(),
            "notes": list(self.notes),
        }


def check(
    graph: Graph,
    model_path: Path,
    opener: Opener,
    data: Dataset,
    *,
    samples: int | None = None,
    layers: bool = False,
    output: str = "0",
    options: SessionOptions | None = None,
    streamed: frozenset[int] = frozenset(),
    progress: Progress | None = None,
    reference: ReferenceFactory = litert,
) -> CheckResult:
    """Run the data on the board and on the reference, and score both.

    Args:
        graph: the model as it was generated; layers are compared on the channels that passes left.
        model_path: the `.tflite` that graph was read from.
        samples: at most so many, from the first on; all where None.
        output: which of the model's outputs holds the scores, by number or name.
        options: names the build that must run there.
        streamed: layers that the board makes some rows at a time.
    Raises:
        DataError: the data do not fit the model. Nothing was opened then.
        UsageError: the model has no such output.
        LinkError: no board, another build, or the link broke.
    """
    data = data.head(samples)
    labels = data.labels()
    number = output_number(graph, output)
    check_labels(labels, graph, data.source, number)
    scores, classes = graph.tensor(graph.outputs[number]), class_count(graph, number)
    if scores.size != classes:
        raise DataError(
            f"output {number} of {graph.source} is not one score for each class: "
            f"{', '.join(str(graph.tensor(i).shape) for i in graph.outputs)}",
            hint="`mcuprune check --output` names another; `mcuprune verify` compares any model byte by byte",
        )
    inputs = encode_samples(data, graph)
    with (
        reference(model_path, graph) as expected,
        session(opener, graph, options or SessionOptions()) as client,
    ):
        found = compare(client, expected, graph, inputs.rows, layers=layers, streamed=streamed, progress=progress)
        stats = client.stats()
        hello = client.board
    chosen, wanted = (predictions(output_rows(rows, graph, number), scores) for rows in (found.board, found.reference))
    confusion = confusion_matrix(labels, chosen, classes)
    return CheckResult(
        board=accuracy(chosen, labels),
        reference=accuracy(wanted, labels),
        agreement=int((chosen == wanted).sum()),
        bit_exact=found.bit_exact,
        first_difference=found.first_difference,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        class_names=_names(data.class_names, classes),
        layers=None if found.layer_equal is None else layer_results(graph, found.layer_equal),
        hello=hello,
        stats=stats,
        timing=_timing(found, hello),
        notes=inputs.notes,
    )


def _names(names: tuple[str, ...] | None, classes: int) -> tuple[str, ...]:
    return names if names is not None and len(names) == classes else tuple(str(i) for i in range(classes))


def _timing(found: Comparison, hello: Hello) -> Timing:
    ticks = found.ticks
    return Timing(
        hello.counter,
        hello.counter_hz,
        int(np.sort(ticks)[len(ticks) // 2]),
        int(ticks.min()),
        int(ticks.max()),
        found.seconds,
        len(ticks),
        found.layer_equal is not None,
    )
