"""From a model in quantization-aware training to an int8 `.tflite` with just its ranges and its zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mcuprune.data import Array
from mcuprune.errors import ModelError, TrainingError, UsageError
from mcuprune.ir.graph import Graph, Op
from mcuprune.quantization.apply import rebuild, strip_quantization
from mcuprune.quantization.fake_quant import FakeQuantize, weight_ranges
from mcuprune.quantization.file_zeros import constants, file_zeros
from mcuprune.quantization.for_tflite import TFLiteFile
from mcuprune.quantization.layers import QuantizedLayer
from mcuprune.quantization.parts import SAMPLES
from mcuprune.quantization.ptq import Quantized, check_weights, convert, read_back
from mcuprune.quantization.structure import is_quantized, read_structure
from mcuprune.quantization.zeros import LayerZeros, check_zeros
from mcuprune.sparsity.files import check_model, require_model
from mcuprune.sparsity.samples import Floats, as_samples, choose, fit_samples
from mcuprune.sparsity.weights import leaves, prunable_weights

CALIBRATION_BATCH = 100
SCALE_TOLERANCE = 1e-5
"""Relative difference of a scale of the file from the range that was trained."""


def convert_qat(
    model: Any,
    x: Array | None = None,
    *,
    samples: int = SAMPLES,
    int8_io: bool = True,
    seed: int = 1,
    source: str = "",
    data_source: str = "x",
) -> Quantized:
    """Convert a model that quantize_apply() made, and hold its ranges and its zeros against the file.

    Args:
        model: in training or trained; it stays as it is.
        x: (n, ...) samples for what has no range yet: layers that were not annotated, a model that was not trained.
        samples: how many of them are used at most, chosen by the seed.
        int8_io: int8 input and output; else float32 with QUANTIZE and DEQUANTIZE at the ends.
        source, data_source: names of model and data, for errors.
    Raises:
        ModelError: a layer that was not annotated cannot be int8.
        DataError: the samples do not fit the model.
        TrainingError: ranges are missing and there are no samples; the converter failed; a range or a zero was lost.
    """
    made = _Conversion(model, x, samples, int8_io, seed, source, data_source)
    check_generated(made.whole)
    content = made.convert()
    graph = read_back(content, made.source)
    zeros = check_zeros(strip_quantization(made.whole), graph, made.source)
    check_ranges(made.whole, graph, zeros, made.source)
    return Quantized(content, graph, zeros, made.samples, made.notes)


def convert_qat_for_tflite(
    model: Any,
    x: Array | None = None,
    *,
    samples: int = SAMPLES,
    int8_io: bool = True,
    seed: int = 1,
    source: str = "",
    data_source: str = "x",
) -> TFLiteFile:
    """convert_qat() for TFLite's own interpreter: models with MaxPooling2D, which `generate` does not take.

    Each zero and each scale of the weights is looked for in the file's constants.

    Raises:
        ModelError, DataError, TrainingError: as convert_qat().
    """
    made = _Conversion(model, x, samples, int8_io, seed, source, data_source)
    content = made.convert()
    zeros = file_zeros(prunable_weights(strip_quantization(made.whole)), content, made.source)
    scales = {constant.index: constant.scales for constant in constants(content, made.source)}
    entries = {entry.keras_name: entry for entry in zeros}
    for layer in quantized_layers(made.whole):
        index, wanted = entries[layer.layer.name].index, weight_scales(layer)
        got = None if index is None else scales[index]
        if got is None or not np.allclose(got, wanted, rtol=SCALE_TOLERANCE, atol=0):
            raise TrainingError(
                f"the scales of its weights, {_some(wanted)} in training, are not in the file",
                where=f"{made.source}, layer '{layer.name}'",
            )
    return TFLiteFile(content, zeros, made.samples, made.notes)


class _Conversion:
    """What is converted: the whole model with all its ranges; how many samples gave some of them."""

    def __init__(
        self, model: Any, x: Array | None, samples: int, int8_io: bool, seed: int, source: str, data_source: str
    ) -> None:
        self.source = source or str(getattr(model, "name", "model"))
        self.int8_io = int8_io
        self.samples = 0
        self.notes: tuple[str, ...] = ()
        check_model(model, self.source)
        check_weights(model, self.source)
        self.whole = _whole(model)
        missing = [layer for layer in ranges(self.whole) if not layer.calibrated]
        if not missing:
            return
        if x is None:
            names = ", ".join(f"'{name}'" for name in _owners(self.whole, missing)[:5])
            raise TrainingError(
                f"{len(missing)} activations have no range yet, the first of {names}",
                where=self.source,
                hint="train the model, or give samples to take the ranges from: convert_qat(model, x)",
            )
        x = as_samples(x, data_source)
        x = x[choose(len(x), samples, seed)]
        shape = tuple(int(n) for n in model.inputs[0].shape[1:])
        rows, self.notes = fit_samples(x, shape, "input", data_source)
        self.samples = len(rows)
        follow(self.whole, rows, missing)

    def convert(self) -> bytes:
        """The file."""
        layers = ranges(self.whole)
        for layer in layers:
            layer.exporting = True
        try:
            return convert(self.whole, None, self.int8_io, self.source)
        finally:
            for layer in layers:
                layer.exporting = False


def check_generated(model: Any) -> None:
    """Refuse layers that train, but whose int8 file nothing here but TFLite's interpreter runs.

    Raises:
        ModelError: there is one.
    """
    for layer in leaves(model):
        if isinstance(layer, keras.layers.MaxPooling2D):
            raise ModelError(
                f"layer '{layer.name}' (MaxPooling2D) gives a file that `generate` does not take",
                where=str(model.name),
                hint="AveragePooling2D; or, for TFLite, quantize_model(), fit() and convert_qat_for_tflite()",
            )


def calibrate(model: Any, x: Array, *, samples: int = SAMPLES, data_source: str = "x") -> None:
    """Give every activation that has no range yet one from the first samples: of batches of 100.

    Raises:
        ModelError: it is a float model.
        UsageError: samples is less than 1.
        DataError: there are no samples, or they do not fit the model.
    """
    require_model(model)
    if not ranges(model):
        raise _float_model(str(model.name))
    if samples < 1:
        raise UsageError(f"{samples} samples are too few", hint="some hundred give sound ranges")
    x = as_samples(x, data_source)
    rows, _ = fit_samples(x[:samples], tuple(int(n) for n in model.inputs[0].shape[1:]), "input", data_source)
    follow(model, rows, [layer for layer in ranges(model) if not layer.calibrated])


def follow(model: Any, rows: Floats, layers: Sequence[FakeQuantize]) -> None:
    """Let ranges follow the samples."""
    for layer in layers:
        layer.learning = True
    try:
        for i in range(0, len(rows), CALIBRATION_BATCH):
            model(rows[i : i + CALIBRATION_BATCH], training=False)
    finally:
        for layer in layers:
            layer.learning = False


def ranges(model: Any) -> list[FakeQuantize]:
    """The ranges of activations in a model, in its order."""
    own = (getattr(layer, "output_range", layer) for layer in model.layers)
    return [layer for layer in own if isinstance(layer, FakeQuantize)]


def quantized_layers(model: Any) -> list[QuantizedLayer]:
    """The layers with weights that are rounded, in the model's order."""
    return [layer for layer in model.layers if isinstance(layer, QuantizedLayer)]


