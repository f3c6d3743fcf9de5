"""SVDF and LSTM: calls in a row, every option that the reference takes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.grid.cases import ZERO_POINTS, Case, case
from tests.recurrent import lstm, svdf
from tests.tflite_builder import Builder

CALLS = 4


def _svdf_cases() -> Iterator[Case]:
    rng = np.random.default_rng(11)
    for number, (inputs, filters, rank, memory) in enumerate(
        [(7, 6, 2, 5), (1, 1, 1, 1), (16, 8, 1, 10), (3, 9, 3, 2), (5, 4, 4, 7)]
    ):
        for reach in (200, 32767):  # with the second one sums wrap
            for out_scale in (1e-3, 0.1, 8.0):
                model = Builder()
                x = model.input((1, inputs), 0.05, ZERO_POINTS[number])
                scales = (0.01, 1e-3, 1e-4, out_scale)
                zero = ZERO_POINTS[-number]
                y = svdf(
                    model, x, rng, filters, rank, memory, scales=scales, zero_point=zero, reach=reach, bias=rank < 3
                )
                yield case(f"svdf_{number}_{reach}_{out_scale}", model, [y], number, CALLS)


def _lstm_cases() -> Iterator[Case]:
    rng = np.random.default_rng(12)
    number = 0
    for coupled in (False, True):
        for peephole in (False, True):
            for outputs in (None, 3, 5):
                for clips in ((0.0, 0.0), (0.4, 0.3)):
                    zero, scale = ZERO_POINTS[number % 5], (0.002, 0.01, 0.05)[number % 3]
                    model = Builder()
                    x = model.input((1, 3, 4), 0.03, ZERO_POINTS[number % 4])
                    y = lstm(
                        model,
                        x,
                        rng,
                        5,
                        outputs,
                        coupled=coupled,
                        peephole=peephole,
                        clips=clips,
                        weight_scale=scale,
                        out=(1 / 100, zero),
                        hidden=(1 / (90 + 20 * (number % 4)), ZERO_POINTS[number % 3]),
                        cell_bits=number % 7,
                        projection_bias=number % 2 == 0,
                    )
                    yield case(f"lstm_{number}", model, [y], number, CALLS)
                    number += 1


def _normalized_cases() -> Iterator[Case]:
    """Layer normalization: powers of two of cells and others, deviations large, small and none, every option once."""
    rng = np.random.default_rng(14)
    for number in range(16):
        cells = (5, 1, 8, 7)[number % 4]
        model = Builder()
        x = model.input((1, 3, 4), 0.03, ZERO_POINTS[number % 5])
        y = lstm(
            model,
            x,
            rng,
            cells,
            (None, 3)[number // 4 % 2] if cells > 1 else None,
            coupled=number % 3 == 1,
            peephole=number % 5 < 2,
            weight_scale=(0.002, 0.01, 1e-4)[number % 3],
            norm_scale=(3e-5, 1e-3, 1e-6, 0.02)[number // 2 % 4],
            gate_scale=(2.0**-10, 1e-5, 0.03)[number % 3],
            cell_bits=number % 7,
        )
        yield case(f"lstm_norm_{number}", model, [y], number, CALLS)


def _outlier() -> Case:
    """All cells of a gate but one saturate: the variance comes out as none, products leave int32."""
    model = Builder()
    x = model.input((1, 1, 2), 0.03)
    y = lstm(model, x, np.random.default_rng(0), 7, norm_scale=1e-5, gate_scale=0.01 * 0.03 * 4096 / 32627)
    wires = model.graph.operators[-1].inputs
    weights = np.full((7, 2), 127, np.int8)
    weights[0] = 32, 1  # on the input below 4096
    for place in range(1, 9):
        tensor = model.graph.tensors[wires[place]]
        data = weights if place < 5 else np.zeros((7, 7), np.int8)
        tensor.quantization.scale = [0.01]
        model.model.buffers[tensor.buffer].data = np.frombuffer(data.tobytes(), np.uint8)
    return Case("lstm_norm_outlier", model.build([y]), ((np.array([[[127, 32]]], np.int8),),))


def _time_major() -> Case:
    model = Builder()
    x = model.reshape(model.input((1, 4, 6), 0.03, 5), (4, 1, 6))
    return case("lstm_time_major", model, [lstm(model, x, np.random.default_rng(13), 7, time_major=True)], 1, CALLS)


def cases() -> Iterator[Case]:
    """Sums that fit and that wrap, sizes down to one; gates coupled, peepholes, projections, clips, all cell scales."""
    yield from _svdf_cases()
    yield from _lstm_cases()
    yield from _normalized_cases()
    yield _outlier()
    yield _time_major()
