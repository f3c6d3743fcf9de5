"""The arena: no two buffers that live at the same time overlap, unless one is written over the other."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_graph

from mcuprune.importers.tflite import import_tflite
from mcuprune.ir.attributes import Activation, ArithmeticAttrs, ConcatenationAttrs
from mcuprune.ir.graph import DType, Graph, Op, Quant, Tensor
from mcuprune.plan.arena import plan_arena
from mcuprune.plan.blocks import ALIGNMENT, Block, Buffer, lower_bound, peak
from mcuprune.plan.place import place

lives = st.tuples(st.integers(0, 12), st.integers(0, 6), st.integers(1, 500))


@st.composite
def groups(draw: st.DrawFn) -> Block:
    """A buffer, and some that are written over it when it dies, each not larger than the one before."""
    first, length, size = draw(lives)
    members = [Buffer("a", size * ALIGNMENT, first, first + length)]
    for _ in range(draw(st.integers(0, 3))):
        over, size = members[-1].last, draw(st.integers(1, size))
        members.append(Buffer("b", size * ALIGNMENT, over, over + draw(st.integers(0, 4))))
    return tuple(members)


@given(st.lists(groups(), min_size=1, max_size=25))
def test_live_buffers_never_overlap(items: list[Block]) -> None:
    """Buffers whose lives meet lie apart, those of a group start together; the plan is never below the lower bound."""
    placed = place(items)
    assert [[replace(b, offset=-1) for b in group] for group in placed] == [list(group) for group in items]
    for one, other in itertools.combinations(placed, 2):
        for a, b in itertools.product(one, other):
            assert not a.meets(b) or a.offset + a.bytes <= b.offset or b.offset + b.bytes <= a.offset, (a, b)
    assert all(len({b.offset for b in group}) == 1 and group[0].offset % ALIGNMENT == 0 for group in placed)
    assert peak(placed) >= lower_bound(placed)


def test_chain_reaches_the_lower_bound() -> None:
    """In a chain of layers, input and output of each step are all that lives."""
    sizes = [100, 400, 200, 300, 40]
    placed = place([(Buffer(str(i), size, i - 1, i),) for i, size in enumerate(sizes)])
    assert peak(placed) == lower_bound(placed) == 600


def assert_sound(graph: Graph, workspaces: dict[int, int], in_place: set[int], streamed: dict[int, int]) -> None:
    """Replay the schedule: at each step, everything that is live lies apart, but for an output over its input."""
    plan = plan_arena(graph, workspaces, in_place, streamed)
    assert plan.in_place <= in_place and plan.arena_bytes >= plan.lower_bound
    steps = range(len(graph.ops))
    made = dict.fromkeys(graph.inputs, -1)
    read = dict(made)
    source = {t: t for t in graph.inputs}  # whose memory a tensor is
    for step, op in enumerate(graph.ops):
        for t in op.outputs:
            source[t] = source[op.inputs[0]] if op.kind == "RESHAPE" else t
            made.setdefault(source[t], step)
        for t in (t for t in (*op.inputs, *op.outputs) if t in source):
            read[source[t]] = step
    read |= dict.fromkeys((source[t] for t in graph.outputs), len(steps))
    for step in steps:
        turns = [step]  # this step and those that run with it by turns
        while any(t in streamed for t in graph.ops[turns[-1]].outputs):
            turns.append(turns[-1] + 1)
        live = [t for t in made if made[t] <= turns[-1] and read[t] >= step]
        spans = [(plan.tensors[t], streamed.get(t, graph.tensors[t].nbytes), t) for t in live]
        spans += [(plan.workspaces[s], workspaces[s], -1 - s) for s in turns if workspaces.get(s)]
        for (a, a_size, x), (b, b_size, y) in itertools.combinations(spans, 2):
            if a + a_size <= b or b + b_size <= a or (x < 0 and y < 0):
                continue
            result = graph.ops[step].outputs[0]
            assert result in (x, y) and step in plan.in_place and a == b, (step, x, y)
            assert read[y if x == result else x] == step, (step, x, y)
        assert all(start >= 0 and start + size <= plan.arena_bytes for start, size, _ in spans)


@given(st.dictionaries(st.integers(0, 6), st.integers(0, 900)), st.sets(st.integers(0, 6)), st.integers(0, 3))
def test_plan_of_a_model(workspaces: dict[int, int], in_place: set[int], streams: int) -> None:
    """Any workspaces, any kernels in place, the first tensors streamed."""
    graph = tiny_graph()
    streamed = {op.outputs[0]: graph.output_of(op).nbytes // 4 for op in graph.ops[:streams]}
    assert_sound(graph, workspaces, in_place, streamed)


@pytest.mark.parametrize(
    "name", ["pretrainedResnet_quant", "kws_ref_model_int8", "ds_cnn_l_int8", "vww_96_int8", "ds_cnn_s_int8"]
)
@pytest.mark.parametrize("in_place", [(), ("CONV_2D", "ADD", "SOFTMAX")])
def test_real_models_reach_the_lower_bound(shared, name: str, in_place: tuple[str, ...]) -> None:
    """The plan of each real model is as small as its largest step."""
    graph = import_tflite(shared / "models" / f"{name}.tflite")
    workspaces = {step: 16 * (step % 5) for step in range(len(graph.ops))}
    steps = {i for i, op in enumerate(graph.ops) if op.kind in in_place}
    plan = plan_arena(graph, workspaces, steps)
    assert plan.arena_bytes == plan.lower_bound
    assert_sound(graph, workspaces, steps, {})


def test_in_place_saves_memory() -> None:
    """An output that starts where its input does takes no memory of its own; a larger one does not fit there."""
    graph = tiny_graph()
    apart, over = plan_arena(graph, {}), plan_arena(graph, {}, {1})
    assert apart.arena_bytes == 2 * 120 + 180 - 120 and over.in_place == {1}
    assert over.tensors[graph.ops[1].outputs[0]] == over.tensors[graph.ops[0].outputs[0]]
    assert plan_arena(graph, {}, {2}).in_place == frozenset()  # 9 channels over 6


def test_a_repeated_input_is_not_written_over() -> None:
    """An element that is added to three others stays while they are written, though both take a word of memory."""
    quant = Quant((0.1,), (0,))
    shapes = ((1, 1), (1, 3), (1, 3))
    tensors = tuple(Tensor(i, f"x{i}", shape, DType.INT8, quant) for i, shape in enumerate(shapes))
    op = Op(0, "ADD", "sum", (0, 1), (2,), ArithmeticAttrs(Activation.NONE))
    plan = plan_arena(Graph(tensors, (op,), (0, 1), (2,), "", "sum"), {}, {0})
    assert plan.tensors[2] == plan.tensors[1] != plan.tensors[0]


def test_int64_lies_on_eight_bytes() -> None:
    """Where a model has int64 values all starts on multiples of 8, what is concatenated, too."""
    quant = Quant((0.1,), (0,))
    shapes = {0: (1, 12), 1: (1, 12), 2: (1,), 3: (1, 4), 4: (1, 16)}
    tensors = tuple(
        Tensor(i, f"x{i}", shape, DType.INT64 if i == 2 else DType.INT8, None if i == 2 else quant)
        for i, shape in shapes.items()
    )
    plain = ArithmeticAttrs(Activation.NONE)
    ops = (
        Op(0, "RELU", "first", (0,), (1,), plain),
        Op(1, "ARG_MAX", "place", (1,), (2,), plain),
        Op(2, "RELU", "short", (1,), (3,), plain),
        Op(3, "CONCATENATION", "both", (3, 1), (4,), ConcatenationAttrs(1)),
    )
    plan = plan_arena(Graph(tensors, ops, (0,), (2, 4), "", "int64"), {0: 4}, {0})
    assert plan.tensors[2] % 8 == 0 and plan.workspaces[0] % 8 == 0 and (3, 1) not in plan.inside
    narrow = tuple(replace(t, dtype=DType.INT32) if t.index == 2 else t for t in tensors)
    assert (3, 1) in plan_arena(Graph(narrow, ops, (0,), (2, 4), "", "int32"), {0: 4}, {0}).inside