def check_ranges(model: Any, graph: Graph, zeros: Sequence[LayerZeros], source: str) -> None:
    """The scales of weights and outputs in the file are those of the training, and so are the biases.

    Raises:
        TrainingError: one is not.
    """
    found = {entry.keras_name: entry.index for entry in zeros}
    ops = {op.index: op for op in graph.ops}
    for layer in quantized_layers(model):
        index = found.get(layer.layer.name)
        where = f"{source}, layer '{layer.name}'"
        if index is None:
            raise TrainingError("no operator of the file has the weights that were trained", where=where)
        _check_layer(layer, graph, ops[index], f"{where}, {ops[index].place}")


def _check_layer(layer: QuantizedLayer, graph: Graph, op: Op, where: str) -> None:
    """Scales and biases of one layer."""
    weights, output = graph.tensor(op.inputs[1]).quant, graph.output_of(op).quant
    assert weights is not None and output is not None  # verified on import
    low, high = layer.output_range.range
    for what, wanted, got in (
        ("weights", weight_scales(layer), np.array(weights.scales)),
        ("output", np.array([(high - low) / 255]), np.array(output.scales)),
    ):
        if wanted.shape != got.shape or not np.allclose(wanted, got, rtol=SCALE_TOLERANCE, atol=0):
            raise TrainingError(
                f"the scales of its {what} are {_some(got)} in the file, {_some(wanted)} in training",
                where=where,
                hint="something after it changes the range: annotate that, too",
            )
    bias, tensor = layer.folded()[1], graph.input_of(op, 2)
    if bias is None or tensor is None or tensor.quant is None or tensor.data is None:
        return
    wanted, scales = keras.ops.convert_to_numpy(bias).astype(np.float64), np.array(tensor.quant.scales)
    got = tensor.data * scales
    if (np.abs(got - wanted) > scales + 1e-6 * np.abs(wanted)).any():
        raise TrainingError(f"its biases are {_some(got)} in the file, {_some(wanted)} in training", where=where)


def weight_scales(layer: QuantizedLayer) -> NDArray[np.float64]:
    """Scales of a quantized layer's weights as they are now: one for each output channel, or one."""
    dense = isinstance(layer.layer, keras.layers.Dense)
    kernel = layer.channels_last(layer.folded()[0])
    return np.atleast_1d(keras.ops.convert_to_numpy(weight_ranges(kernel, not dense)).astype(np.float64)) / 127


def _whole(model: Any) -> Any:
    """A copy of the model in which everything is quantized.

    Raises:
        ModelError: the model is a float one, or a layer is not supported.
    """
    structure = read_structure(model)
    if not any(is_quantized(step) for step in structure.steps):
        raise _float_model(structure.name)
    return rebuild(model, structure, [step for step in structure.steps if not is_quantized(step)], False)


def _float_model(name: str) -> ModelError:
    return ModelError(
        "the model is a float model",
        where=name,
        hint="quantize(model, x) converts it as it is; quantize_apply() prepares it for training",
    )


def _owners(model: Any, layers: Sequence[FakeQuantize]) -> list[str]:
    wanted = {id(layer) for layer in layers}
    return [layer.name for layer in model.layers if id(getattr(layer, "output_range", layer)) in wanted]


def _some(values: NDArray[np.float64]) -> str:
    return ", ".join(f"{v:.6g}" for v in values[:3]) + (", ..." if len(values) > 3 else "")
