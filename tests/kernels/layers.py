"""Layers for the tester of kernels: what `lower` makes of an operator, its inputs, and the bytes it must give.

Convolutions and fully-connected layers come with numbers of their own (ties, shifts at both ends, sums at the bound of
lanes), the others from one-operator graphs and the interpreter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune import numerics
from mcuprune.encodings import Array
from mcuprune.ir import interpreter
from mcuprune.ir.attributes import Activation, ArithmeticAttrs, Attrs, NoAttrs, Padding, PoolAttrs, SoftmaxAttrs
from mcuprune.ir.graph import DType, Graph, Op, Quant, Tensor
from mcuprune.kernels.lowering import lower
from mcuprune.kernels.params import Geometry, LayerParams
from mcuprune.numerics import requantize_once
from tests.c.kernel_cases import ConvCase, Int8, conv_shape, int8, rescale, rescaled, sparse_rows, windows

_OP = Op(0, "TEST", "layer", (0,), (1,), NoAttrs())


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One layer, its inputs, and its output; states: what it keeps, before and after."""

    name: str
    params: LayerParams
    inputs: tuple[npt.NDArray[Any], ...]
    expected: npt.NDArray[Any]
    states: tuple[tuple[npt.NDArray[Any], npt.NDArray[Any]], ...] = ()


def _rescale_parts(r: dict[str, Any]) -> tuple[dict[str, Any], tuple[Array, ...]]:
    fields = {"bias": "", "mult": "", "shift": ""} | {k: r[k] for k in ("out_zp", "act_min", "act_max")}
    arrays = (
        Array("rescale.bias", "int32_t", np.asarray(r["bias"], np.int32)),
        Array("rescale.mult", "int32_t", np.asarray(r["mult"], np.int32)),
        Array("rescale.shift", "int8_t", np.asarray(r["shift"], np.int8)),
    )
    return fields, arrays


def _bound(r: dict[str, Any], rows: npt.NDArray[np.int8]) -> tuple[int, ...]:
    magnitude = np.abs(rows.astype(np.int64)).sum(axis=1)
    return tuple((np.abs(np.asarray(r["bias"], np.int64)) + 128 * magnitude).tolist())


def conv_layer(case: ConvCase) -> Layer:
    """A convolution of tests/c/kernel_cases.py."""
    s = case.shape
    fields, arrays = _rescale_parts(case.rescale)
    positions = s["out_h"] * s["out_w"]
    flat = all(s[k] == 1 for k in ("kernel_h", "kernel_w", "stride_h", "stride_w"))
    pointwise = flat and (s["in_h"], s["in_w"], s["pad_top"], s["pad_left"]) == (s["out_h"], s["out_w"], 0, 0)
    geometry = Geometry(positions, *case.w.shape, s["in_ch"], pointwise)
    params = LayerParams(
        _OP,
        "conv2d_s8",
        {"shape": dict(s), "rescale": fields},
        arrays,
        case.w,
        geometry,
        (0,),
        1,
        row_bound=_bound(case.rescale, case.w),
    )
    return Layer(case.name, params, (case.x,), case.expected)


