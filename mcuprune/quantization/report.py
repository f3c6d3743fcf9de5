"""What int8 does to each layer: scales, ranges, values that are clipped, and the error against the float model."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mcuprune.data import Array
from mcuprune.errors import ModelError, UsageError
from mcuprune.importers.tflite import import_bytes
from mcuprune.inputs import encode_inputs, model_input
from mcuprune.ir.graph import DType, Graph, Op, Tensor
from mcuprune.quantization.apply import strip_quantization
from mcuprune.quantization.builder import Builder
from mcuprune.quantization.layers import is_softmax
from mcuprune.quantization.ptq import Quantized
from mcuprune.quantization.structure import (
    WEIGHTED,
    Step,
    Structure,
    group_of,
    is_clamp,
    is_quantized,
    read_structure,
)
from mcuprune.quantization.zeros import check_zeros
from mcuprune.sparsity.files import load_model
from mcuprune.sparsity.samples import as_samples, fit_input
from mcuprune.sparsity.weights import known_weights
from mcuprune.tflite.reference import ReferenceInterpreter
from mcuprune.tflite.schema import read_file

SAMPLES = 50
"""Samples that the layers are compared on, unless told."""

_KINDS: tuple[tuple[type, tuple[str, ...]], ...] = (
    (keras.layers.Add, ("ADD",)),
    (keras.layers.AveragePooling2D, ("AVERAGE_POOL_2D",)),
    (keras.layers.GlobalAveragePooling2D, ("MEAN",)),
    (keras.layers.ZeroPadding2D, ("PAD",)),
    (keras.layers.Softmax, ("SOFTMAX",)),
)
"""Layers without weights, and the operators that they become: the first one of a kind in the model is the file's."""


@dataclass(frozen=True, slots=True)
class LayerError:
    """A layer's quantization, and its output beside the float model's on the same samples.

    index: of the operator in the file, None for the model's input. weight_scale: smallest and largest of its channels,
    None without weights. low, high: the real values that codes -128 and 127 stand for. clipped: the share of float
    values beyond them by more than half a step. rms_lsb, max_lsb: root of the mean squared error and the largest error,
    in steps of scale. sqnr_db: signal to error, None where one of them is zero. cosine: of the angle between the float
    and the quantized output, None where one of them is zero. Errors hold those of all layers before.
    """

    index: int | None
    name: str
    op: str
    channels: int | None
    weight_scale: tuple[float, float] | None
    scale: float
    zero_point: int
    low: float
    high: float
    clipped: float
    rms_lsb: float
    max_lsb: float
    sqnr_db: float | None
    cosine: float | None


