"""Passes: dead channels go, every byte that is left stays."""

from __future__ import annotations

import dataclasses
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcuprune.errors import UsageError
from mcuprune.importers.tflite import import_bytes, import_tflite
from mcuprune.ir.graph import Graph, kept_channels
from mcuprune.ir.interpreter import run
from mcuprune.passes.passes import changes, run_passes
from mcuprune.tflite.reference import ReferenceInterpreter
from tests.tflite_builder import NONE, RELU, SAME, VALID, Builder, random_bias, random_int8

ZERO_POINTS = [-128, -1, 0, 127]
DEAD = [1, 4]


def assert_same_bytes(before: Graph, after: Graph, sample: np.ndarray) -> None:
    """Every layer of the rewritten graph holds the old one's bytes on the channels that are left."""
    whole, small = run(before, [sample]), run(after, [sample])
    for op in after.ops:
        tensor = after.output_of(op)
        expected = whole[tensor.index] if tensor.kept is None else whole[tensor.index][..., list(tensor.kept)]
        assert np.array_equal(expected, small[tensor.index]), op.name
    assert all(after.tensor(i).kept is None for i in (*after.inputs, *after.outputs))


def sample_of(graph: Graph, seed: int = 5) -> np.ndarray:
    return random_int8(np.random.default_rng(seed), graph.tensor(graph.inputs[0]).shape)


class Toy:
    """A model with an input of 6x5x3 and a convolution to 6 channels, two of them dead."""

    def __init__(self, zero_point: int, bias: int, activation: int = NONE) -> None:
        self.rng = np.random.default_rng(3)
        self.b = Builder()
        weights = random_int8(self.rng, (6, 3, 3, 3))
        weights[DEAD] = 0
        biases = random_bias(self.rng, 6)
        biases[DEAD] = bias
        x = self.b.input((1, 6, 5, 3), 0.05, 7)
        self.x = self.b.conv_2d(
            x, weights, biases, weight_scales=[0.01] * 6, scale=0.08, zero_point=zero_point, activation=activation
        )

    def weights(self, *shape: int) -> np.ndarray:
        return random_int8(self.rng, shape)

    def graph(self, output: int) -> Graph:
        return import_bytes(self.b.build([output]), "toy.tflite")


def layer(channels: int, **options: object) -> dict[str, object]:
    return {"weight_scales": np.linspace(0.004, 0.012, channels).tolist(), "scale": 0.1, "zero_point": 3, **options}


@pytest.mark.parametrize("zero_point", ZERO_POINTS)
@pytest.mark.parametrize("bias", [0, 700])
@pytest.mark.parametrize(
    "consumer", ["pointwise", "same", "valid", "depthwise_same", "depthwise_valid", "flat", "pool"]
)
def test_dead_channels_go_where_it_is_exact(zero_point, bias, consumer):
    """A constant other than the zero point stays where a padded window reads it, and goes elsewhere."""
    toy = Toy(zero_point, bias)
    y, b = toy.x, toy.b
    if consumer in ("pointwise", "same", "valid"):
        taps = 1 if consumer == "pointwise" else 3
        padding = VALID if consumer == "valid" else SAME
        y = b.conv_2d(y, toy.weights(4, taps, taps, 6), random_bias(toy.rng, 4), padding=padding, **layer(4))
    elif consumer.startswith("depthwise"):
        padding = SAME if consumer.endswith("same") else VALID
        y = b.depthwise_conv_2d(y, toy.weights(1, 3, 3, 6), random_bias(toy.rng, 6), padding=padding, **layer(6))
        y = b.conv_2d(y, toy.weights(4, 1, 1, 6), **layer(4))  # without a bias
    elif consumer == "pool":
        y = b.average_pool_2d(y, (3, 3), (2, 2), SAME)
        y = b.reshape(y, (1, int(np.prod(b.shape(y)))))
        y = b.fully_connected(y, toy.weights(4, b.shape(y)[1]), **layer(4, weight_scales=0.01))
    else:
        y = b.fully_connected(y, toy.weights(4, 180), random_bias(toy.rng, 4), **layer(4, weight_scales=0.01))
    graph = toy.graph(y)
    small = run_passes(graph)
    assert_same_bytes(graph, small, sample_of(graph))
    constant = run(graph, [sample_of(graph)])[graph.ops[0].outputs[0]][0, 0, 0, 1]
    exact = consumer not in ("same", "depthwise_same") or (constant == zero_point)
    kept = small.output_of(small.ops[0]).kept
    assert kept == ((0, 2, 3, 5) if exact else None)
    assert small.tensor(small.ops[-1].inputs[1]).size < graph.tensor(graph.ops[-1].inputs[1]).size or not exact


