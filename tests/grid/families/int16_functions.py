"""int16 of operators on one input: functions, pools, reductions, softmax, images in another size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as s

from tests.grid.cases import SCALES, Array, Case, case
from tests.tflite_builder import NONE, RELU, RELU6, RELU_N1_TO_1, SAME, VALID, Builder

INT16 = np.int16
UNIT = 2.0**-15
VERSIONS = {"LOGISTIC": 3, "NEG": 1, "TANH": 3}
"""Of functions whose version is not 2."""
POINTS = np.concatenate([np.arange(-(2**15), 2**15, 97), np.arange(-70, 71), [2**15 - 1, 2**15 - 2]])
"""Values around entries of the tables, between them, at the ends."""


def single(
    name: str,
    kind: str,
    shapes: tuple[Sequence[int], Sequence[int]],
    scales: tuple[float, float],
    options: Any = None,
    constant: Any = None,
    version: int = 1,
    samples: tuple[Array, ...] = (),
) -> Case:
    """One operator with one int16 input, and perhaps a constant one of int32."""
    model = Builder()
    inputs = [model.input(shapes[0], scales[0], dtype=INT16)]
    if constant is not None:
        inputs.append(model.constant(constant))
    out = model.tensor(shapes[1], INT16, scales[1])
    model.op(kind, inputs, [out], options, version)
    if samples:
        return Case(name.lower(), model.build([out]), tuple((sample.astype(INT16),) for sample in samples))
    return case(name.lower(), model, [out], sum(name.encode()), samples=3)


def elementwise(kind: str, number: int, in_scale: float, out_scale: float, options: Any = None) -> Case:
    """A function at POINTS."""
    shape = (1, POINTS.size)
    points = np.maximum(POINTS, 0) if kind == "RSQRT" else POINTS  # the reference stops at roots of negative numbers
    version = VERSIONS.get(kind, 2)
    return single(
        f"{kind}_{number}", kind, (shape, shape), (in_scale, out_scale), options, None, version, (points[None],)
    )


def function_cases() -> Iterator[Case]:
    """Tables at scales where they are steep, flat and saturated; slopes; curves with every way to scale an input."""
    for number, (scale, out) in enumerate(product((1e-6, 3.1e-5, 2.0**-12, 9e-4, 0.02), (UNIT, 2e-4, 0.01))):
        for kind in ("EXP", "LOG", "RSQRT", "GELU"):
            options = None
            if kind == "GELU":
                options = s.GeluOptionsT()
                options.approximate = bool(number % 2)
            yield elementwise(kind, number, scale, out, options)
    for number, scale in enumerate(
        (1e-9, 3e-6, 2.0**-13, 2.0**-12, 2.0**-11, 2.0**-12 * 1.0005, 2.0**-12 * 1.002, 9e-4, 5.0)
    ):
        yield elementwise("LOGISTIC", number, scale, UNIT)
        yield elementwise("TANH", number, scale, UNIT * (1.0, 1.0005)[number % 2])
    yield elementwise("NEG", 0, 0.1, 0.1)
    for number, (scale, ratio) in enumerate(product(SCALES[::2], (1.0, 0.6, 3.7, 100.0))):
        yield elementwise("ABS", number, scale, scale * ratio)
        yield elementwise("RELU", number, scale, scale * ratio)
        yield elementwise("RELU6", number, scale * 1e-3, scale * ratio * 1e-3)
        options = s.LeakyReluOptionsT()
        options.alpha = (0.01, 0.2, 1.5, -0.3, 0.0)[number % 5]
        yield elementwise("LEAKY_RELU", number, scale, scale * ratio, options)


def softmax_cases() -> Iterator[Case]:
    """Rows of one column and of many, flat ones and those of one winner."""
    rows = [((1, 1), 1e-3, 1.0), ((1, 12), 3e-4, 1.0), ((1, 3, 5), 2e-5, 0.7), ((1, 2, 2, 9), 0.01, 1.0)]
    for number, (shape, scale, beta) in enumerate(
        [*rows, ((1, 700), 1e-4, 1.0), ((1, 40), 1.0, 2.0), ((1, 9), 1e-9, 1.0)]
    ):
        options = s.SoftmaxOptionsT()
        options.beta = beta
        yield single(f"softmax_s16_{number}", "SOFTMAX", (shape, shape), (scale, UNIT), options, version=3)


def pool_cases() -> Iterator[Case]:
    """Windows inside of the input and over its border, every activation."""
    kinds = ("AVERAGE_POOL_2D", "MAX_POOL_2D")
    windows = [((2, 2), (2, 2)), ((3, 2), (1, 2)), ((5, 6), (1, 1))]
    for number, (kind, (window, stride), padding) in enumerate(product(kinds, windows, (SAME, VALID))):
        options = s.Pool2DOptionsT()
        (options.filterHeight, options.filterWidth), (options.strideH, options.strideW) = window, stride
        options.padding = padding
        options.fusedActivationFunction = (NONE, RELU, RELU6, RELU_N1_TO_1)[number % 4]
        size = [
            -(-n // t) if padding == SAME else (n - k) // t + 1 for n, k, t in zip((5, 6), window, stride, strict=True)
        ]
        scale = (4e-4, 1e-5)[number // 4 % 2]
        yield single(f"{kind}_{number}", kind, ((1, 5, 6, 3), (1, *size, 3)), (scale, scale), options, version=3)


def reduction_cases() -> Iterator[Case]:
    """Dimensions side by side and apart, means to other scales."""
    shape = (1, 4, 3, 5)
    for number, (kind, axes, keep) in enumerate(
        product(("MEAN", "REDUCE_MAX", "REDUCE_MIN"), ((1, 2), (3,), (1, 3), (0, 1, 2, 3)), (False, True))
    ):
        options = s.ReducerOptionsT()
        options.keepDims = keep
        out = [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes]
        ratio = (1.0, 0.4, 30.0)[number % 3] if kind == "MEAN" else 1.0
        scale = SCALES[number % 7]
        yield single(f"{kind}_{number}_s16", kind, (shape, out), (scale, scale * ratio), options, list(axes), 3)


def resize_cases() -> Iterator[Case]:
    """Larger and smaller images, by every rule of where pixels lie."""
    for number, (wanted, mode) in enumerate(product([(7, 3), (8, 12), (1, 1)], range(3))):
        for kind, options in (
            ("RESIZE_BILINEAR", s.ResizeBilinearOptionsT()),
            ("RESIZE_NEAREST_NEIGHBOR", s.ResizeNearestNeighborOptionsT()),
        ):
            options.alignCorners, options.halfPixelCenters = mode == 1, mode == 2
            shapes = (1, 4, 6, 2), (1, *wanted, 2)
            yield single(f"{kind}_{number}_s16", kind, shapes, (1e-3, 1e-3), options, wanted, 4)


def cases() -> Iterator[Case]:
    """All of them."""
    yield from function_cases()
    yield from softmax_cases()
    yield from pool_cases()
    yield from reduction_cases()
    yield from resize_cases()