def depthwise_layer(
    name: str, rng: np.random.Generator, shape: dict[str, int], small: bool = False, dead: int = 0, **fixed: Any
) -> Layer:
    """A depthwise convolution on random data, on small numbers where that is asked for; its first channels are dead."""
    s, taps = shape, shape["kernel_h"] * shape["kernel_w"]
    x = int8(rng, s["in_h"], s["in_w"], s["in_ch"])
    w = int8(rng, s["kernel_h"], s["kernel_w"], s["out_ch"])
    if small:
        x, w = (x % 19 - 9).astype(np.int8), (w % 3 - 1).astype(np.int8)
    w[:, :, :dead] = 0
    r = rescale(rng, s["out_ch"], taps) | fixed
    seen = np.repeat(windows(s, x), s["out_ch"] // s["in_ch"], axis=-1)
    expected = rescaled((seen * w).sum(axis=(2, 3)) + r["bias"], r)
    fields, arrays = _rescale_parts(r)
    rows = w.reshape(taps, -1)
    sizes = s["out_w"], s["stride_w"], s["stride_h"]
    geometry = Geometry(s["out_h"] * s["out_w"], s["out_ch"], taps, s["in_ch"], False, taps, *sizes)
    params = LayerParams(
        _OP,
        "depthwise_conv2d_s8",
        {"shape": dict(s), "rescale": fields},
        arrays,
        rows,
        geometry,
        (0,),
        1,
        row_bound=_bound(r, np.ascontiguousarray(rows.T)),
    )
    return Layer(name, params, (x,), expected)


def fully_connected_layer(
    name: str, rng: np.random.Generator, rows: int, cols: int, batches: int, density: float, single: int
) -> Layer:
    """A fully-connected layer on random data."""
    x, w, r = int8(rng, batches, cols), sparse_rows(rng, rows, cols, density), rescale(rng, rows, cols)
    acc = x.astype(np.int64) @ w.T.astype(np.int64) + r["bias"]
    expected = rescaled(acc, r, requantize_once) if single else rescaled(acc, r)
    fields, arrays = _rescale_parts(r)
    shape = {"batches": batches, "cols": cols, "rows": rows, "single_rounding": single}
    geometry = Geometry(batches, rows, cols, cols, True)
    params = LayerParams(
        _OP,
        "fully_connected_s8",
        {"shape": shape, "rescale": fields},
        arrays,
        w,
        geometry,
        (0,),
        1,
        row_bound=_bound(r, w),
    )
    return Layer(name, params, (x,), expected)


def one_op(
    name: str,
    kind: str,
    attrs: Attrs,
    inputs: tuple[npt.NDArray[np.int8], ...],
    quants: tuple[Quant, ...],
    out_shape: tuple[int, ...],
    out_quant: Quant,
) -> Layer:
    """A layer without weights: its meaning is the interpreter's."""
    tensors = [Tensor(i, f"x{i}", x.shape, DType.INT8, q) for i, (x, q) in enumerate(zip(inputs, quants, strict=True))]
    count = len(tensors)
    tensors.append(Tensor(count, "y", out_shape, DType.INT8, out_quant))
    op = Op(0, kind, "layer", tuple(range(count)), (count,), attrs)
    graph = Graph(tuple(tensors), (op,), tuple(range(count)), (count,), "", name)
    params = lower(graph, op)
    assert params is not None
    return Layer(name, params, inputs, interpreter.run(graph, list(inputs))[count])


def small_scales(rng: np.random.Generator, rows: int, cols: int, **fixed: Any) -> dict[str, Any]:
    """Multipliers as trained models have them: right shifts only; every fourth row has ties in the second rounding."""
    scales = np.exp2(rng.uniform(-9, -4, rows)) / np.sqrt(cols)
    pairs = [numerics.quantize_multiplier(float(s)) for s in scales]
    pairs[::4] = [(2**30, -int(rng.integers(3, 8))) for _ in pairs[::4]]
    values = {
        "bias": rng.integers(-(2**12), 2**12, rows),
        "mult": np.array([m for m, _ in pairs]),
        "shift": np.array([s for _, s in pairs]),
        "out_zp": int(rng.choice([-128, 127, 0, 3, -77])),
        "act_min": -128,
        "act_max": 127,
    }
    return values | fixed


def depthwise_3x3_layers() -> Iterator[Layer]:
    """Sizes around blocks, bands and tiles of fast 3x3 kernels, with numbers that they serve."""
    rng = np.random.default_rng(24)
    sizes = (
        (1, 1),
        (1, 2),
        (2, 1),
        (2, 2),
        (3, 3),
        (3, 4),
        (4, 3),
        (5, 2),
        (13, 5),
        (14, 3),
        (15, 4),
        (16, 2),
        (28, 1),
    )
    sizes += ((29, 2), (30, 3), (2, 24), (3, 25), (2, 26), (3, 47), (2, 48), (4, 49), (7, 7), (8, 8))
    for i, (height, width) in enumerate(sizes):
        channels = (4, 5, 6, 7, 8, 11)[i % 6]
        for stride in (1, 2):
            for same in (True, False):
                if same or min(height, width) >= 3:
                    shape = conv_shape(
                        (height, width, channels),
                        channels,
                        (3, 3),
                        (stride, stride),
                        (1, 1),
                        same,
                        (5, -128, 127)[i % 3],
                    )
                    name = f"3x3_{height}x{width}x{channels}_{stride}_{same}"
                    relu = {"out_zp": -128} if (i + stride) % 2 else {}
                    yield depthwise_layer(name, rng, shape, **small_scales(rng, channels, 9, **relu))
    for top, left in ((2, 2), (0, 1), (1, 0), (2, 0)):
        shape = conv_shape((6, 5, 9), 9, (3, 3)) | {"pad_top": top, "pad_left": left}
        yield depthwise_layer(f"3x3_pads_{top}_{left}", rng, shape, **small_scales(rng, 9, 9))
    for zp in (-128, -5, 127):  # a ReLU at every shift, from one that always saturates to one byte for all
        shifts = np.repeat(np.arange(-22, -2), 3)
        numbers = {"shift": shifts, "bias": rng.integers(-(2**9), 2**9, 60) << np.maximum(-shifts - 4, 0)}
        numbers["mult"] = np.where(rng.random(60) < 0.3, 2**30, rng.integers(2**30, 2**31, 60))
        shape = conv_shape((5, 6, 60), 60, (3, 3))
        yield depthwise_layer(f"3x3_relu_{zp}", rng, shape, act_min=zp, act_max=127, out_zp=zp, **numbers)
    for zp in (-128, -7, 5):  # dead channels give a byte of their own
        numbers = {"bias": rng.integers(-(2**15), 2**15, 10), "shift": np.full(10, -8)}
        for stride in (1, 2):
            shape = conv_shape((5, 6, 10), 10, (3, 3), (stride, stride))
            linear = small_scales(rng, 10, 9, out_zp=zp, **numbers)
            yield depthwise_layer(f"3x3_dead_{zp}_{stride}", rng, shape, dead=7, **linear)
            yield depthwise_layer(f"3x3_dead_relu_{zp}_{stride}", rng, shape, dead=7, **linear | {"act_min": zp})
    clamped = small_scales(rng, 8, 9, act_min=-5, act_max=100, out_zp=-5)
    yield depthwise_layer("3x3_clamped", rng, conv_shape((5, 5, 8), 8, (3, 3)), **clamped)


def depthwise_layers() -> Iterator[Layer]:
    """Channels, sizes, windows, strides, padding, multipliers, zero points and rounding; the same at each call."""
    rng = np.random.default_rng(21)
    full = {"act_min": -128, "act_max": 127}
    for channels in (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33):
        shape = conv_shape((5, 4, channels), channels, (3, 3))
        yield depthwise_layer(f"channels_{channels}", rng, shape, **full, out_zp=-3)
    for height, width in ((1, 1), (1, 5), (5, 1), (2, 2), (3, 3), (4, 7), (13, 5), (8, 6)):
        for stride in (1, 2):
            for same in (True, False):
                if same or min(height, width) >= 3:
                    shape = conv_shape((height, width, 5), 5, (3, 3), (stride, stride), (1, 1), same, 127)
                    yield depthwise_layer(f"size_{height}x{width}_{stride}_{same}", rng, shape, **full)
    for window, stride, dilation in (
        ((5, 5), (1, 1), (1, 1)),
        ((3, 3), (2, 1), (1, 1)),
        ((3, 3), (1, 2), (1, 1)),
        ((10, 4), (2, 1), (1, 1)),
        ((1, 3), (1, 1), (1, 1)),
        ((3, 1), (1, 1), (1, 1)),
        ((3, 3), (1, 1), (2, 2)),
        ((2, 2), (1, 1), (1, 1)),
        ((1, 1), (1, 1), (1, 1)),
    ):
        shape = conv_shape((9, 8, 6), 6, window, stride, dilation, pad_value=5)
        yield depthwise_layer(f"window_{window}_{stride}_{dilation}", rng, shape)
    for multiplier in (2, 3):
        yield depthwise_layer(f"multiplier_{multiplier}", rng, conv_shape((4, 4, 3), 3 * multiplier, (3, 3)))
    for pad_value in (-128, 127, 0):
        for out_zp in (-128, 127, 5):
            shape = conv_shape((6, 5, 9), 9, (3, 3), (2, 2), pad_value=pad_value)
            yield depthwise_layer(f"zp_{pad_value}_{out_zp}", rng, shape, **full, out_zp=out_zp)
    for shift in (-31, -23, -22, -21, -9, -3, -2, -1, 0, 1):
        shape = conv_shape((4, 4, 6), 6, (3, 3), pad_value=-128)
        fixed = {"shift": np.full(6, shift), "mult": np.array([2**30, 2**31 - 1, 2**30 + 1, 3 << 29, 2**30, 0])}
        bias = rng.integers(-9, 10, 6) << max(0, -shift - 3)
        yield depthwise_layer(f"shift_{shift}", rng, shape, **full, **fixed, out_zp=7, bias=np.minimum(bias, 2**20))
    yield depthwise_layer("clamped", rng, conv_shape((5, 5, 8), 8, (3, 3)), act_min=-1, act_max=100, out_zp=3)
    yield from depthwise_3x3_layers()


def fully_connected_layers() -> Iterator[Layer]:
    """Columns, rows, batches, densities, both rules of rounding; the same at each call."""
    rng = np.random.default_rng(22)
    for cols in (1, 2, 3, 4, 5, 8, 15, 16, 17, 64, 255, 256, 257, 513):
        for single in (0, 1):
            yield fully_connected_layer(f"cols_{cols}_{single}", rng, 5, cols, 1, 0.5, single)
    for rows in (1, 2, 3, 4, 7, 8, 9, 12):
        yield fully_connected_layer(f"rows_{rows}", rng, rows, 37, 2, 0.3, 1)
    for density in (0.0, 0.02, 1.0):
        yield fully_connected_layer(f"density_{density}", rng, 6, 130, 3, density, 1)


def max_pool_layer(name: str, rng: np.random.Generator, shape: dict[str, int], low: int, high: int) -> Layer:
    """Max pooling on random data: taps outside lose against every value inside."""
    x = int8(rng, shape["in_h"], shape["in_w"], shape["in_ch"])
    seen = windows(shape | {"pad_value": -128}, x)
    fields = {"shape": dict(shape), "act_min": low, "act_max": high}
    params = LayerParams(_OP, "max_pool_s8", fields, (), None, Geometry(), (0,), 1)
    return Layer(name, params, (x,), np.clip(seen.max(axis=(2, 3)), low, high).astype(np.int8))


def mul_layer(
    name: str, a: Int8, b: Int8, offsets: tuple[int, int], mult: int, shift: int, out: tuple[int, ...]
) -> Layer:
    """A product as TensorFlow Lite's reference computes it; out: zero point and activation range."""
    product = (a.astype(np.int64) + offsets[0]) * (b.astype(np.int64) + offsets[1])
    r = {"mult": np.array(mult), "shift": np.array(shift)} | dict(
        zip(("out_zp", "act_min", "act_max"), out, strict=True)
    )
    dims = (1,) * (4 - product.ndim) + product.shape
    fields: dict[str, Any] = {"dims": dims}
    for i, x in enumerate((a, b), start=1):
        wide = np.broadcast_to(x.reshape((1,) * (4 - x.ndim) + x.shape), dims)
        fields |= {f"stride{i}": tuple(int(s) for s in wide.strides), f"in{i}_offset": offsets[i - 1]}
    fields |= {"mult": mult, "shift": shift} | {k: r[k] for k in ("out_zp", "act_min", "act_max")}
    params = LayerParams(_OP, "mul_s8", fields, (), None, Geometry(), (0, 1), 2)
    return Layer(name, params, (a, b), rescaled(product, r))


def elementwise_layers() -> Iterator[Layer]:
    """Max pooling, products, and sums with scales that differ by much or not at all; the same at each call."""
    rng = np.random.default_rng(25)
    for channels in (1, 3, 4, 5, 8, 15):
        for same in (True, False):
            for window, stride in (((2, 2), (2, 2)), ((3, 3), (1, 2)), ((4, 3), (3, 1))):
                shape = conv_shape((5, 6, channels), channels, window, stride, (1, 1), same)
                low, high = (-128, 127) if same else (-20, 50)
                yield max_pool_layer(f"max_{channels}_{same}_{window}", rng, shape, low, high)
    for a, b in (((1, 4, 4, 16), (1, 4, 4, 16)), ((1, 3, 3, 5), (1, 1, 1, 5)), ((2, 3, 4), (2, 3, 1)), ((7,), (7,))):
        for shift in (-17, -15, -9, -8, -2, -1, 0, 1):
            for mult in (2**30, 1518500250):
                offsets = (int(rng.integers(-127, 129)), int(rng.integers(-127, 129)))
                out = ((5, -128, 127), (-128, -128, 127), (3, 3, 100))[int(rng.integers(3))]
                name = f"mul_{a}_{b}_{shift}_{mult}"
                yield mul_layer(name, int8(rng, *a), int8(rng, *b), offsets, mult, shift, out)
    for first, second, out in (
        (0.1, 0.1, 0.1),
        (0.05, 0.1, 0.13),
        (0.3, 0.0011, 0.2),
        (1.0, 1e-4, 0.9),
        (0.5, 0.5, 0.004),
    ):
        for zps in ((0, 0, 0), (-128, 127, 127), (127, -128, -128), (7, -9, 3)):
            x, y = int8(rng, 1, 5, 7, 9), int8(rng, 1, 5, 7, 9)
            x.flat[:4], y.flat[:4] = (-128, 127, -128, 127), (-128, 127, 127, -128)
            quants = [Quant((scale,), (zp,)) for scale, zp in zip((first, second, out), zps, strict=True)]
            activation = Activation.RELU if zps[2] == 3 else Activation.NONE
            name = f"add_{first}_{second}_{out}_{zps}"
            yield one_op(name, "ADD", ArithmeticAttrs(activation), (x, y), tuple(quants[:2]), x.shape, quants[2])


def plain_layers() -> Iterator[Layer]:
    """Layers without weights; the same at each call."""
    rng = np.random.default_rng(23)
    yield from elementwise_layers()
    same = Quant((0.1,), (3,))
    for height, width, channels in ((1, 1, 1), (13, 5, 276), (5, 4, 7), (2, 9, 4), (6, 6, 33)):
        for window, stride, padding in (
            ((height, width), (1, 1), Padding.VALID),
            ((2, 2), (2, 2), Padding.SAME),
            ((3, 3), (1, 2), Padding.SAME),
        ):
            x = int8(rng, 1, height, width, channels)
            size = (height, width) if padding is Padding.SAME else (1, 1)
            out = tuple(-(-n // s) for n, s in zip(size, stride, strict=True))
            attrs = PoolAttrs(window, stride, padding, Activation.NONE)
            name = f"pool_{height}x{width}x{channels}_{window}"
            yield one_op(name, "AVERAGE_POOL_2D", attrs, (x,), (same,), (1, *out, channels), same)
    for rows, cols in ((1, 1), (1, 12), (3, 10), (2, 257)):
        for scale in (0.01, 0.2, 1.5):
            x = int8(rng, rows, cols)
            quant, out = Quant((scale,), (0,)), Quant((1 / 256,), (-128,))
            yield one_op(f"softmax_{rows}x{cols}_{scale}", "SOFTMAX", SoftmaxAttrs(1.0), (x,), (quant,), x.shape, out)
    for a, b in (
        ((1, 3, 3, 5), (1, 3, 3, 5)),
        ((1, 4, 4, 16), (1, 4, 4, 16)),
        ((1, 2, 3, 4), (1, 1, 1, 4)),
        ((7,), (7,)),
    ):
        for zp in (-128, 127, 4):
            x, y = int8(rng, *a), int8(rng, *b)
            quants = (Quant((0.05,), (zp,)), Quant((0.3,), (-zp if zp > -128 else 127,)))
            name = f"add_{a}_{zp}"
            yield one_op(name, "ADD", ArithmeticAttrs(Activation.NONE), (x, y), quants, a, Quant((0.21,), (-5,)))
