"""A model of one convolution, and how tests break it."""

from __future__ import annotations

import numpy as np

from tests.tflite_builder import Builder, random_bias, random_int8


def conv_model(rng: np.random.Generator, **options: object) -> tuple[Builder, int]:
    """A model of one convolution: tensors 0 input, 1 output, 2 weights, 3 bias; buffers 1 weights, 2 bias."""
    model = Builder()
    x = model.input((1, 6, 5, 3), 0.1, -3)
    y = model.conv_2d(x, random_int8(rng, (4, 3, 3, 3)), random_bias(rng, 4), weight_scales=[0.01] * 4, **options)
    return model, y


def set_tensor(model: Builder, index: int, **values: object) -> None:
    for name, value in values.items():
        setattr(model.graph.tensors[index], name, value)


def set_quant(model: Builder, index: int, **values: object) -> None:
    for name, value in values.items():
        setattr(model.graph.tensors[index].quantization, name, value)


def set_buffer(model: Builder, index: int, **values: object) -> None:
    for name, value in values.items():
        setattr(model.model.buffers[index], name, value)


def relu_before(model: Builder) -> None:
    """A RELU of the convolution's output that stands before it."""
    model.graph.outputs = [model.relu(1, 0.1)]
    model.graph.operators.reverse()


def set_op(model: Builder, **values: object) -> None:
    for name, value in values.items():
        setattr(model.graph.operators[0], name, value)


def set_options(model: Builder, **values: object) -> None:
    for name, value in values.items():
        setattr(model.graph.operators[0].builtinOptions, name, value)
