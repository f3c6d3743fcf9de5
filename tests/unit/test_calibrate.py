"""Calibration without a board: the fit, the layers, the table's text."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from mcuprune.boards import load_board
from mcuprune.encodings import ENCODINGS
from mcuprune.kernels.catalog import CATALOG
from mcuprune.kernels.cost import features
from mcuprune.kernels.kernel import Kernel
from mcuprune.masks import NM, Block, Unstructured
from mcuprune.profile.calibrate import TABLE, fit, text_of
from mcuprune.profile.calibration import FAMILIES, calibration_projects, pattern_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def kernel_of(symbol: str) -> Kernel:
    return next(kernel for kernel in CATALOG if kernel.symbol == symbol)


@pytest.mark.parametrize("family", FAMILIES)
def test_fit_finds_what_made_the_counts(family: str) -> None:
    """Counts made by known coefficients are predicted exactly, and what had no part in them gets no coefficient."""
    kernel = kernel_of(f"mp_{family}_dense_ref")
    ((project, _),) = calibration_projects(load_board("mps2-an386"), [(kernel, "dense")])
    made = {"layer": 500.0, "row": 40.0, "walk": 3.0}
    counts = []
    for choice in project.choices:
        assert choice.params is not None and choice.packed is not None
        values = features(kernel, choice.params.geometry, choice.packed)
        counts.append(round(sum(value * values[name] for name, value in made.items())))
    coefficients, error = fit(project.choices, counts)
    assert error <= 0.002
    assert coefficients["walk"] == pytest.approx(3.0, rel=0.02) and coefficients["row"] == pytest.approx(40.0, rel=0.05)


def test_error_is_the_largest_one() -> None:
    """Of counts that no linear model gives, the error promised is the one found, rounded up."""
    kernel = kernel_of("mp_conv2d_s8_dense_ref")
    ((project, _),) = calibration_projects(load_board("mps2-an385"), [(kernel, "dense")])
    rng = np.random.default_rng(3)
    tables = []
    for choice in project.choices:
        assert choice.params is not None and choice.packed is not None
        tables.append(features(kernel, choice.params.geometry, choice.packed))
    counts = [round(5 * t["walk"] * rng.uniform(0.9, 1.1)) for t in tables]
    coefficients, error = fit(project.choices, counts)
    predicted = [sum(v * t[name] for name, v in coefficients.items()) for t in tables]
    off = max(abs(p / c - 1) for p, c in zip(predicted, counts, strict=True))
    assert 0.03 < error < 0.11 and off == pytest.approx(error, abs=2e-3)
    assert all(value > 0 for value in coefficients.values())


@pytest.mark.parametrize(
    ("encoding", "pattern"),
    [
        ("dense", Unstructured()),
        ("gap", Unstructured()),
        ("block4x1", Block(4, 1)),
        ("nm2x4", NM(2, 4)),
        ("nm2x4x2", NM(2, 4, 2)),
    ],
)
def test_zeros_lie_as_the_encoding_likes_them(encoding: str, pattern: object) -> None:
    """The pattern of an encoding's name."""
    assert pattern_of(encoding) == pattern


@pytest.mark.parametrize("board", ["mps2-an385-m0", "mps2-an385", "mps2-an386", "mps3-an547"])
def test_every_kernel_that_is_chosen_by_cost_has_a_cost(board: str) -> None:
    """A kernel with weights that a core runs stands in costs.toml; cycles stand there for the Cortex-M4."""
    from mcuprune.kernels.cost import measured

    core = load_board(board).core
    for kernel in CATALOG:
        if kernel.isa in core.isas and kernel.family in FAMILIES:
            for encoding in ENCODINGS.values():
                if kernel.serves(encoding):
                    known = measured(kernel, core.name, encoding.name)
                    assert known is not None and known.instructions, f"{core.name} {kernel.symbol}: make calibrate"
                    assert bool(known.cycles) == (core.name == "cortex-m4f"), kernel.symbol


def test_table_is_written_as_it_is_read() -> None:
    """costs.toml is what the calibration writes."""
    text = TABLE.read_text(encoding="utf-8")
    assert text_of(tomllib.loads(text)["cores"]) == text


def test_layers_do_not_depend_on_their_company() -> None:
    """Several kernels share a project as far as the memories allow; each has the layers that it has alone."""
    board = load_board("mps2-an386")
    gap, dense = kernel_of("mp_conv2d_s8_gap_ref"), kernel_of("mp_conv2d_s8_dense_ref")
    ((together, users),) = calibration_projects(board, [(gap, "gap"), (dense, "dense")])
    ((alone, _),) = calibration_projects(board, [(dense, "dense")])
    assert users == [(gap, "gap")] * (len(users) - len(alone.choices)) + [(dense, "dense")] * len(alone.choices)
    for one, other in zip(together.choices[-len(alone.choices) :], alone.choices, strict=True):
        assert one.params is not None and other.params is not None and one.encoding == other.encoding == "dense"
        assert np.array_equal(one.params.rows, other.params.rows) and one.flash_bytes == other.flash_bytes
    small = replace(board, ram=replace(board.ram, bytes=150_000))
    assert len(calibration_projects(small, [(gap, "gap"), (dense, "dense")])) == 2