def test_a_border_that_rounds_away():
    """A depthwise layer whose padded border gives the same byte as its middle is constant after all."""
    toy = Toy(-128, 700)
    taps = np.zeros((1, 3, 3, 6), np.int8)
    taps[..., 0] = 90  # channels 1 and 4 give the bias alone or nearly so
    taps[0, 0, 0, 1] = 1
    y = toy.b.depthwise_conv_2d(toy.x, taps, np.full(6, 999, np.int32), **layer(6, weight_scales=1e-6))
    y = toy.b.conv_2d(y, toy.weights(4, 3, 3, 6), random_bias(toy.rng, 4), padding=VALID, **layer(4))
    graph = toy.graph(y)
    small = run_passes(graph)
    assert_same_bytes(graph, small, sample_of(graph))
    assert small.output_of(small.ops[1]).kept == (0,)


def test_unread_channels_go_back_to_their_producer():
    """Channels on which every weight of the next layer is zero leave it, the depthwise layer, and the one before."""
    toy = Toy(4, 700)
    weights = toy.weights(4, 1, 1, 6)
    weights[..., [0, 5]] = 0
    y = toy.b.depthwise_conv_2d(toy.x, toy.weights(1, 3, 3, 6), random_bias(toy.rng, 6), **layer(6))
    graph = toy.graph(toy.b.conv_2d(y, weights, random_bias(toy.rng, 4), **layer(4)))
    small = run_passes(graph)
    assert_same_bytes(graph, small, sample_of(graph))
    assert small.output_of(small.ops[0]).kept == small.output_of(small.ops[1]).kept == (1, 2, 3, 4)
    assert [(c.layer, c.channels, c.weights, c.macs) for c in changes(graph, small)] == [
        (graph.ops[0].name, 2, 54, 54 * 30),
        (graph.ops[1].name, 2, 18, 18 * 30),
        (graph.ops[2].name, 0, 8, 8 * 30),
    ]


@pytest.mark.parametrize("constant_summand", [False, True])
def test_residual_add(constant_summand):
    """What a sum reads stays unless both summands and the sum can do without."""
    toy = Toy(-128, 0, RELU)
    b = toy.b
    weights = toy.weights(6, 3, 3, 6)
    weights[1] = 0
    bias = random_bias(toy.rng, 6)
    bias[1] = -300
    if constant_summand:
        other = b.tensor((6,), np.int8, 0.05, 0, data=toy.weights(6))
    else:
        other = b.conv_2d(toy.x, weights, bias, scale=0.07, zero_point=-128, activation=RELU)
    y = b.add(toy.x, other, 0.1, -128, RELU)
    y = b.conv_2d(y, toy.weights(4, 1, 1, 6), random_bias(toy.rng, 4), **layer(4))
    graph = toy.graph(y)
    small = run_passes(graph)
    assert_same_bytes(graph, small, sample_of(graph))
    sources = [small.tensor(i).kept for op in small.ops if op.kind == "ADD" for i in (*op.inputs, *op.outputs)]
    assert set(sources) == {(0, 2, 3, 5) if constant_summand else (0, 2, 3, 4, 5)}


def test_shared_constants_are_copied():
    """Two layers with the same weights shrink differently."""
    toy = Toy(-128, 0)
    b = toy.b
    weights = toy.weights(6, 1, 1, 6)
    y = b.conv_2d(toy.x, weights, random_bias(toy.rng, 6), scale=0.1)
    z = b.conv_2d(y, weights, random_bias(toy.rng, 6), scale=0.1)
    b.graph.operators[-1].inputs[1] = b.graph.operators[-2].inputs[1]
    graph = toy.graph(z)
    assert graph.ops[1].inputs[1] == graph.ops[2].inputs[1]
    small = run_passes(graph)
    assert_same_bytes(graph, small, sample_of(graph))
    assert [small.tensor(op.inputs[1]).shape[-1] for op in small.ops[1:]] == [4, 6]


