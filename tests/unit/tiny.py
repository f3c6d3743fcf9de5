"""A small seeded model as a Graph, without a file: convolutions, pool, fully-connected, softmax."""

from __future__ import annotations

import numpy as np

from mcuprune.ir.attributes import Activation, ConvAttrs, FullyConnectedAttrs, NoAttrs, Padding, PoolAttrs, SoftmaxAttrs
from mcuprune.ir.graph import DType, Graph, Op, Quant, Tensor


class _Maker:
    """Collects tensors and operators."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []

    def activation(self, name: str, shape: tuple[int, ...], scale: float, zero_point: int) -> int:
        quant = Quant((float(np.float32(scale)),), (zero_point,))
        self.tensors.append(Tensor(len(self.tensors), name, shape, DType.INT8, quant))
        return len(self.tensors) - 1

    def weights(self, name: str, shape: tuple[int, ...], axis: int, bias: int) -> tuple[int, int]:
        scales = tuple(float(np.float32(s)) for s in self.rng.uniform(0.002, 0.02, shape[axis]))
        data = self.rng.integers(-127, 128, shape).astype(np.int8)
        self.tensors.append(
            Tensor(len(self.tensors), name, shape, DType.INT8, Quant(scales, (0,) * len(scales), axis), data)
        )
        values = self.rng.integers(-bias, bias, shape[axis]).astype(np.int32)
        self.tensors.append(Tensor(len(self.tensors), name + "_bias", values.shape, DType.INT32, None, values))
        return len(self.tensors) - 2, len(self.tensors) - 1

    def op(self, kind: str, name: str, inputs: tuple[int, ...], output: int, attrs: object) -> int:
        self.ops.append(Op(len(self.ops), kind, name, inputs, (output,), attrs))  # type: ignore[arg-type]
        return output


def tiny_graph(seed: int = 1) -> Graph:
    """Input (1, 7, 5, 3) int8, output 4 classes."""
    m = _Maker(seed)
    relu = Activation.RELU
    x = m.activation("x", (1, 7, 5, 3), 0.5, 3)
    y = m.activation("conv_1", (1, 4, 5, 6), 0.4, -128)
    m.op(
        "CONV_2D",
        "conv_1",
        (x, *m.weights("w1", (6, 3, 3, 3), 0, 900)),
        y,
        ConvAttrs((2, 1), (1, 1), Padding.SAME, relu),
    )
    z = m.activation("dw", (1, 4, 5, 6), 0.4, -128)
    m.op(
        "DEPTHWISE_CONV_2D",
        "ds_1_dw",
        (y, *m.weights("w2", (1, 3, 3, 6), 3, 900)),
        z,
        ConvAttrs((1, 1), (1, 1), Padding.SAME, relu),
    )
    p = m.activation("pw", (1, 4, 5, 9), 0.3, -5)
    m.op(
        "CONV_2D",
        "ds_1_pw",
        (z, *m.weights("w3", (9, 1, 1, 6), 0, 900)),
        p,
        ConvAttrs((1, 1), (1, 1), Padding.VALID, Activation.NONE),
    )
    a = m.activation("pool", (1, 1, 1, 9), 0.3, -5)
    m.op("AVERAGE_POOL_2D", "pool", (p,), a, PoolAttrs((4, 5), (4, 5), Padding.VALID, Activation.NONE))
    r = m.activation("flat", (1, 9), 0.3, -5)
    m.op("RESHAPE", "flat", (a,), r, NoAttrs())
    f = m.activation("fc", (1, 4), 0.2, 11)
    m.op("FULLY_CONNECTED", "fc", (r, *m.weights("w4", (4, 9), 0, 300)), f, FullyConnectedAttrs(Activation.NONE))
    s = m.activation("probabilities", (1, 4), 1 / 256, -128)
    m.op("SOFTMAX", "probabilities", (f,), s, SoftmaxAttrs(1.0))
    return Graph(tuple(m.tensors), tuple(m.ops), (x,), (s,), "ab" * 32, "tiny.tflite")
