"""Zeros stay zeros: each zero weight of a Keras model is a zero code of the int8 file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcuprune.errors import TrainingError
from mcuprune.ir.graph import Graph, Op
from mcuprune.pruning import WEIGHTED, weight_rows
from mcuprune.sparsity.weights import PrunableWeight, prunable_weights

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class LayerZeros:
    """A kernel of the Keras model and the operator that it became.

    zeros: of the int8 weights; keras_zeros: of the float ones, each of them kept; sparsity = zeros / size.
    op and name are the file's; where no operator has the weights (index None), name is the Keras layer's.
    """

    index: int | None
    name: str
    keras_name: str
    op: str | None
    keras_zeros: int
    zeros: int
    size: int
    sparsity: float
    note: str = ""


def check_zeros(model: Any, graph: Graph, source: str) -> tuple[LayerZeros, ...]:
    """Match the kernels of a model with the operators of its conversion, and compare their zeros.

    An operator matches where its weights have the kernel's matrix shape and, each output channel scaled to a largest
    value of 1, the kernel's values up to the rounding: batch norm folds into a factor for each channel. A kernel of
    zeros alone is looked for last, and takes an operator of zeros alone where there is one.

    Raises:
        TrainingError: a weight that is zero in the model is not zero in the file.
    """
    free = {op.index: op for op in graph.ops if op.kind in WEIGHTED}
    result: dict[int, LayerZeros] = {}
    layers = prunable_weights(model)
    for layer in sorted(layers, key=lambda layer: not layer.rows().any()):
        rows = layer.rows()
        fitting = [op for op in free.values() if _matches(layer, rows, graph, op)]
        op = min(fitting, key=lambda op: bool(_codes(graph, op).any()) != bool(rows.any()), default=None)
        if op is None:
            result[layer.index] = not_found(layer, rows, "operator")
            continue
        del free[op.index]
        result[layer.index] = _compare(layer, rows, graph, op, source)
    return tuple(result[layer.index] for layer in layers)


def not_found(layer: PrunableWeight, rows: Array, what: str) -> LayerZeros:
    """The entry of a weight that no operator (or constant) of the file has."""
    zeros = int(rows.size - np.count_nonzero(rows))
    note = f"no {what} of the file has these weights: not checked"
    return LayerZeros(None, layer.name, layer.name, None, zeros, 0, int(rows.size), 0.0, note)


def _compare(layer: PrunableWeight, rows: Array, graph: Graph, op: Op, source: str) -> LayerZeros:
    codes = _codes(graph, op)
    lost = np.argwhere((rows == 0) & (codes != 0))
    if len(lost):
        row, col = (int(i) for i in lost[0])
        raise TrainingError(
            f"{len(lost)} zeros were lost in the conversion, the first in output channel {row}, weight {col}: "
            f"code {int(codes[row, col])}",
            where=f"{source}, layer '{layer.name}', {op.place}",
            hint="its batch norm or activation is not folded as usual: leave the layer dense by --layer",
        )
    zeros = int(codes.size - np.count_nonzero(codes))
    keras_zeros = int(rows.size - np.count_nonzero(rows))
    return LayerZeros(op.index, op.name, layer.name, op.kind, keras_zeros, zeros, int(codes.size), zeros / codes.size)


def _codes(graph: Graph, op: Op) -> NDArray[np.int8]:
    data = graph.tensor(op.inputs[1]).data
    assert data is not None  # verified on import
    return weight_rows(op, data)


def _matches(layer: PrunableWeight, rows: Array, graph: Graph, op: Op) -> bool:
    """Whether an operator holds a kernel's weights; zeros of the kernel do not count, as they are what is checked."""
    if layer.depthwise != (op.kind == "DEPTHWISE_CONV_2D"):
        return False
    codes = _codes(graph, op)
    if codes.shape != rows.shape:
        return False
    quant = graph.tensor(op.inputs[1]).quant
    assert quant is not None  # verified on import
    return same_weights(rows, codes, np.broadcast_to(np.array(quant.scales, np.float64), (len(rows),)))


def same_weights(rows: Array, codes: Array, scales: NDArray[np.float64]) -> bool:
    """Whether codes (rows, cols) of scales (rows,) are these weights up to the rounding, each row scaled to a largest
    value of 1; zeros of the weights do not count.

    Weights that are all zero equal any codes, so that zeros which were lost are found when compared; codes that are all
    zero equal any weights, as a batch norm may have switched off every channel. Of several of one shape the
    caller prefers what is all zero on both sides.
    """
    real = np.abs(codes * scales[:, None])
    wanted = np.abs(rows.astype(np.float64))
    top, wanted_top = real.max(axis=1, keepdims=True), wanted.max(axis=1, keepdims=True)
    live = ((top > 0) & (wanted_top > 0))[:, 0]  # a channel that batch norm switches off has no codes
    if not live.any():
        return not wanted.any() or not real.any()
    step = scales[live, None] / top[live]  # of one code, in units of the largest value
    difference = np.abs(real[live] / top[live] - wanted[live] / wanted_top[live])
    return bool((difference <= 1.1 * step + 1e-4)[wanted[live] > 0].all())
