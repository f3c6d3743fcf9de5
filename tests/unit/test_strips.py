"""Layers that run by turns: every row is made once, and read as if all of them were there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcuprune.boards import load_board
from mcuprune.cli import run
from mcuprune.errors import FitError
from mcuprune.generate import Generated, generate
from mcuprune.plan import memory
from mcuprune.plan.strips import Move, Rows, _part, _strips, extra_effort, possible_strips
from tests.tflite_builder import RELU, SAME, VALID, Builder, random_bias, random_int8

Shape = Mapping[str, int]


@st.composite
def window(draw: st.DrawFn, height: int) -> dict[str, int]:
    """A window over rows; one column of four channels, so that every row is a word."""
    stride, taps, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 2))
    span = (taps - 1) * dilation + 1
    if draw(st.booleans()) or span > height:
        out = -(-height // stride)
        pad = max(0, (out - 1) * stride + span - height) // 2
    else:
        out, pad = (height - span) // stride + 1, 0
    sizes = {"in_h": height, "out_h": out, "kernel_h": taps, "stride_h": stride, "dilation_h": dilation, "pad_top": pad}
    return {**sizes, "in_w": 1, "in_ch": 4, "out_w": 1, "out_ch": 4}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Shape, Shape]:
    maker = draw(window(draw(st.integers(4, 20))))
    return maker, draw(window(maker["out_h"]))


def reads(shape: Shape, row: int) -> list[int | None]:
    """Rows of the input that an output row reads, None for padding."""
    top = row * shape["stride_h"] - shape["pad_top"]
    rows = (top + tap * shape["dilation_h"] for tap in range(shape["kernel_h"]))
    return [r if 0 <= r < shape["in_h"] else None for r in rows]


@given(pairs(), st.integers(1, 6))
def test_strips_read_what_the_whole_would(shapes: tuple[Shape, Shape], height: int) -> None:
    """Replayed row by row: each call sees the rows it needs where it looks for them, padding included."""
    maker, reader = shapes
    strips = _strips(0, 9, height, maker, reader)
    if strips is None:  # some row is read by nobody: it would never be made
        assert {r for row in range(reader["out_h"]) for r in reads(reader, row)} < {None, *range(maker["out_h"])}
        return
    memory: dict[int, int] = {}  # row of the buffer: row of the tensor
    made: list[int] = []
    out: list[int] = []
    for part in strips.schedule:
        if isinstance(part, Move):
            rows = range(part.bytes // 4)
            memory = {row: memory[part.offset // 4 + row] for row in rows}
            continue
        whole = shapes[part.step]
        shape, low = _part(whole, part.first, part.end)
        assert shape["out_h"] == part.end - part.first and 0 <= shape["pad_top"] <= whole["pad_top"]
        for i, row in enumerate(range(part.first, part.end)):
            seen = [None if r is None else r + low for r in reads(shape, i)]
            assert seen == reads(whole, row)
            if part.step == 0:
                assert part.in_offset == low * 4
                memory[part.out_offset // 4 + i] = row
                made.append(row)
            else:
                assert [memory.get(r) for r in reads(shape, i) if r is not None] == [r for r in seen if r is not None]
                assert part.out_offset == part.first * 4
                out.append(row)
        assert all(0 <= row * 4 < strips.buffer_bytes for row in memory)
    assert out == list(range(reader["out_h"])) and made == list(range(maker["out_h"]))


def wide_model(path: Path, consumer: str) -> Path:
    """A convolution with a large output into something that shrinks it."""
    rng = np.random.default_rng(4)
    b = Builder()
    x = b.input((1, 33, 8, 2), 0.05, 3)
    weights = random_int8(rng, (16, 5, 3, 2))
    x = b.conv_2d(x, weights, random_bias(rng, 16), scale=0.1, zero_point=-128, activation=RELU)
    if consumer == "depthwise":
        taps = random_int8(rng, (1, 3, 3, 16))
        x = b.depthwise_conv_2d(x, taps, random_bias(rng, 16), stride=(2, 2), scale=0.1, zero_point=-9, padding=SAME)
    elif consumer == "conv":
        x = b.conv_2d(x, random_int8(rng, (4, 3, 3, 16)), random_bias(rng, 4), stride=(3, 1), scale=0.2, padding=VALID)
    else:
        x = b.average_pool_2d(x, (3, 2), (2, 2), SAME, kind=consumer)
    x = b.fully_connected(x, random_int8(rng, (4, int(np.prod(b.shape(x))))), random_bias(rng, 4), scale=0.3)
    path.write_bytes(b.build([x]))
    return path


def host(model: Path, **options: object) -> Generated:
    return generate(model, load_board("host"), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("consumer", ["depthwise", "conv", "AVERAGE_POOL_2D", "MAX_POOL_2D"])
def test_streamed_model_is_bit_exact(tmp_path: Path, capsys: pytest.CaptureFixture[str], consumer: str) -> None:
    """The streamed build and the one without strips equal the reference; the arena is smaller."""
    model = wide_model(tmp_path / "wide.tflite", consumer)
    streamed, whole = host(model).project, host(model, strips=False).project
    assert streamed.streamed == {0} and not whole.streamed
    assert streamed.plan.arena_bytes < 0.7 * whole.plan.arena_bytes
    assert run(["verify", str(model), "--random", "5", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["equal"] and all(layer["equal"] for layer in result["layers"])


def test_max_ram(tmp_path: Path) -> None:
    """A budget is met or refused with what would fit; strips that cost more moves are taken for it."""
    model = wide_model(tmp_path / "wide.tflite", "depthwise")
    free = host(model).project.plan.arena_bytes
    with pytest.raises(FitError, match="more than --max-ram 64") as caught:
        host(model, max_ram=64)
    assert caught.value.hint is not None
    least = int(caught.value.hint.split()[1])
    assert least <= free
    for budget in (least, (least + free) // 2, free, 10 * free):
        assert host(model, max_ram=budget).project.plan.arena_bytes <= min(budget, free)
    with pytest.raises(FitError):
        host(model, max_ram=least - 1)


def test_ds_cnn_l_fits_40_kb(shared: Path) -> None:
    """Its first convolution is streamed into the depthwise layer behind it."""
    project = generate(shared / "models" / "ds_cnn_l_int8.tflite", load_board("mps2-an386")).project
    assert project.streamed == {2} and project.plan.arena_bytes <= 40_000
    calls = [part for part in project.strips[0].schedule if isinstance(part, Rows)]
    assert len(set(map(id, project.strips[0].packed.values()))) < len(calls)  # strips of one shape share a struct


def test_strips_have_a_price(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`speed` pays less for a smaller arena than other objectives do; a budget is met at any price."""
    model, board = shared / "models" / "ds_cnn_l_int8.tflite", load_board("mps2-an386")
    monkeypatch.setattr(memory, "PRICE", {"speed": 0.0, "balanced": 0.05})
    monkeypatch.setattr("mcuprune.generate.PRICE", memory.PRICE)
    assert not generate(model, board, optimize="speed").project.strips
    assert generate(model, board, optimize="balanced").project.strips
    assert generate(model, board, optimize="speed", max_ram=60_000).project.strips
    project = generate(model, board, optimize="balanced").project
    costs = [
        round(extra_effort(project.choices, strips, board.core.name))
        for strips in possible_strips(project.graph, project.choices, 2)
    ]
    assert costs == sorted(costs, reverse=True) and costs[-1] > 0  # higher strips are fewer


def test_budget_takes_other_kernels(shared: Path) -> None:
    """Where strips do not help, kernels with less workspace serve the layers that need most."""
    model, board = shared / "models" / "kws_ref_model_int8.tflite", load_board("mps2-an386")
    free = generate(model, board, optimize="speed").project
    with pytest.raises(FitError) as caught:
        generate(model, board, optimize="speed", max_ram=1)
    assert caught.value.hint is not None
    least = int(caught.value.hint.split()[1])
    assert least < free.plan.arena_bytes
    tight = generate(model, board, optimize="speed", max_ram=least).project
    pairs = zip(free.choices, tight.choices, strict=True)
    changed = [(old, new) for old, new in pairs if old.label != new.label]
    assert tight.plan.arena_bytes == least and changed
    assert all(new.workspace_bytes < old.workspace_bytes or new.in_place for old, new in changed)
    assert all("for less memory than" in new.why and new.label in {c.label for c in old.found} for old, new in changed)
