"""Models with int16 activations and int8 weights: passes, strips, generated code, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as generated

from mcuprune.boards import load_board
from mcuprune.cli import run
from mcuprune.errors import DataError, McupruneError
from mcuprune.generate import generate
from mcuprune.importers.tflite import import_bytes
from mcuprune.inputs import encode_inputs
from mcuprune.ir import interpreter
from mcuprune.ir.graph import DType, Graph
from mcuprune.passes.passes import run_passes
from tests.tflite_builder import RELU, SAME, VALID, Builder, random_int8

DEAD = [1, 4]


def bias(rng: np.random.Generator, channels: int) -> np.ndarray:
    return rng.integers(-(2**24), 2**24, channels)


def model(first_bias: int = 0, consumer: str = "conv", padding: int = VALID, bare: bool = False) -> Builder:
    """A convolution to six channels, two of them dead, one that reads them, and a classifier.

    bare: a layer without bias, which LiteRT does not load. Costs of kernels on int16 are not measured, so only strips
    that move nothing are taken: strides of 3 under windows of 3.
    """
    rng = np.random.default_rng(3)
    b = Builder()
    x = b.input((1, 33, 8, 2), 1e-4, dtype=np.int16)
    weights, biases = random_int8(rng, (6, 5, 3, 2)), bias(rng, 6)
    weights[DEAD], biases[DEAD] = 0, first_bias
    x = b.conv_2d(x, weights, biases, scale=4e-4, activation=RELU)
    if consumer == "depthwise":
        taps = random_int8(rng, (1, 3, 3, 6))
        x = b.depthwise_conv_2d(x, taps, bias(rng, 6), stride=(3, 2), scale=2e-3, padding=padding)
        x = b.conv_2d(x, random_int8(rng, (4, 1, 1, 6)), None if bare else bias(rng, 4), scale=4e-3)
    else:
        x = b.conv_2d(x, random_int8(rng, (4, 3, 3, 6)), bias(rng, 4), stride=(3, 1), scale=2e-3, padding=padding)
    b.fully_connected(x, random_int8(rng, (4, int(np.prod(b.shape(x))))), bias(rng, 4), scale=0.02)
    return b


def built(b: Builder) -> bytes:
    return b.build([b.graph.operators[-1].outputs[0]])


def graph_of(b: Builder) -> Graph:
    return import_bytes(built(b), "int16.tflite")


@pytest.mark.parametrize("first_bias", [0, 2**22])
@pytest.mark.parametrize("consumer", ["conv", "depthwise"])
@pytest.mark.parametrize("padding", [SAME, VALID])
def test_dead_channels_go_where_it_is_exact(first_bias: int, consumer: str, padding: int) -> None:
    """As on int8: a constant other than zero stays where a padded window reads it, and goes elsewhere."""
    graph = graph_of(model(first_bias, consumer, padding, bare=True))
    small = run_passes(graph)
    sample = np.random.default_rng(5).integers(-(2**15), 2**15, (1, 33, 8, 2), np.int16)
    whole, less = interpreter.run(graph, [sample]), interpreter.run(small, [sample])
    for op in small.ops:
        tensor = small.output_of(op)
        expected = whole[tensor.index] if tensor.kept is None else whole[tensor.index][..., list(tensor.kept)]
        assert np.array_equal(expected, less[tensor.index]), op.name
    assert small.output_of(small.ops[0]).kept == ((0, 2, 3, 5) if padding == VALID or not first_bias else None)
    if consumer == "depthwise" and first_bias and padding == VALID:  # the layer had no bias, and has what moved
        made = small.input_of(small.ops[2], 2)
        assert made is not None and made.dtype is DType.INT64


@pytest.mark.parametrize("consumer", ["conv", "depthwise"])
def test_streamed_model_equals_the_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str], consumer: str) -> None:
    """Two layers run some rows at a time, rows being of two bytes an element; every layer equals LiteRT's."""
    path = tmp_path / "int16.tflite"
    path.write_bytes(built(model(2**22, consumer)))
    streamed = generate(path, load_board("host")).project
    whole = generate(path, load_board("host"), strips=False).project
    assert streamed.streamed == {0} and streamed.plan.arena_bytes < 0.7 * whole.plan.arena_bytes
    assert run(["verify", str(path), "--random", "5", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["equal"] and all(layer["equal"] for layer in result["layers"])


def one_conv(change: Callable[[Builder], None], biases: np.ndarray | None = None, scale: float = 2e-3) -> Builder:
    """A convolution of two channels, changed."""
    b = Builder()
    x = b.input((1, 3, 3, 2), 1e-3, dtype=np.int16)
    weights = random_int8(np.random.default_rng(1), (2, 1, 1, 2))
    b.conv_2d(x, weights, np.zeros(2, np.int64) if biases is None else biases, scale=scale)
    change(b)
    return b


def nothing(b: Builder) -> None:
    """The model as it is."""


def zero_point(b: Builder) -> None:
    b.graph.tensors[0].quantization.zeroPoint = [3]


def without_bias_type(b: Builder) -> None:
    b.graph.operators[0].builtinOptions.quantizedBiasType = 0


def bias_of_int8(b: Builder) -> None:
    b.graph.operators[0].builtinOptions.quantizedBiasType = 9


def one_sum(bias: int) -> Builder:
    """A fully-connected layer of one weight and a scale of 1/2."""
    b = Builder()
    x = b.input((1, 1), 0.5, dtype=np.int16)
    b.fully_connected(x, np.array([[-1]], np.int8), np.array([bias]), weight_scales=1.0, scale=1.0)
    return b


SMALL, WIDE = np.zeros(2, np.int32), np.full(2, 2**46)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (one_conv(zero_point), "int16 has zero point 0"),
        (one_conv(without_bias_type, SMALL), "the bias must be constant int64 of 2, it is int32"),
        (one_conv(bias_of_int8), "bias type INT8 of a layer on int16"),
        (one_conv(nothing, WIDE * 2), "beyond 2\\*\\*47"),
        (one_conv(nothing, WIDE), "int32 overflow"),
        (one_conv(nothing, SMALL + 2**30, 1e-9), "int32 overflow"),
        (one_conv(nothing, scale=1e-8), "int32 overflow"),
        (one_sum(2**31 - 2**15 - 1), "int32 overflow"),  # half a step below 2**30
    ],
)
def test_refused(broken: Builder, words: str) -> None:
    """What the reference has no meaning for ends in an error that says so."""
    with pytest.raises(McupruneError, match=words):
        graph_of(broken)


