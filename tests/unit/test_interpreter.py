"""The numpy interpreter equals LiteRT's BUILTIN_REF, byte for byte: single operators and the real models."""

from __future__ import annotations

import numpy as np
import pytest

from mcuprune.errors import DataError, McupruneError, ModelError
from mcuprune.importers.tflite import import_bytes, import_tflite
from mcuprune.ir.graph import Graph
from mcuprune.ir.interpreter import run
from mcuprune.tflite.reference import ReferenceInterpreter
from tests.one_reference import reference_of
from tests.tflite_builder import NONE, RELU, RELU6, RELU_N1_TO_1, SAME, VALID, Builder, random_bias, random_int8
from tests.uint8_twin import from_twin, to_twin, uint8_twin

ACTIVATIONS = [NONE, RELU, RELU6, RELU_N1_TO_1]
ALL_CODES = np.arange(-128, 128).astype(np.int8)[None]


def random_inputs(graph: Graph, rng: np.random.Generator) -> list[np.ndarray]:
    """Inputs of a model: uniform int8, or floats."""
    tensors = [graph.tensor(i) for i in graph.inputs]
    return [
        random_int8(rng, t.shape) if t.dtype.value == "int8" else rng.normal(0, 5, t.shape).astype(np.float32)
        for t in tensors
    ]


def differences(graph: Graph, ours: dict[int, np.ndarray], theirs: dict[int, np.ndarray]) -> list[str]:
    """Layers whose bytes differ, with the first place where they do."""
    found = []
    for op in graph.ops:
        a, b = ours[op.outputs[0]], theirs[op.outputs[0]]
        if a.shape != b.shape or a.dtype != b.dtype:
            found.append(f"{op.name}: {a.dtype} {a.shape} and {b.dtype} {b.shape}")
        elif a.tobytes() != b.tobytes():
            place = tuple(int(i) for i in np.argwhere(a != b)[0]) if (a != b).any() else ()
            found.append(f"{op.name} {place}: got {a[place]}, reference {b[place]}")
    return found


def assert_equal_to_reference(model: Builder, outputs: list[int], samples: list[list[np.ndarray]]) -> None:
    """All layers of a built model equal the reference on all samples."""
    content = model.build(outputs)
    graph = import_bytes(content, "test.tflite")
    with reference_of(content) as reference:
        for sample in samples:
            assert differences(graph, run(graph, sample), reference.run_layers(sample)) == []


@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize(
    ("stride", "dilation"), [((1, 1), (1, 1)), ((2, 1), (1, 1)), ((1, 2), (1, 1)), ((1, 1), (2, 3))]
)
@pytest.mark.parametrize("per_channel", [False, True])
def test_conv_2d(padding, stride, dilation, per_channel, rng):
    """A convolution of any geometry and activation."""
    for activation in ACTIVATIONS:
        model = Builder()
        x = model.input((1, 9, 8, 3), 0.1, int(rng.integers(-128, 128)))
        scales = rng.uniform(0.0005, 0.02, 5).tolist() if per_channel else 0.01
        weights = random_int8(rng, (5, 3, 2, 3))
        y = model.conv_2d(
            x, weights, random_bias(rng, 5), weight_scales=scales, scale=0.2, zero_point=int(rng.integers(-128, 128)),
            stride=stride, dilation=dilation, padding=padding, activation=activation,
        )  # fmt: skip
        assert_equal_to_reference(model, [y], [[random_int8(rng, (1, 9, 8, 3))] for _ in range(5)])


@pytest.mark.parametrize("padding", [SAME, VALID])
@pytest.mark.parametrize("multiplier", [1, 2])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 2)])
@pytest.mark.parametrize("bias", [False, True])
def test_depthwise_conv_2d(padding, multiplier, dilation, bias, rng):
    """A depthwise convolution, with a depth multiplier and without a bias."""
    for activation in ACTIVATIONS:
        model = Builder()
        x = model.input((1, 9, 8, 3), 0.1, int(rng.integers(-128, 128)))
        channels = 3 * multiplier
        y = model.depthwise_conv_2d(
            x, random_int8(rng, (1, 3, 2, channels)), random_bias(rng, channels) if bias else None,
            weight_scales=rng.uniform(0.0005, 0.02, channels).tolist(), scale=0.1, zero_point=-9,
            stride=(1, 1) if dilation != (1, 1) else (2, 2), dilation=dilation, padding=padding, activation=activation,
        )  # fmt: skip
        assert_equal_to_reference(model, [y], [[random_int8(rng, (1, 9, 8, 3))] for _ in range(5)])


