"""What quantization costs: the accuracy of the float model beside that of the int8 one, on the same samples."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcuprune.data import Array, Dataset
from mcuprune.inputs import check_labels, encode_inputs, model_input
from mcuprune.ir.graph import Graph
from mcuprune.quantization.parts import validation_part
from mcuprune.quantization.ptq import Quantized
from mcuprune.sparsity.evaluate import accuracy_of
from mcuprune.sparsity.samples import fit_input
from mcuprune.tflite.reference import ReferenceInterpreter

COMPARED = 1000
"""Validation samples that the int8 model is held against the float one on."""

Progress = Callable[[int], AbstractContextManager[Callable[[int], None]]]
"""Takes how many samples there are; gives a context with a function that takes how many are done."""


@dataclass(frozen=True, slots=True)
class Accuracies:
    """Shares of right answers (0 to 1) on so many samples."""

    samples: int
    float_accuracy: float
    int8_accuracy: float

    def to_json(self) -> dict[str, Any]:
        return {"samples": self.samples, "float": self.float_accuracy, "int8": self.int8_accuracy}


def compare_accuracy(
    model: Any, quantized: Quantized, data: Dataset, seed: int = 1, progress: Progress | None = None
) -> Accuracies | None:
    """Both models on at most COMPARED samples of the validation part; None where the data have no labels.

    Raises:
        DataError: the validation part does not fit the model.
    """
    held = validation_part(data, seed)
    if held is None:
        return None
    x, y = held
    if len(y) > COMPARED:
        chosen = np.sort(np.random.default_rng(0).permutation(len(y))[:COMPARED])
        x, y = x[chosen], y[chosen]
    check_labels(y, quantized.graph, data.source)
    rows, _ = fit_input(model, x, data.source)
    predicted = int8_predictions(quantized.content, quantized.graph, x, data.source, progress)
    return Accuracies(len(y), float(accuracy_of(model, rows, y)), float((predicted == y).mean()))


def int8_predictions(
    content: bytes, graph: Graph, x: Array, source: str, progress: Progress | None = None
) -> NDArray[np.int64]:
    """The class of each sample by LiteRT's reference kernels: the largest score, the lowest index of equal ones."""
    tensor = model_input(graph)
    encoded = encode_inputs(x, tensor, source).rows
    samples = ([row.view(tensor.dtype.numpy).reshape(tensor.shape)] for row in encoded)
    classes = np.zeros(len(encoded), np.int64)
    shown = progress(len(encoded)) if progress else nullcontext(lambda done: None)
    with ReferenceInterpreter(content) as reference, shown as update:
        for i, reply in enumerate(reference.stream(samples, "outputs")):
            classes[i] = int(np.argmax(reply.outputs[0]))
            update(i + 1)
    return classes
