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


def _time_major() -> Case:
    model = Builder()
    x = model.reshape(model.input((1, 4, 6), 0.03, 5), (4, 1, 6))
    return case("lstm_time_major", model, [lstm(model, x, np.random.default_rng(13), 7, time_major=True)], 1, CALLS)


def cases() -> Iterator[Case]:
    """Sums that fit and that wrap, sizes down to one; gates coupled, peepholes, projections, clips, all cell scales."""
    yield from _svdf_cases()
    yield from _lstm_cases()
    yield _time_major()