def test_channel_below_2_to_minus_32_flushes(rng):
    """A channel whose scale is below 2^-32 gives the zero point, whatever its accumulator."""
    model = Builder()
    x = model.input((1, 2, 2, 4), 0.1, 3)
    y = model.conv_2d(
        x, random_int8(rng, (2, 1, 1, 4)), random_bias(rng, 2, 2**30), weight_scales=[0.01, 1e-10], scale=1.0
    )
    assert_equal_to_reference(model, [y], [[random_int8(rng, (1, 2, 2, 4))] for _ in range(5)])


@pytest.mark.parametrize("weight_scale", [0.01, 0.25, 0.5, "per_channel"])
@pytest.mark.parametrize("in_scale", [0.1, 0.5])
@pytest.mark.parametrize("activation", [NONE, RELU])
def test_fully_connected(weight_scale, in_scale, activation, rng):
    """One rounding in double, halves away from zero, per tensor and per channel; powers of two make exact halves."""
    scales = rng.uniform(0.0005, 0.02, 9).tolist() if weight_scale == "per_channel" else weight_scale
    model = Builder()
    x = model.input((1, 40), in_scale, int(rng.integers(-128, 128)))
    weights = random_int8(rng, (9, 40), -4, 4)
    y = model.fully_connected(
        x, weights, random_bias(rng, 9, 100), weight_scales=scales, scale=1.0, zero_point=-5, activation=activation
    )
    assert_equal_to_reference(model, [y], [[random_int8(rng, (1, 40))] for _ in range(100)])


@pytest.mark.parametrize("keep", [False, True])
def test_fully_connected_over_rows(keep, rng):
    """Several rows of input, flattened or kept."""
    model = Builder()
    x = model.input((1, 3, 40), 0.1, 3)
    y = model.fully_connected(x, random_int8(rng, (9, 40)), None, scale=1.0, keep_num_dims=keep)
    assert_equal_to_reference(model, [y], [[random_int8(rng, (1, 3, 40))] for _ in range(20)])


@pytest.mark.parametrize(
    ("window", "stride", "padding", "activation"),
    [
        ((2, 2), (2, 2), VALID, NONE),
        ((3, 3), (1, 1), SAME, NONE),
        ((3, 2), (2, 1), SAME, RELU),
        ((9, 7), (9, 7), VALID, RELU6),
        ((5, 5), (2, 2), SAME, RELU_N1_TO_1),
    ],
)
def test_average_pool_2d(window, stride, padding, activation, rng):
    """The average over what lies inside, halves away from zero, clamped."""
    model = Builder()
    x = model.input((1, 9, 7, 3), 0.05, -3)
    y = model.average_pool_2d(x, window, stride, padding, activation)
    assert_equal_to_reference(model, [y], [[random_int8(rng, (1, 9, 7, 3))] for _ in range(20)])


@pytest.mark.parametrize("axes", [(1, 2), (2,), (-1,), (1, 2, 3), (1,), (0,)])
@pytest.mark.parametrize(("in_scale", "out_scale"), [(0.1, 0.1), (0.1, 0.03), (0.02, 0.001), (0.1, 7.0), (1.0, 0.01)])
def test_mean(axes, in_scale, out_scale, rng):
    """Means over any neighbouring dimensions, kept or not."""
    for keep in (False, True):
        model = Builder()
        x = model.input((1, 9, 7, 3), in_scale, -7)
        y = model.mean(x, axes, out_scale, 5, keep)
        assert_equal_to_reference(model, [y], [[random_int8(rng, (1, 9, 7, 3))] for _ in range(10)])


@pytest.mark.parametrize("axes", [(1, 2), (-1,), (1, 3), (0,), (1, 2, 3)])
@pytest.mark.parametrize(
    ("ratio", "zero_points"), [(1e-3, (5, -128)), (1.0, (5, 5)), (1.0, (-1, 37)), (40.0, (127, -9))]
)
def test_sum(axes, ratio, zero_points, rng):
    """Sums of values of both signs equal the reference's of the same model in uint8; of int8 it has them wrong."""
    model = Builder()
    x = model.input((1, 4, 3, 5), 0.1, zero_points[0])
    y = model.mean(x, axes, 0.1 * ratio, zero_points[1], kind="SUM")
    content = model.build([y])
    graph = import_bytes(content, "sum.tflite")
    with ReferenceInterpreter(uint8_twin(content)) as reference:
        for _ in range(10):
            sample = random_int8(rng, (1, 4, 3, 5))
            theirs = from_twin(reference.run([to_twin(sample)])[0])
            np.testing.assert_array_equal(run(graph, [sample])[y], theirs)


