"""int8 for TFLite's own interpreter: models with operators, inputs or outputs that `generate` does not take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcuprune.data import Array
from mcuprune.quantization.file_zeros import file_zeros
from mcuprune.quantization.parts import SAMPLES
from mcuprune.quantization.ptq import check_weights, convert
from mcuprune.quantization.zeros import LayerZeros
from mcuprune.sparsity.files import check_input
from mcuprune.sparsity.samples import as_samples, choose, fit_input
from mcuprune.sparsity.weights import prunable_weights
from mcuprune.tflite.reference import ReferenceInterpreter
from mcuprune.tflite.schema import TENSOR_TYPE_NAMES, numbers, parse_model


@dataclass(frozen=True, slots=True, eq=False)
class TFLiteFile:
    """An int8 file, and the zeros of each weight as its constants have them; notes for display."""

    content: bytes
    layers: tuple[LayerZeros, ...]
    samples: int
    notes: tuple[str, ...]

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Weights that no constant of the file has: their zeros were not compared."""
        return tuple(layer.keras_name for layer in self.layers if layer.index is None)

    def predict(self, x: Array) -> NDArray[np.float32]:
        """The first output for each sample, by LiteRT's reference kernels, as real values (n, ...).

        x: (n, ...), of the model's sample shape, as real values; integers where it takes those.
        """
        graph = parse_model(self.content, "model").subgraphs[0]
        taken, given = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
        rows = x.reshape(len(x), *numbers(taken.shape))
        if TENSOR_TYPE_NAMES[taken.type] == "INT8":
            scale, zero_point = _quant(taken)
            rows = np.clip(np.rint(rows / scale) + zero_point, -128, 127).astype(np.int8)
        else:
            rows = rows.astype(TENSOR_TYPE_NAMES[taken.type].lower())
        with ReferenceInterpreter(self.content) as reference:
            answers = [reply.outputs[0][0] for reply in reference.stream(([row] for row in rows), "outputs")]
        result = np.stack(answers).astype(np.float32)
        if TENSOR_TYPE_NAMES[given.type] == "INT8":
            scale, zero_point = _quant(given)
            result = (result - zero_point) * np.float32(scale)
        return result


def quantize_for_tflite(
    model: Any,
    x: Array,
    *,
    samples: int = SAMPLES,
    int8_io: bool = True,
    seed: int = 1,
    source: str = "",
    data_source: str = "x",
) -> TFLiteFile:
    """quantize() for models that `generate` does not take: any operators, any outputs, an input of floats or integers.

    Every zero of a weight is looked for in the file's own constants; a weight that is not found there is named in
    `unchecked`. Recurrent layers lie in the file unrolled, one copy of a step for each step of the input (the weights
    once): the converter has no int8 in loops. A loop of the model's own, beside them, is not supported.

    Args:
        model: a built Keras 3 model, one input of known shape.
        x: (n, ...) float or uint8, or the integers that an embedding takes; the ranges come from `samples` of them.
        int8_io: int8 where input and output are floats; else these stay float32. Integers go in as int32 always: the
            256 codes of an int8 input would not tell them apart.
        seed, source, data_source: as in quantize().
    Raises:
        ModelError: not one input of known shape, or no weights that can be pruned.
        DataError: the data do not fit the model.
        TrainingError: the converter failed, or a zero was lost.
    """
    source = source or str(getattr(model, "name", "model"))
    check_input(model, source, integers=True)
    x = as_samples(x, data_source)
    x = x[choose(len(x), samples, seed)]
    rows, notes = fit_input(model, x, data_source)
    check_weights(model, source)
    content = convert(model, rows, int8_io, source)
    return TFLiteFile(content, file_zeros(prunable_weights(model), content, source), len(rows), notes)


def _quant(tensor: Any) -> tuple[float, int]:
    return float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])
