"""Small int8 `.tflite` models for tests, built with the schema's object API; TensorFlow is not needed.

model = Builder()
x = model.input((1, 8, 8, 3), scale=0.1, zero_point=3)
y = model.conv_2d(x, weights, bias, weight_scales=[...], scale=0.2, zero_point=-5)
content = model.build([y])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s

SAME, VALID = s.Padding.SAME, s.Padding.VALID
NONE, RELU, RELU6, RELU_N1_TO_1 = (
    s.ActivationFunctionType.NONE,
    s.ActivationFunctionType.RELU,
    s.ActivationFunctionType.RELU6,
    s.ActivationFunctionType.RELU_N1_TO_1,
)
_TYPES = {
    np.dtype(name): number
    for name, number in {
        "float32": 0,
        "int32": 2,
        "uint8": 3,
        "int64": 4,
        "bool": 6,
        "int16": 7,
        "int8": 9,
    }.items()
}


class Builder:
    """One model under construction; every method that adds an operator returns the index of its output tensor."""

    def __init__(self) -> None:
        self.model = s.ModelT()
        self.model.version = 3
        self.model.description = b"test"
        self.model.buffers = [s.BufferT()]
        self.model.operatorCodes = []
        self.graph = s.SubGraphT()
        self.graph.name = b"main"
        self.graph.tensors, self.graph.operators, self.graph.inputs = [], [], []
        self.model.subgraphs = [self.graph]
        self.codes: dict[int, int] = {}

    # tensors

    def tensor(
        self,
        shape: Sequence[int],
        dtype: Any = np.int8,
        scale: float | Sequence[float] | None = None,
        zero_point: int | Sequence[int] = 0,
        axis: int = 0,
        data: np.ndarray | None = None,
        name: str | None = None,
    ) -> int:
        """Add a tensor; a scale for each index of `axis` makes it per-axis."""
        t = s.TensorT()
        t.shape = [int(n) for n in shape]
        t.type = _TYPES[np.dtype(dtype)]
        t.name = (name or f"t{len(self.graph.tensors)}").encode()
        t.hasRank = True
        t.buffer = 0
        if scale is not None:
            q = s.QuantizationParametersT()
            q.scale = np.atleast_1d(np.asarray(scale, np.float32)).tolist()
            zero_points = np.atleast_1d(np.asarray(zero_point))
            q.zeroPoint = np.broadcast_to(zero_points, (len(q.scale),)).tolist()
            q.quantizedDimension = axis
            t.quantization = q
        if data is not None:
            buffer = s.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data, np.dtype(dtype)).tobytes(), np.uint8)
            t.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(t)
        return len(self.graph.tensors) - 1

    def input(
        self,
        shape: Sequence[int],
        scale: float | None = None,
        zero_point: int = 0,
        dtype: Any = np.int8,
        name: str | None = None,
    ) -> int:
        """Add a model input."""
        index = self.tensor(shape, dtype, scale, zero_point, name=name)
        self.graph.inputs.append(index)
        return index

    def constant(self, values: Any, dtype: Any = np.int32) -> int:
        """Add a constant without quantization: axes, paddings, shapes."""
        array = np.asarray(values, dtype)
        return self.tensor(array.shape, dtype, data=array)

    # operators

    def op(
        self, kind: str, inputs: Sequence[int], outputs: Sequence[int], options: Any = None, version: int = 1
    ) -> int:
        """Add an operator by its builtin name; options is an object of the schema, or None."""
        code = getattr(s.BuiltinOperator, kind)
        if code not in self.codes:
            entry = s.OperatorCodeT()
            entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), version
            self.codes[code] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(entry)
        o = s.OperatorT()
        o.opcodeIndex = self.codes[code]
        o.inputs, o.outputs = list(inputs), list(outputs)
        if options is not None:
            o.builtinOptions = options
            o.builtinOptionsType = getattr(s.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.graph.operators.append(o)
        return outputs[0] if outputs else -1

    def shape(self, index: int) -> tuple[int, ...]:
        return tuple(self.graph.tensors[index].shape)

    def _params(self, index: int) -> tuple[float, int]:
        q = self.graph.tensors[index].quantization
        return float(q.scale[0]), int(q.zeroPoint[0])

    def _layer(self, x: int, weights: np.ndarray, bias: np.ndarray | None, scales: Any, axis: int) -> list[int]:
        w = self.tensor(weights.shape, np.int8, scales, 0, axis, weights)
        if bias is None:
            return [x, w]
        in_scale = np.float32(self._params(x)[0])
        bias_scales = np.atleast_1d(np.asarray(scales, np.float32)) * in_scale
        return [x, w, self.tensor(bias.shape, bias.dtype, bias_scales.tolist(), 0, 0, bias)]

    def dtype(self, index: int) -> np.dtype[Any]:
        """Element type of a tensor."""
        return next(dtype for dtype, number in _TYPES.items() if number == self.graph.tensors[index].type)

    def _bias_type(self, x: int, bias: np.ndarray | None) -> int:
        """What options say of a bias: on int16, its type where that is int32."""
        narrow = bias is not None and bias.dtype == np.int32 and self.dtype(x) == np.int16
        return s.TensorType.INT32 if narrow else 0

    def conv_2d(
        self,
        x: int,
        weights: np.ndarray,
        bias: np.ndarray | None = None,
        *,
        weight_scales: Any = 0.01,
        scale: float = 0.1,
        zero_point: int = 0,
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        padding: int = SAME,
        activation: int = NONE,
        name: str | None = None,
    ) -> int:
        """CONV_2D with weights OHWI."""
        options = s.Conv2DOptionsT()
        self._window(options, stride, dilation, padding, activation)
        shape = self._window_shape(x, weights.shape[1:3], stride, dilation, padding, weights.shape[0])
        options.quantizedBiasType = self._bias_type(x, bias)
        out = self.tensor(shape, self.dtype(x), scale, zero_point, name=name)
        return self.op("CONV_2D", self._layer(x, weights, bias, weight_scales, 0), [out], options, 3)

    def depthwise_conv_2d(
        self,
        x: int,
        weights: np.ndarray,
        bias: np.ndarray | None = None,
        *,
        weight_scales: Any = 0.01,
        scale: float = 0.1,
        zero_point: int = 0,
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        padding: int = SAME,
        activation: int = NONE,
        name: str | None = None,
    ) -> int:
        """DEPTHWISE_CONV_2D with weights 1HWC; the depth multiplier follows from the shapes."""
        options = s.DepthwiseConv2DOptionsT()
        self._window(options, stride, dilation, padding, activation)
        options.depthMultiplier = weights.shape[3] // self.shape(x)[3]
        shape = self._window_shape(x, weights.shape[1:3], stride, dilation, padding, weights.shape[3])
        out = self.tensor(shape, self.dtype(x), scale, zero_point, name=name)
        return self.op("DEPTHWISE_CONV_2D", self._layer(x, weights, bias, weight_scales, 3), [out], options, 3)

    def fully_connected(
        self,
        x: int,
        weights: np.ndarray,
        bias: np.ndarray | None = None,
        *,
        weight_scales: Any = 0.01,
        scale: float = 0.1,
        zero_point: int = 0,
        activation: int = NONE,
        keep_num_dims: bool = False,
        name: str | None = None,
    ) -> int:
        """FULLY_CONNECTED with weights (rows, cols)."""
        options = s.FullyConnectedOptionsT()
        options.fusedActivationFunction, options.keepNumDims = activation, keep_num_dims
        rows, cols = weights.shape
        lead = self.shape(x)[:-1] if keep_num_dims else (int(np.prod(self.shape(x))) // cols,)
        options.quantizedBiasType = self._bias_type(x, bias)
        out = self.tensor((*lead, rows), self.dtype(x), scale, zero_point, name=name)
        return self.op("FULLY_CONNECTED", self._layer(x, weights, bias, weight_scales, 0), [out], options, 5)

    def transpose_conv(
        self,
        x: int,
        weights: np.ndarray,
        bias: np.ndarray | None = None,
        *,
        out_hw: tuple[int, int],
        weight_scales: Any = 0.01,
        scale: float = 0.1,
        zero_point: int = 0,
        stride: tuple[int, int] = (1, 1),
        padding: int = SAME,
        activation: int = NONE,
    ) -> int:
        """TRANSPOSE_CONV with weights OHWI."""
        options = s.TransposeConvOptionsT()
        options.strideH, options.strideW = stride
        options.padding, options.fusedActivationFunction = padding, activation
        shape = (1, *out_hw, weights.shape[0])
        data, w, *rest = self._layer(x, weights, bias, weight_scales, 0)
        options.quantizedBiasType = self._bias_type(x, bias)
        out = self.tensor(shape, self.dtype(x), scale, zero_point)
        return self.op("TRANSPOSE_CONV", [self.constant(shape), w, data, *rest], [out], options, 4 if rest else 2)

    def batch_matmul(
        self, x: int, y: int, scale: float, zero_point: int = 0, adj_x: bool = False, adj_y: bool = False
    ) -> int:
        """BATCH_MATMUL."""
        options = s.BatchMatMulOptionsT()
        options.adjX, options.adjY = adj_x, adj_y
        a, b = self.shape(x), self.shape(y)
        batch = np.broadcast_shapes(a[:-2], b[:-2])
        shape = (*batch, a[-1] if adj_x else a[-2], b[-2] if adj_y else b[-1])
        return self.op("BATCH_MATMUL", [x, y], [self.tensor(shape, self.dtype(x), scale, zero_point)], options, 2)

    def average_pool_2d(
        self,
        x: int,
        filter_hw: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        padding: int = VALID,
        activation: int = NONE,
        kind: str = "AVERAGE_POOL_2D",
    ) -> int:
        """AVERAGE_POOL_2D or MAX_POOL_2D."""
        options = s.Pool2DOptionsT()
        options.filterHeight, options.filterWidth = filter_hw
        options.strideH, options.strideW = stride
        options.padding, options.fusedActivationFunction = padding, activation
        shape = self._window_shape(x, filter_hw, stride, (1, 1), padding, self.shape(x)[3])
        out = self.tensor(shape, np.int8, *self._params(x))
        return self.op(kind, [x], [out], options, 2)

    def mean(
        self,
        x: int,
        axes: Sequence[int],
        scale: float,
        zero_point: int = 0,
        keep_dims: bool = False,
        kind: str = "MEAN",
    ) -> int:
        """MEAN, SUM, REDUCE_MAX, REDUCE_MIN or REDUCE_PROD."""
        options = s.ReducerOptionsT()
        options.keepDims = keep_dims
        rank = len(self.shape(x))
        drop = {a % rank for a in axes}
        shape = [1 if i in drop else n for i, n in enumerate(self.shape(x)) if keep_dims or i not in drop]
        out = self.tensor(shape, np.int8, scale, zero_point)
        return self.op(kind, [x, self.constant(axes)], [out], options, 2)

    def arg(self, x: int, axis: int, kind: str = "ARG_MAX", dtype: Any = np.int32, axis_dtype: Any = np.int32) -> int:
        """ARG_MAX or ARG_MIN."""
        options = s.ArgMaxOptionsT() if kind == "ARG_MAX" else s.ArgMinOptionsT()
        options.outputType = _TYPES[np.dtype(dtype)]
        shape = [n for i, n in enumerate(self.shape(x)) if i != axis % len(self.shape(x))]
        return self.op(kind, [x, self.constant(axis, axis_dtype)], [self.tensor(shape, dtype)], options, 2)

    def softmax(self, x: int, beta: float = 1.0) -> int:
        """SOFTMAX."""
        options = s.SoftmaxOptionsT()
        options.beta = beta
        out = self.tensor(self.shape(x), np.int8, 1 / 256, -128)
        return self.op("SOFTMAX", [x], [out], options, 2)

    def log_softmax(self, x: int) -> int:
        """LOG_SOFTMAX."""
        out = self.tensor(self.shape(x), np.int8, 1 / 16, 127)
        return self.op("LOG_SOFTMAX", [x], [out], s.LogSoftmaxOptionsT(), 2)

    def l2_normalization(self, x: int) -> int:
        """L2_NORMALIZATION."""
        out = self.tensor(self.shape(x), np.int8, 1 / 128, 0)
        return self.op("L2_NORMALIZATION", [x], [out], s.L2NormOptionsT(), 2)

    def add(self, x: int, y: int, scale: float, zero_point: int = 0, activation: int = NONE) -> int:
        """ADD with broadcast."""
        options = s.AddOptionsT()
        options.fusedActivationFunction = activation
        out = self.tensor(np.broadcast_shapes(self.shape(x), self.shape(y)), np.int8, scale, zero_point)
        return self.op("ADD", [x, y], [out], options, 2)

    def binary(
        self, kind: str, x: int, y: int, scale: float, zero_point: int = 0, activation: int = NONE, version: int = 2
    ) -> int:
        """SUB, MUL, DIV, MINIMUM, MAXIMUM, SQUARED_DIFFERENCE with broadcast."""
        options = None
        if kind in ("SUB", "MUL", "DIV"):
            options = getattr(s, f"{kind.capitalize()}OptionsT")()
            options.fusedActivationFunction = activation
        out = self.tensor(np.broadcast_shapes(self.shape(x), self.shape(y)), np.int8, scale, zero_point)
        return self.op(kind, [x, y], [out], options, version)

    def pad(self, x: int, paddings: Sequence[tuple[int, int]]) -> int:
        """PAD."""
        shape = [b + n + a for n, (b, a) in zip(self.shape(x), paddings, strict=True)]
        out = self.tensor(shape, np.int8, *self._params(x))
        return self.op("PAD", [x, self.constant(paddings)], [out], s.PadOptionsT(), 2)

    def reshape(self, x: int, shape: Sequence[int]) -> int:
        """RESHAPE."""
        out = self.tensor(shape, np.int8, *self._params(x))
        options = s.ReshapeOptionsT()
        options.newShape = list(shape)
        return self.op("RESHAPE", [x, self.constant(shape)], [out], options)

    def relu(self, x: int, scale: float, zero_point: int = 0, kind: str = "RELU") -> int:
        """RELU or RELU6."""
        return self.op(kind, [x], [self.tensor(self.shape(x), np.int8, scale, zero_point)], None, 2)

    def table(self, kind: str, x: int, scale: float, zero_point: int = 0, options: Any = None, version: int = 1) -> int:
        """A function of one int8 value."""
        return self.op(kind, [x], [self.tensor(self.shape(x), np.int8, scale, zero_point)], options, version)

    def quantize(self, x: int, scale: float, zero_point: int = 0) -> int:
        """QUANTIZE, from float32 or int8."""
        out = self.tensor(self.shape(x), np.int8, scale, zero_point)
        return self.op("QUANTIZE", [x], [out], s.QuantizeOptionsT(), 2)

    def dequantize(self, x: int) -> int:
        """DEQUANTIZE."""
        out = self.tensor(self.shape(x), np.float32)
        return self.op("DEQUANTIZE", [x], [out], s.DequantizeOptionsT(), 2)

    @staticmethod
    def _window(options: Any, stride: Any, dilation: Any, padding: int, activation: int) -> None:
        options.strideH, options.strideW = stride
        options.dilationHFactor, options.dilationWFactor = dilation
        options.padding, options.fusedActivationFunction = padding, activation

    def _window_shape(
        self, x: int, taps: Any, stride: Any, dilation: Any, padding: int, channels: int
    ) -> tuple[int, int, int, int]:
        sizes = []
        for n, k, st, d in zip(self.shape(x)[1:3], taps, stride, dilation, strict=True):
            sizes.append(-(-n // st) if padding == SAME else (n - (k - 1) * d - 1) // st + 1)
        return self.shape(x)[0], sizes[0], sizes[1], channels

    def build(self, outputs: Sequence[int]) -> bytes:
        """Bytes of the model."""
        self.graph.outputs = list(outputs)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def random_int8(rng: np.random.Generator, shape: Sequence[int], low: int = -128, high: int = 127) -> np.ndarray:
    """Uniform int8 values, both ends included."""
    return rng.integers(low, high + 1, shape, np.int64).astype(np.int8)


def random_bias(rng: np.random.Generator, channels: int, magnitude: int = 2000) -> np.ndarray:
    """Uniform int32 biases."""
    return rng.integers(-magnitude, magnitude + 1, channels, np.int64).astype(np.int32)