def test_one_channel_stays():
    """A layer that is dead as a whole keeps one channel."""
    toy = Toy(3, 0)
    b = toy.b
    y = b.conv_2d(toy.x, np.zeros((6, 1, 1, 6), np.int8), random_bias(toy.rng, 6), scale=0.02)
    y = b.conv_2d(y, toy.weights(4, 1, 1, 6), random_bias(toy.rng, 4), **layer(4))
    graph = toy.graph(y)
    small = run_passes(graph)
    assert_same_bytes(graph, small, sample_of(graph))
    assert [small.output_of(op).shape[-1] for op in small.ops] == [1, 1, 4]


@st.composite
def models(draw: st.DrawFn) -> bytes:
    """Chains of random layers with dead rows, unread columns, residual sums, and any zero points."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    b = Builder()
    zero_point = st.sampled_from(ZERO_POINTS)
    x = b.input((1, draw(st.integers(3, 6)), draw(st.integers(3, 6)), 2), 0.05, draw(zero_point))

    def options(channels: int) -> dict[str, object]:
        return {
            "weight_scales": rng.uniform(0.001, 0.02, channels).tolist() if draw(st.booleans()) else 0.01,
            "scale": 0.1,
            "zero_point": draw(zero_point),
            "activation": draw(st.sampled_from([NONE, RELU])),
        }

    def holes(weights: np.ndarray, axis: int) -> np.ndarray:
        dead = rng.random(weights.shape[axis]) < draw(st.sampled_from([0.0, 0.4, 0.8]))
        np.moveaxis(weights, axis, 0)[dead] = 0
        return weights

    def bias(channels: int) -> np.ndarray | None:
        values = random_bias(rng, channels, 3000)
        return (
            None if draw(st.integers(0, 9)) == 0 else np.where(rng.random(channels) < 0.5, 0, values).astype(np.int32)
        )

    for _ in range(draw(st.integers(1, 6))):
        shape = b.shape(x)
        channels = shape[-1]
        kind = draw(st.sampled_from(["conv", "conv", "depthwise", "pool", "relu", "pad", "residual", "quantize"]))
        padding = draw(st.sampled_from([SAME, VALID])) if min(shape[1:3]) >= 3 else SAME
        if kind == "conv":
            rows, taps = draw(st.integers(1, 6)), draw(st.sampled_from([1, 3]))
            weights = holes(holes(random_int8(rng, (rows, taps, taps, channels)), 0), 3)
            x = b.conv_2d(
                x,
                weights,
                np.zeros(rows, np.int32) if (v := bias(rows)) is None else v,
                padding=padding,
                **options(rows),
            )
        elif kind == "depthwise":
            rows = channels * draw(st.sampled_from([1, 1, 2]))
            x = b.depthwise_conv_2d(
                x, holes(random_int8(rng, (1, 3, 3, rows)), 3), bias(rows), padding=padding, **options(rows)
            )
        elif kind == "pool":
            x = b.average_pool_2d(x, (2, 2), (1, 1), SAME)
        elif kind == "relu":
            x = b.relu(x, 0.1, draw(zero_point))
        elif kind == "quantize":
            x = b.quantize(x, 0.07, draw(zero_point))
        elif kind == "pad":
            x = b.pad(x, [(0, 0), (1, 0), (0, 1), (0, 0)])
        else:
            weights = holes(random_int8(rng, (channels, 1, 1, channels)), 0)
            y = b.conv_2d(x, weights, random_bias(rng, channels), **options(channels))
            x = b.add(x, y, 0.12, draw(zero_point))
    if draw(st.booleans()):
        x = b.mean(x, (1, 2), 0.1, draw(zero_point))
    size = int(np.prod(b.shape(x)))
    x = b.reshape(x, (1, size))
    x = b.fully_connected(x, holes(random_int8(rng, (3, size)), 1), random_bias(rng, 3), scale=0.2)
    return b.build([x])


@settings(max_examples=150)
@given(models())
def test_random_models_keep_their_bytes(content: bytes) -> None:
    """Whatever goes, the bytes of what stays are the same, and a second run finds nothing more."""
    graph = import_bytes(content, "random.tflite")
    small = run_passes(graph)
    for seed in range(3):
        assert_same_bytes(graph, small, sample_of(graph, seed))
    assert run_passes(small) is small


def test_reference_is_cut_to_what_is_kept(rng):
    """LiteRT's layers and CRCs come on the channels that a pass left."""
    toy = Toy(-128, 0)
    content = toy.b.build([toy.b.conv_2d(toy.x, toy.weights(4, 1, 1, 6), random_bias(rng, 4), **layer(4))])
    graph = import_bytes(content, "toy.tflite")
    small = run_passes(graph)
    sample = [sample_of(graph)]
    with ReferenceInterpreter(content, kept=kept_channels(small)) as reference:
        layers = reference.run_layers(sample)
        assert reference.layer_crcs(sample) == [zlib.crc32(array.tobytes()) for array in layers.values()]
    ours = run(small, sample)
    assert {i: a.shape for i, a in layers.items()} == {i: a.shape for i, a in ours.items()}
    assert all(np.array_equal(layers[i], ours[i]) for i in ours)


