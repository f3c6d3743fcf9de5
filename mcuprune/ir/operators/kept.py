"""What recurrent operators demand of their constants, states and sums."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.ir.graph import DType, Graph, Op, Tensor
from mcuprune.ir.operators.checks import left_shift_fits
from mcuprune.ir.rescale import quant_of


def constant_of(graph: Graph, op: Op, place: int, dtype: DType, shape: tuple[int, ...], what: str) -> Tensor:
    """A constant input of a type and shape, of zero point 0."""
    tensor = graph.input_of(op, place)
    if tensor is None or tensor.data is None or tensor.dtype is not dtype or tensor.shape != shape:
        got = "absent" if tensor is None else f"{tensor.dtype.value} {tensor.shape}"
        raise ModelError(f"{what} must be constant {dtype.value} {shape}, they are {got}")
    if dtype not in (DType.INT32, DType.INT64) and (quant_of(tensor).per_axis or quant_of(tensor).zero_point):
        raise ModelError(f"{what} must have one scale and zero point 0")
    return tensor


def state_of(graph: Graph, op: Op, place: int, dtype: DType, size: int, symmetric: bool) -> Tensor:
    """A state of so many elements; symmetric: of zero point 0."""
    tensor = graph.tensors[op.inputs[place]]
    if tensor.dtype is not dtype or tensor.size != size:
        raise ModelError(
            f"its state must be {dtype.value} of {size} elements, it is {tensor.dtype.value} {tensor.shape}"
        )
    if quant_of(tensor).per_axis or (symmetric and quant_of(tensor).zero_point):
        raise ModelError("its state must have one scale" + (" and zero point 0" if symmetric else ""))
    return tensor


def sums_fit(weights: npt.NDArray[np.int8], bias: npt.NDArray[np.int32], shift: int) -> None:
    """Sums of int8 inputs times weights stay inside of int32, shifted, too."""
    magnitude = np.abs(weights.astype(np.int64)).sum(axis=1) * 128 + np.abs(bias.astype(np.int64))
    left_shift_fits(shift, int(magnitude.max(initial=0)))