def test_sums_of_32_bits_are_those_of_int8_layers() -> None:
    """The same layer with an int32 bias rounds by another rule: the reference does, so it is no slip."""
    rng = np.random.default_rng(7)
    sample = rng.integers(-(2**15), 2**15, (1, 3, 3, 2), np.int16)
    wide, narrow = (graph_of(one_conv(nothing, np.array([5, -7], dtype))) for dtype in (np.int64, np.int32))
    ours = [interpreter.run(graph, [sample])[graph.outputs[0]] for graph in (wide, narrow)]
    assert np.abs(ours[0].astype(int) - ours[1]).max() == 1


@pytest.mark.parametrize("dtype", [np.int16, np.uint8])
def test_real_values_into_an_input(dtype: type, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Floats become the codes that the header tells, whose scale is a literal that C reads."""
    b = Builder()
    zero = 0 if dtype is np.int16 else 128
    x = b.input((1, 4), 2.0, zero, dtype)
    b.op("QUANTIZE", [x], [b.tensor((1, 4), np.int8, 0.5, 3)], generated.QuantizeOptionsT())
    path, folder = tmp_path / "edge.tflite", tmp_path / "made"
    path.write_bytes(built(b))
    reals = np.array([[-9.0, 3.0, 1e9, 0.9]], np.float32)
    limits = np.iinfo(dtype)
    tensor = import_bytes(built(b), "edge").tensor(x)
    codes = encode_inputs(reals, tensor, "d").rows.view(dtype)
    assert codes.tolist() == [[zero - 5, zero + 2, limits.max, zero]]
    assert np.array_equal(encode_inputs(codes, tensor, "d").rows.view(dtype), codes)
    with pytest.raises(DataError, match=f"takes float or {np.dtype(dtype).name}"):
        encode_inputs(codes.astype(np.int32), tensor, "d")
    assert run(["generate", str(path), "--board", "host", "-o", str(folder)]) == 0
    assert "#define EDGE_INPUT_SCALE 2.0f\n" in (folder / "model" / "edge.h").read_text()