def test_visual_wake_words(shared, real_inputs):
    """MLPerf's model as published: 86% of its weights lie in dead channels; outputs equal LiteRT's on real images."""
    path = shared / "models" / "vww_96_int8.tflite"
    graph = import_tflite(path)
    small = run_passes(graph)
    removed = changes(graph, small)
    assert sum(change.weights for change in removed) == 178_826  # of 208 112
    assert sum(change.macs for change in removed) == 3_756_591  # of 7 489 664
    with ReferenceInterpreter(path, kept=kept_channels(small)) as reference:
        for sample in real_inputs("vww_96_int8")[::20]:
            layers, ours = reference.run_layers([sample]), run(small, [sample])
            assert all(np.array_equal(layers[i], ours[i]) for i in ours)


@pytest.mark.parametrize("name", ["pretrainedResnet_quant", "kws_ref_model_int8", "ds_cnn_s_int8"])
def test_nothing_dead_nothing_changed(shared, name):
    """Models without dead channels pass through as they are."""
    graph = import_tflite(shared / "models" / f"{name}.tflite")
    assert run_passes(graph) is graph and changes(graph, graph) == ()


def test_what_moves_nothing_needs_no_code():
    """Dimensions of 1 that change places, all of a tensor as a slice, no padding: the same memory in another shape."""
    b = Builder()

    def moved(kind: str, x: int, shape: tuple[int, ...], *params: tuple[int, ...]) -> int:
        return b.op(kind, [x, *map(b.constant, params)], [b.tensor(shape, np.int8, 0.05, 7)])

    turned = moved("TRANSPOSE", b.input((1, 1, 4, 3), 0.05, 7), (1, 4, 1, 3), (0, 2, 1, 3))
    sliced = moved("SLICE", turned, (1, 4, 1, 3), (0, 0, 0, 0), (1, -1, 1, 3))
    crossed = moved("TRANSPOSE", b.pad(sliced, [(0, 0)] * 4), (1, 3, 1, 4), (0, 3, 2, 1))
    graph = import_bytes(b.build([crossed]), "still.tflite")
    after = run_passes(graph)
    assert [op.kind for op in after.ops] == ["RESHAPE", "RESHAPE", "RESHAPE", "TRANSPOSE"]
    assert_same_bytes(graph, after, sample_of(graph))


def test_codes_that_get_another_scale_stay_a_copy():
    """All of a tensor as a slice that the file calls by another scale: no RESHAPE, which keeps it."""
    b = Builder()
    x = b.input((1, 4), 0.05, 7)
    y = b.op("SLICE", [x, b.constant((0, 0)), b.constant((1, 4))], [b.tensor((1, 4), np.int8, 0.5, 7)])
    graph = import_bytes(b.build([y]), "still.tflite")
    after = run_passes(graph)
    assert [op.kind for op in after.ops] == ["SLICE"]
    assert_same_bytes(graph, after, sample_of(graph))


def test_unknown_pass():
    """The error names the passes there are."""
    graph = Toy(0, 0)
    with pytest.raises(UsageError, match="no pass 'fold'") as caught:
        run_passes(graph.graph(graph.x), ["fold"])
    assert "dead_channels" in str(caught.value)
    assert run_passes(whole := graph.graph(graph.x), []) is whole


def test_kept_of_kept():
    """A pass on a graph that lost channels before still names the file's channels."""
    toy = Toy(-128, 0)
    graph = toy.graph(toy.b.conv_2d(toy.x, toy.weights(4, 1, 1, 6), random_bias(toy.rng, 4), **layer(4)))
    once = run_passes(graph)
    index = once.ops[1].inputs[1]
    data = once.tensor(index).data.copy()
    data[..., 0] = 0
    tensors = tuple(dataclasses.replace(t, data=data) if t.index == index else t for t in once.tensors)
    twice = run_passes(dataclasses.replace(once, tensors=tensors))
    assert once.output_of(once.ops[0]).kept == (0, 2, 3, 5)
    assert twice.output_of(twice.ops[0]).kept == (2, 3, 5)
