"""Members of the kernels' C structs that several families share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.encodings import Array
from mcuprune.ir.attributes import ConvAttrs, PoolAttrs
from mcuprune.ir.graph import DType, Graph, Op, Tensor
from mcuprune.ir.rescale import layer_rescale, layer_tensors, quant_of, weight_rows
from mcuprune.ir.shapes import broadcast_walk, explicit_pads
from mcuprune.kernels.params import CTYPES, Geometry, LayerParams, Value, constant_input

ABSENT = "NULL"
"""Member of a struct that points to nothing."""

Lower = Callable[[Graph, Op], LayerParams | None]
"""From an operator to what its kernels need; None where it moves and changes nothing."""


def rescale_members(graph: Graph, op: Op) -> tuple[dict[str, Value], tuple[Array, ...], tuple[int, ...]]:
    """Members of mp_rescale, its arrays, and the largest |accumulator| of each output channel for stored inputs."""
    rescale = layer_rescale(graph, op)
    arrays = (
        Array("rescale.bias", "int32_t", rescale.folded_bias),
        Array("rescale.mult", "int32_t", rescale.mult),
        Array("rescale.shift", "int8_t", rescale.shift),
    )
    fields: dict[str, Value] = {
        "bias": "",
        "mult": "",
        "shift": "",
        "out_zp": rescale.out_zp,
        "act_min": rescale.act_min,
        "act_max": rescale.act_max,
    }
    _, weights, _ = layer_tensors(graph, op)
    assert weights.data is not None
    magnitude = np.abs(weight_rows(op.kind, weights.data).astype(np.int64)).sum(axis=1)
    bound = np.abs(rescale.folded_bias.astype(np.int64)) + 128 * magnitude
    return fields, arrays, tuple(bound.tolist())


def window_shape(
    x: Tensor, y: Tensor, kernel: tuple[int, int], attrs: ConvAttrs | PoolAttrs, dilation: tuple[int, int]
) -> dict[str, Value]:
    """Members of mp_conv_shape. One tap has no dilation, whatever the file says: kernels take it for pointwise."""
    _, in_h, in_w, in_ch = x.shape
    _, out_h, out_w, out_ch = y.shape
    top, left, _, _ = explicit_pads((in_h, in_w), kernel, attrs.stride, dilation, attrs.padding)
    return {
        "in_h": in_h,
        "in_w": in_w,
        "in_ch": in_ch,
        "out_h": out_h,
        "out_w": out_w,
        "out_ch": out_ch,
        "kernel_h": kernel[0],
        "kernel_w": kernel[1],
        "stride_h": attrs.stride[0],
        "stride_w": attrs.stride[1],
        "dilation_h": dilation[0] if kernel[0] > 1 else 1,
        "dilation_w": dilation[1] if kernel[1] > 1 else 1,
        "pad_top": top,
        "pad_left": left,
        "pad_value": quant_of(x).zero_point,
    }


SHORT = {DType.INT8: "s8", DType.UINT8: "u8", DType.INT16: "s16"}
"""Of types, in names of kernels."""


def element_type(tensor: Tensor) -> str:
    """Constant of mp_element for a tensor's elements."""
    return f"MP_{tensor.dtype.name}"


def walk_members(graph: Graph, op: Op, inputs: int) -> dict[str, Value]:
    """Members that say how a kernel goes through inputs that are broadcast: dims, stride1, stride2, ..."""
    output = graph.output_of(op)
    walk = broadcast_walk([graph.tensors[i].shape for i in op.inputs[:inputs]], output.shape)
    assert walk is not None, "the verifier refuses what four loops do not reach"
    dims, strides = walk
    return {"dims": dims, **{f"stride{place}": steps for place, steps in enumerate(strides, start=1)}}


def table_layer(op: Op, x: Tensor, y: Tensor, entries: npt.NDArray[np.int8]) -> LayerParams:
    """A function of one 8-bit value; entries: by the value's bits, 0..255."""
    layer = plain(op, "lut_s8", {"size": x.size, "table": ""}, (x,), y)
    return replace(layer, arrays=(Array("table", "int8_t", entries),))


def _in_c(data: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Constants as C writes them: bool as 0 and 1."""
    return data.view(np.uint8) if data.dtype == np.bool_ else data


def plain(
    op: Op, family: str, fields: Mapping[str, Value], inputs: tuple[Tensor, ...], output: Tensor, cols: int = 0
) -> LayerParams:
    """A layer without weights; inputs that are constant lie in flash."""
    geometry = Geometry(output.size, 0, cols)
    constants = tuple(
        Array(constant_input(place), CTYPES[tensor.dtype], _in_c(tensor.data.reshape(-1)))
        for place, tensor in enumerate(inputs)
        if tensor.data is not None
    )
    return LayerParams(op, family, fields, constants, None, geometry, tuple(t.index for t in inputs), output.index)
