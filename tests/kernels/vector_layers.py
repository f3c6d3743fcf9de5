"""Layers at the borders of kernels that work by vectors of 16: whole and ragged vectors, batches of rows, strips."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.c.kernel_cases import conv_case, conv_shape
from tests.kernels.layers import Layer, conv_layer, depthwise_layer


def right_shifts(rng: np.random.Generator, rows: int, out_zp: int, low: int = -128, high: int = 127) -> dict[str, Any]:
    """Multipliers of which all shift to the right, flushed ones and ties among them."""
    mult = rng.integers(2**30, 2**31, rows)
    mult[::3] = 2**30
    shift = -rng.integers(1, 14, rows)
    shift[mult == 2**30] = -rng.integers(6, 10)
    if rows > 4:
        mult[4], shift[4] = 0, 0
        mult[1], shift[1] = 2**31 - 1, -31
    return {"mult": mult, "shift": shift, "out_zp": out_zp, "act_min": low, "act_max": high}


def ties(rng: np.random.Generator, rows: int, out_zp: int) -> dict[str, Any]:
    """Multipliers of a power of two and small biases: many halves, of either sign."""
    bias, shift = rng.integers(-40, 41, rows), -rng.integers(1, 4, rows)
    full = {"out_zp": out_zp, "act_min": -128, "act_max": 127}
    return {"mult": np.full(rows, 2**30), "shift": shift, "bias": bias, **full}


def vector_convs() -> Iterator[Layer]:
    """Columns around vectors, rows around a batch of 64, positions around tiles, windows wider than the input."""
    rng = np.random.default_rng(31)
    for vectors in (1, 2, 3, 4, 5, 6, 9):
        for more in (-1, 0, 1):
            shape = conv_shape((1, 5, 16 * vectors + more), 6)
            case = conv_case(f"vectors_{vectors}_{more}", rng, shape, 0.6, **right_shifts(rng, 6, -128))
            yield conv_layer(case)
    for rows in (1, 2, 3, 4, 5, 63, 64, 65, 66, 67, 130):
        case = conv_case(f"batch_{rows}", rng, conv_shape((3, 3, 21), rows), 0.4, **right_shifts(rng, rows, 3))
        yield conv_layer(case)
    for positions in range(1, 18):
        shape = conv_shape((positions, 1, 33), 66)
        yield conv_layer(conv_case(f"tile_{positions}", rng, shape, 0.3, **right_shifts(rng, 66, -128)))
    for out_zp, low, high in ((-128, -128, 127), (-127, -128, 127), (5, -100, 90), (-128, -100, 127), (127, -128, 0)):
        shape = conv_shape((3, 4, 18), 13)
        case = conv_case(f"rounding_{out_zp}_{low}", rng, shape, 0.5, **right_shifts(rng, 13, out_zp, low, high))
        yield conv_layer(case)
    for out_zp in (-128, -127, 5):
        case = conv_case(f"ties_{out_zp}", rng, conv_shape((3, 4, 18), 13), 0.0, **ties(rng, 13, out_zp))
        case.w[:, ::7] = rng.integers(-1, 2, case.w[:, ::7].shape)
        case.x[:] = rng.integers(-9, 10, case.x.shape)
        yield conv_layer(case)
    for size, kernel in (((3, 2, 5), (3, 5)), ((4, 23, 1), (10, 4)), ((2, 1, 20), (3, 3)), ((5, 4, 17), (1, 3))):
        shape = conv_shape(size, 9, kernel, pad_value=-7)
        yield conv_layer(conv_case(f"wide_{kernel}_{size}", rng, shape, 0.4, **right_shifts(rng, 9, -9)))


def moved_blocks() -> Iterator[Layer]:
    """Rows of blocks of 16 columns that lost some columns, empty and full rows among them."""
    rng = np.random.default_rng(32)
    for dropped in (0, 3, 20):
        rows, cols = 70, 96 - dropped
        kept = np.repeat(rng.random((rows, 6)) < 0.3, 16, axis=1)
        kept[2], kept[-1] = False, True
        case = conv_case(f"moved_{dropped}", rng, conv_shape((3, 3, cols), rows), 1.0, **right_shifts(rng, rows, -128))
        case.w[~np.delete(kept, rng.choice(96, dropped, replace=False), axis=1)] = 0
        yield conv_layer(case)


def vector_depthwise() -> Iterator[Layer]:
    """Rows of outputs longer than a strip, windows up to 16 taps, channels around a vector and a quad."""
    rng = np.random.default_rng(33)
    for channels in (4, 6, 16, 20, 31):
        for width, stride in ((9, 1), (10, 1), (19, 1), (10, 2), (11, 2), (25, 2)):
            shape = conv_shape((4, width, channels), channels, (3, 3), (stride, stride), pad_value=9)
            fixed = right_shifts(rng, channels, (-128, 4)[width % 2])
            yield depthwise_layer(f"strip_{channels}_{width}_{stride}", rng, shape, **fixed)
    for window in ((1, 1), (1, 16), (2, 8), (4, 4), (3, 5), (4, 1), (2, 3)):
        for stride in ((1, 1), (3, 2), (5, 5)):
            shape = conv_shape((9, 13, 5), 5, window, stride, pad_value=-1)
            yield depthwise_layer(f"taps_{window}_{stride}", rng, shape, **right_shifts(rng, 5, -128))
    for out_zp, low, high in ((-128, -128, 127), (-128, -128, 100), (5, -100, 127), (-1, -128, 127)):
        shape = conv_shape((6, 7, 12), 12, (3, 3), pad_value=3)
        fixed = right_shifts(rng, 12, out_zp, low, high)
        yield depthwise_layer(f"rounding_{out_zp}_{high}", rng, shape, **fixed)
    for out_zp in (-128, -127, 5):
        shape = conv_shape((6, 7, 12), 12, (1, 1))
        yield depthwise_layer(f"ties_{out_zp}", rng, shape, True, **ties(rng, 12, out_zp))