@pytest.mark.parametrize(
    ("columns", "scale", "beta"),
    [(12, 0.1, 1.0), (10, 0.25, 1.0), (2, 0.01, 1.0), (100, 0.05, 0.5), (1, 0.1, 1.0), (511, 0.001, 1.0),
     (5, 50.0, 1.0), (7, 3e-8, 1.0), (600, 0.05, 1.0)],
)  # fmt: skip
def test_softmax(columns, scale, beta, rng):
    """Softmax in fixed point, from scales so small that all are equal to scales so large that one wins."""
    model = Builder()
    x = model.input((1, columns), scale, 5)
    y = model.softmax(x, beta)
    assert_equal_to_reference(model, [y], [[random_int8(rng, (1, columns))] for _ in range(20)])


@pytest.mark.parametrize(
    ("first", "second"), [((1, 4, 4, 3), (1, 4, 4, 3)), ((1, 4, 4, 3), (1, 1, 1, 3)), ((1, 3), (1, 4, 4, 3))]
)
@pytest.mark.parametrize("scales", [(0.1, 0.2, 0.15), (0.5, 0.5, 0.5), (0.5, 1e-6, 2.0), (0.1, 0.001, 0.1)])
@pytest.mark.parametrize("activation", [NONE, RELU6])
def test_add(first, second, scales, activation, rng):
    """Sums of equal and of broadcast shapes."""
    model = Builder()
    x, y = model.input(first, scales[0], -20), model.input(second, scales[1], 30)
    z = model.add(x, y, scales[2], -4, activation)
    assert_equal_to_reference(model, [z], [[random_int8(rng, first), random_int8(rng, second)] for _ in range(10)])


QUANTS = [(0.1, 0.1, -128, 127), (0.1, 0.03, 5, -7), (0.05, 0.2, -100, 100), (1 / 3, 0.7, 0, -128), (2.0, 0.5, 3, 9),
          (0.5, 1.0, 0, 0)]  # fmt: skip


@pytest.mark.parametrize("quant", QUANTS)
@pytest.mark.parametrize("kind", ["RELU", "RELU6", "QUANTIZE", "DEQUANTIZE"])
def test_every_code(kind, quant, rng):
    """Operators on single values, on all 256 of them."""
    in_scale, out_scale, in_zero, out_zero = quant
    model = Builder()
    x = model.input((1, 256), in_scale, in_zero)
    if kind == "QUANTIZE":
        y = model.quantize(x, out_scale, out_zero)
    elif kind == "DEQUANTIZE":
        y = model.dequantize(x)
    else:
        y = model.relu(x, out_scale, out_zero, kind)
    assert_equal_to_reference(model, [y], [[ALL_CODES]])


@pytest.mark.parametrize("scale", [1.0, 1.0809113, 0.5, 1e-30, 1e30])
@pytest.mark.parametrize("zero_point", [-128, -5, 0, 5, 127])
def test_quantize_floats(scale, zero_point, rng):
    """Halves go away from zero; NaN, infinities and what int32 cannot hold as on x86-64."""
    special = [np.nan, np.inf, -np.inf, 1e10, -1e10, 3e38, -3e38, 0.0, -0.0, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 1e-40,
               2147483520.0, 2147483648.0, -2147483648.0, -2147483904.0, 0.49999997, -0.49999997]  # fmt: skip
    with np.errstate(over="ignore"):
        halves = (np.arange(-300, 300) * 0.5).astype(np.float32) * np.float32(scale)
    values = np.concatenate([np.array(special, np.float32), halves, rng.normal(0, 60, 400).astype(np.float32)])
    model = Builder()
    x = model.input((1, len(values)), None, 0, np.float32)
    y = model.quantize(x, scale, zero_point)
    assert_equal_to_reference(model, [y], [[values[None]]])


def test_pad_and_reshape(rng):
    """Padding holds the zero point; a reshape moves nothing."""
    model = Builder()
    x = model.input((1, 5, 4, 3), 0.1, -9)
    y = model.reshape(model.pad(x, [(0, 0), (1, 2), (0, 3), (1, 0)]), (1, 8 * 7 * 4))
    assert_equal_to_reference(model, [y], [[random_int8(rng, (1, 5, 4, 3))]])