@dataclass(frozen=True, slots=True)
class QuantizationReport:
    """Layers in the file's order, the model's input first. notes: operators that no layer was found for."""

    samples: int
    layers: tuple[LayerError, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def quantization_report(
    model: Any, quantized: Quantized, x: Array, *, samples: int = SAMPLES, data_source: str = "x"
) -> QuantizationReport:
    """Compare the float layers of a model with the operators of its conversion, run by the reference interpreter.

    Args:
        model: the model that was converted: float, or in quantization-aware training (taken without its rounding).
        x: (n, ...), of which the first `samples` are taken.
    Raises:
        UsageError: `quantized` is not what quantize(), convert_qat() or qat() gave, or samples is less than 1.
        ModelError: the model is no Sequential or Functional one, or not the one that was converted.
        DataError: there are no samples, or they do not fit the model.
    """
    if not isinstance(quantized, Quantized):
        raise UsageError(
            f"quantized is a {type(quantized).__name__}, not a conversion",
            hint="what quantize() or convert_qat() gave; of qat() its .quantized",
        )
    if samples < 1:
        raise UsageError(f"{samples} samples are too few", hint="50 show each layer's error")
    x = as_samples(x, data_source)
    structure = read_structure(model)
    if any(is_quantized(step) for step in structure.steps):
        model = strip_quantization(model)
        structure = read_structure(model)
    builder = Builder(model, structure)
    points = _points(model, structure, builder, quantized)
    rows, _ = fit_input(model, x[:samples], data_source)
    graph = quantized.graph
    ops = {op.index: op for op in graph.ops}
    found = {op.index: points[op.index] for op in graph.ops if op.index in points and _quantized(graph, op)}
    if not found:
        raise ModelError(
            "no layer of the file has quantized outputs",
            where=graph.source,
            hint="compare a model that was converted to int8, or to int16 activations",
        )
    floats = builder.model_of(list(found.values()))
    sums = {index: _Sums(graph.output_of(ops[index])) for index in found}
    results = _reference(quantized, rows, data_source)
    for first in range(0, len(rows), _BATCH):
        wanted = keras.tree.flatten(floats(rows[first : first + _BATCH], training=False))
        arrays = [keras.ops.convert_to_numpy(values) for values in wanted]
        for i in range(len(arrays[0])):
            result = next(results)
            for index, values in zip(sums, arrays, strict=True):
                sums[index].add(values[i], result[ops[index].outputs[0]])
    layers = [sums[index].report(graph, ops[index]) for index in found]
    missed = [op.name for op in graph.ops if op.index not in found and op.kind not in _SILENT]
    notes = (f"not compared: {', '.join(missed)}",) if missed else ()
    return QuantizationReport(len(rows), (*_input(graph, rows), *layers), notes)


def float_comparison(
    model: Path, file: Path, x: Array, *, samples: int = SAMPLES, data_source: str = "x"
) -> QuantizationReport:
    """quantization_report() of a `.keras` file and a `.tflite` file that was made of it, by this tool or another.

    Raises:
        ModelError: no operator of the file has the weights of a layer: it was made of another model.
    """
    keras_model, content = load_model(model), read_file(file)
    graph = import_bytes(content, file.name)
    zeros = check_zeros(keras_model, graph, file.name)
    strangers = [layer.keras_name for layer in zeros if layer.index is None]
    if len(strangers) == len(zeros):
        raise ModelError(
            "no operator of the file has the weights of this Keras model",
            where=f"{model.name} and {file.name}",
            hint="give the float model that the file was made of",
        )
    quantized = Quantized(content, graph, zeros, 0, ())
    return quantization_report(keras_model, quantized, x, samples=samples, data_source=data_source)


_BATCH = 50
"""Samples that the float model computes at once."""
_SILENT = ("RESHAPE", "QUANTIZE", "DEQUANTIZE")
"""Operators that compute nothing."""


class _Sums:
    """Sums over the values of one layer."""

    def __init__(self, tensor: Tensor) -> None:
        assert tensor.quant is not None  # chosen so
        self.quant = tensor.quant
        smallest, largest = tensor.dtype.limits
        self.low, self.high = ((code - self.quant.zero_point) * self.quant.scale for code in (smallest, largest))
        self.count = self.clipped = 0
        self.signal = self.error = self.dot = self.power = self.largest = 0.0

    def add(self, wanted: Array, codes: Array) -> None:
        """Float values and codes of the same values, in whatever shapes.

        Raises:
            ModelError: they are not of one size.
        """
        if wanted.size != codes.size:
            raise ModelError(
                f"a layer has {wanted.size} values in the float model, {codes.size} in the file",
                hint="compare a model with the file that was made from it",
            )
        real = wanted.astype(np.float64).ravel()
        got = (codes.astype(np.float64).ravel() - self.quant.zero_point) * self.quant.scale
        half = self.quant.scale / 2
        self.count += real.size
        self.clipped += int(np.count_nonzero((real < self.low - half) | (real > self.high + half)))
        self.signal += float(np.square(real).sum())
        self.error += float(np.square(real - got).sum())
        self.dot += float(real @ got)
        self.power += float(np.square(got).sum())
        self.largest = max(self.largest, float(np.abs(real - got).max(initial=0.0)))

    def report(self, graph: Graph, op: Op | None) -> LayerError:
        """The sums as what they say about an operator, or about the input."""
        weights = None if op is None or not _weighted(op) else graph.tensor(op.inputs[1]).quant
        known = self.signal > 0 and self.error > 0
        return LayerError(
            index=None if op is None else op.index,
            name="input" if op is None else op.name,
            op="-" if op is None else op.kind,
            channels=None if weights is None else len(weights.scales),
            weight_scale=None if weights is None else (min(weights.scales), max(weights.scales)),
            scale=self.quant.scale,
            zero_point=self.quant.zero_point,
            low=self.low,
            high=self.high,
            clipped=self.clipped / self.count,
            rms_lsb=math.sqrt(self.error / self.count) / self.quant.scale,
            max_lsb=self.largest / self.quant.scale,
            sqnr_db=10 * math.log10(self.signal / self.error) if known else None,
            cosine=self.dot / math.sqrt(self.signal * self.power) if self.signal > 0 and self.power > 0 else None,
        )


def _points(model: Any, structure: Structure, builder: Builder, quantized: Quantized) -> dict[int, Any]:
    """The float tensor of each operator that is found, in a copy of the model; a Dense that ends in softmax is two."""
    variables = [weight.variable for weight in known_weights(model)]
    if [layer.size for layer in quantized.layers] != [math.prod(v.shape) for v in variables]:
        raise ModelError("the file was made from another model", where=structure.name, hint="convert this one")
    places = {id(v): layer.index for v, layer in zip(variables, quantized.layers, strict=True)}
    waiting = defaultdict(list)
    for op in quantized.graph.ops:
        waiting[op.kind].append(op.index)
    points: dict[int, Any] = {}
    ends: dict[int, int] = {}  # operators whose output comes out of a later step, by that step's id()
    for step in structure.steps:
        index = _place(step, places, waiting)
        inner = step.operation
        if isinstance(inner, WEIGHTED) and is_softmax(inner):
            linear = inner.__class__.from_config({**inner.get_config(), "activation": "linear"})
            builder.replace(step, linear)
            if index is not None:
                points[index] = builder.values[step.outputs[0]]
            builder.values[step.outputs[0]] = keras.layers.Softmax()(builder.values[step.outputs[0]])
            if waiting["SOFTMAX"]:
                points[waiting["SOFTMAX"].pop(0)] = builder.values[step.outputs[0]]
            continue
        builder.chain(step, [inner])
        if index is not None:
            ends[id(_last(structure, step))] = index
        if id(step) in ends:
            points[ends[id(step)]] = builder.values[step.outputs[0]]
    return points


def _place(step: Step, places: dict[int, int | None], waiting: dict[str, list[int]]) -> int | None:
    """The operator that a step became."""
    if isinstance(step.operation, WEIGHTED):
        return places.get(id(step.operation.kernel))
    for kind, names in _KINDS:
        if isinstance(step.operation, kind) or (kind is keras.layers.Softmax and is_softmax(step.operation)):
            return next((waiting[name].pop(0) for name in names if waiting[name]), None)
    return None


def _last(structure: Structure, step: Step) -> Step:
    """The step that gives the operator's output: a batch norm and an activation after it are part of it."""
    if isinstance(step.operation, WEIGHTED):
        return group_of(structure, step).last
    follower = structure.only_consumer(step.outputs[0])
    ended = isinstance(step.operation, keras.layers.Add) and follower is not None and is_clamp(follower.operation)
    return follower if ended and follower is not None else step


def _reference(quantized: Quantized, rows: Array, source: str) -> Iterator[dict[int, Array]]:
    """First outputs of all operators for each sample, by tensor."""
    tensor = model_input(quantized.graph)
    encoded = encode_inputs(rows, tensor, source).rows
    with ReferenceInterpreter(quantized.content) as reference:
        for row in encoded:
            yield reference.run_layers([row.view(tensor.dtype.numpy).reshape(tensor.shape)])


def _input(graph: Graph, rows: Array) -> tuple[LayerError, ...]:
    """The model's input: what its rounding costs. None where it is float."""
    tensor = graph.tensor(graph.inputs[0])
    if tensor.quant is None:
        return ()
    sums = _Sums(tensor)
    sums.add(rows, np.clip(np.round(rows / tensor.quant.scale) + tensor.quant.zero_point, *tensor.dtype.limits))
    return (sums.report(graph, None),)


def _weighted(op: Op) -> bool:
    return op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def _quantized(graph: Graph, op: Op) -> bool:
    """Whether an operator's output is an activation of int8 or int16."""
    output = graph.output_of(op)
    return output.dtype in (DType.INT8, DType.INT16) and output.quant is not None
