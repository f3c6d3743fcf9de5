"""Quantization after training, by the TFLite converter: int8 weights per channel, int8 activations."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mcuprune.data import Array, Dataset
from mcuprune.errors import ModelError, TrainingError
from mcuprune.files import write_file_atomic
from mcuprune.importers.tflite import import_bytes
from mcuprune.ir.graph import Graph
from mcuprune.quantization.file_zeros import file_zeros
from mcuprune.quantization.parts import SAMPLES, training_part
from mcuprune.quantization.zeros import LayerZeros, check_zeros
from mcuprune.sparsity.files import check_model, load_model
from mcuprune.sparsity.runtime import captured_output, last_lines
from mcuprune.sparsity.samples import INTEGERS, as_samples, choose, fit_input
from mcuprune.sparsity.weights import leaves, prunable_weights


@dataclass(frozen=True, slots=True, eq=False)
class Quantized:
    """The file, the graph that it was read back as, and the zeros of each layer; notes for display."""

    content: bytes
    graph: Graph
    layers: tuple[LayerZeros, ...]
    samples: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "model_sha256": self.graph.sha256,
            "model_bytes": len(self.content),
            "calibration_samples": self.samples,
            "layers": [asdict(layer) for layer in self.layers],
        }


def quantize_file(
    model: Path, data: Dataset, output: Path, *, samples: int = SAMPLES, io: str = "int8", seed: int = 1
) -> Quantized:
    """quantize_on() from a `.keras` file to a `.tflite` file. Nothing is half-written."""
    result = quantize_on(load_model(model, integers=True), data, samples=samples, io=io, seed=seed, source=model.name)
    write_file_atomic(output, result.content)
    return result


def quantize_on(
    model: Any, data: Dataset, *, samples: int = SAMPLES, io: str = "int8", seed: int = 1, source: str = ""
) -> Quantized:
    """quantize() with samples of the training part of the data (see parts.py); io is `int8` or `float`."""
    x = training_part(data, seed)
    return quantize(model, x, samples=samples, int8_io=io == "int8", seed=seed, source=source, data_source=data.source)


def quantize(
    model: Any,
    x: Array,
    *,
    samples: int = SAMPLES,
    int8_io: bool = True,
    seed: int = 1,
    source: str = "",
    data_source: str = "x",
) -> Quantized:
    """Convert a model, and hold every zero of its weights against the file.

    Args:
        model: a built Keras 3 model, one input, one output (batch, classes).
        x: (n, ...) float or uint8, or the integers that an embedding takes, what the model was trained on; the ranges
            come from `samples` of them.
        int8_io: int8 input and output; else float32 with QUANTIZE and DEQUANTIZE at the ends. Integers stay.
        seed: of the choice of samples.
        source, data_source: names of model and data, for errors.
    Raises:
        ModelError: the model is not such a model, or came out with an operator that is not supported.
        DataError: the data do not fit the model.
        TrainingError: the converter failed, or a zero was lost.
    """
    source = source or str(getattr(model, "name", "model"))
    check_model(model, source, integers=True)
    x = as_samples(x, data_source)
    x = x[choose(len(x), samples, seed)]
    rows, notes = fit_input(model, x, data_source)
    check_weights(model, source)
    content = convert(model, rows, int8_io, source)
    graph = read_back(content, source)
    zeros = check_zeros(model, graph, source)
    if any(layer.index is None for layer in zeros):
        zeros = _with_tables(zeros, file_zeros(prunable_weights(model), content, source))
    return Quantized(content, graph, zeros, len(rows), notes)


def _with_tables(zeros: Sequence[LayerZeros], found: Sequence[LayerZeros]) -> tuple[LayerZeros, ...]:
    """What no operator with weights has, such as an embedding's table, as it was found among the file's constants."""
    others = {layer.keras_name: layer for layer in found}
    return tuple(layer if layer.index is not None else others[layer.keras_name] for layer in zeros)


def read_back(content: bytes, source: str) -> Graph:
    """The graph of a file that the converter made.

    Raises:
        ModelError: it has an operator that is not supported.
    """
    try:
        return import_bytes(content, source)
    except ModelError as error:
        error.what = f"the converted model cannot be used: {error.what}"
        raise


def check_weights(model: Any, source: str) -> None:
    """The converter turns NaN into anything: refuse it here."""
    for variable in model.weights:
        values = keras.ops.convert_to_numpy(variable)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise TrainingError(
                f"{int((~np.isfinite(values)).sum())} of {values.size} values are not finite",
                where=f"{source}, {variable.path}",
                hint="did training diverge? train again with a lower --learning-rate",
            )


def convert(model: Any, rows: Array | None, int8_io: bool, source: str) -> bytes:
    """The `.tflite`. What TensorFlow prints on the way is shown only where it fails.

    Args:
        rows: samples that the ranges come from, of the input's type; None where the model rounds to ranges of its own.
    Raises:
        TrainingError: the converter failed.
    """
    fixed = keras.InputSpec(
        shape=(1, *model.inputs[0].shape[1:]), dtype=model.inputs[0].dtype, name=model.inputs[0].name
    )
    with tempfile.TemporaryDirectory(prefix="mcuprune-") as folder, unrolled(model), captured_output() as log:
        try:
            # one sample at a time, as on the board: an open batch would leave SHAPE and PACK in the graph
            model.export(folder, verbose=False, input_signature=[fixed])
            converter = tf.lite.TFLiteConverter.from_saved_model(folder)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            if rows is not None:
                converter.representative_dataset = lambda: _one_by_one(rows)
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            if int8_io and fixed.dtype not in INTEGERS:  # whose values a code of an int8 input would not tell apart
                converter.inference_input_type = tf.int8
            if int8_io:
                converter.inference_output_type = tf.int8
            return bytes(converter.convert())
        except Exception as error:  # the converter raises whatever its parts raise
            said = str(error).strip() or last_lines(log)
            raise TrainingError(
                f"the TFLite converter failed: {type(error).__name__}: {_shorten(said)}",
                where=source,
                hint="the model has a layer that TFLite cannot express in int8",
            ) from error


@contextlib.contextmanager
def unrolled(model: Any) -> Iterator[None]:
    """Recurrent layers without loops, for a while: over int8 in loops the converter ends the process (SIGSEGV)."""
    layers = [layer for layer in leaves(model) if isinstance(layer, keras.layers.RNN)]
    before = [layer.unroll for layer in layers]
    try:
        for layer in layers:
            layer.unroll = True
        yield
    finally:
        for layer, unroll in zip(layers, before, strict=True):
            layer.unroll = unroll


def _one_by_one(rows: Array) -> Iterator[list[Array]]:
    for i in range(len(rows)):
        yield [rows[i : i + 1]]


def _shorten(text: str, lines: int = 8) -> str:
    kept = [line for line in text.splitlines() if line.strip()]
    return "\n".join(kept[:lines])