def test_wrong_input_is_refused(rng):
    """An input of another shape or dtype is an error that names both."""
    model = Builder()
    graph = import_bytes(model.build([model.softmax(model.input((1, 12), 0.1))]), "test.tflite")
    with pytest.raises(DataError, match=r"int8 \(1, 12\), got float64 \(1, 13\)"):
        run(graph, [np.zeros((1, 13))])


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    ["kws_ref_model_int8", "ds_cnn_s_int8", "ds_cnn_m_int8", "ds_cnn_l_int8", "pretrainedResnet_quant", "vww_96_int8"],
)
def test_trained_models_on_real_data(name, shared, real_inputs):
    """Every inner tensor of a trained model equals the reference on real data."""
    path = shared / "models" / f"{name}.tflite"
    graph = import_tflite(path)
    with ReferenceInterpreter(path) as reference:
        for sample in real_inputs(name)[:20]:
            assert differences(graph, run(graph, [sample]), reference.run_layers([sample])) == []


# the reference in its child process


def small_model(rng: np.random.Generator) -> bytes:
    """Most kinds of operators in one small model."""
    model = Builder()
    x = model.input((1, 6, 5, 3), 0.1, -3)
    y = model.conv_2d(x, random_int8(rng, (4, 3, 2, 3)), random_bias(rng, 4), scale=0.2, zero_point=4, activation=RELU)
    y = model.depthwise_conv_2d(y, random_int8(rng, (1, 3, 3, 4)), random_bias(rng, 4), scale=0.3)
    y = model.add(y, model.relu(y, 0.2, -5, "RELU6"), 0.4, 3)
    y = model.average_pool_2d(model.pad(y, [(0, 0), (1, 0), (0, 1), (0, 0)]), (2, 2))
    y = model.quantize(model.mean(y, (1, 2), 0.1, 2), 0.05, 1)
    y = model.softmax(model.fully_connected(y, random_int8(rng, (5, 4)), random_bias(rng, 5), scale=0.5))
    return model.build([model.dequantize(y)])


def mutations(content: bytes, count: int, rng: np.random.Generator, tail: int) -> list[bytes]:
    """Truncations (one in ten) and flips of one to three bits, most of them among the last `tail` bytes."""
    made = []
    for i in range(count):
        mutant = bytearray(content)
        if i % 10 == 0:
            mutant = mutant[: rng.integers(0, len(content))]
        else:
            for _ in range(rng.integers(1, 4)):
                first = len(content) - tail if rng.random() < 0.8 else 0
                mutant[rng.integers(max(0, first), len(content))] ^= 1 << int(rng.integers(8))
        made.append(bytes(mutant))
    return made


def check_mutant(mutant: bytes, rng: np.random.Generator, reference: ReferenceInterpreter) -> str:
    """refused by the importer, refused by LiteRT, or equal; anything else fails."""
    try:
        graph = import_bytes(mutant, "mutant.tflite")
    except McupruneError:
        return "refused"
    inputs = random_inputs(graph, rng)
    ours = run(graph, inputs)
    try:
        reference.load(mutant)
        theirs = reference.run_layers(inputs)
    except ModelError as error:
        assert "refuses" in error.what, "the importer let through a model on which LiteRT crashes"
        return "refused by LiteRT"
    assert differences(graph, ours, theirs) == []
    return "equal"


@pytest.mark.parametrize("seed", range(3))
def test_mutants_of_a_small_model(seed):
    """A broken model is an error or a model that we compute as LiteRT does; never another exception, never a crash."""
    rng = np.random.default_rng(seed)
    content = small_model(rng)
    with ReferenceInterpreter(content) as reference:
        verdicts = [check_mutant(mutant, rng, reference) for mutant in mutations(content, 150, rng, len(content))]
    assert verdicts.count("refused") > 50 and verdicts.count("equal") > 3


@pytest.mark.shared
def test_mutants_of_a_real_model(shared):
    """The same of the MLPerf keyword model, with its tables of offsets most often hit."""
    rng = np.random.default_rng(7)
    content = (shared / "models" / "kws_ref_model_int8.tflite").read_bytes()
    with ReferenceInterpreter(content) as reference:
        verdicts = [check_mutant(mutant, rng, reference) for mutant in mutations(content, 150, rng, 9000)]
    assert verdicts.count("refused") > 30 and verdicts.count("equal") > 10
