"""What would leave weights dense, files unchecked or users with a traceback is one error, or a warning, that helps."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest

from mcuprune import quantization, sparsity
from mcuprune.errors import DataError, McupruneError, ModelError, UsageError
from mcuprune.importers.names import path_names
from mcuprune.quantization.convert import calibrate
from mcuprune.quantization.zeros import check_zeros, same_weights
from mcuprune.sparsity import (
    ConstantSparsity,
    PolynomialDecay,
    Pruner,
    PruningSchedule,
    UpdatePruningStep,
    collect_prunable_layers,
    prune_low_magnitude,
    strip_pruning,
)

pytestmark = pytest.mark.train

L = keras.layers
AT_ONCE = ConstantSparsity(0.5, 0, frequency=1)
X = np.random.default_rng(2).normal(size=(20, 8)).astype(np.float32)
Y = np.arange(20) % 4


def dense_model(*layers: Any) -> Any:
    """8 features, 4 classes."""
    model = keras.Sequential([keras.Input((8,)), *(layers or (L.Dense(8, name="first"), L.Dense(4, name="second")))])
    model.compile("sgd", "mse", run_eagerly=True)
    return model


def train(model: Any, *callbacks: Any, epochs: int = 1) -> None:
    if not model.compiled:
        model.compile("sgd", "mse", run_eagerly=True)
    model.fit(X, np.zeros((20, *model.output_shape[1:])), 10, epochs, verbose=0, callbacks=[*callbacks])


class Steps(PruningSchedule):
    """One's own: a sparsity for each step, the last one from then on; its end may be told."""

    def __init__(self, values: tuple[float, ...], told: bool = False) -> None:
        self.values, self.told = values, told

    def __call__(self, step: int) -> tuple[bool, float]:
        return True, self.values[min(step, len(self.values) - 1)]

    def get_config(self) -> dict[str, Any]:
        return {"class_name": "Steps", "config": {"values": self.values, "told": self.told}}

    @property
    def final_step(self) -> int:
        return len(self.values) - 1 if self.told else -1


def test_m_by_n_that_is_never_complete() -> None:
    """A schedule that ends below N:M's zeros is refused where it says its end, else told when the training ends."""
    with pytest.raises(UsageError, match=r"\(2, 4\) means a sparsity of 0.5; the Steps ends with 0.3 at step 1"):
        prune_low_magnitude(dense_model(), Steps((0.0, 0.3), told=True), sparsity_m_by_n=(2, 4))
    pruned = prune_low_magnitude(dense_model(), Steps((0.0, 0.25)), sparsity_m_by_n=(2, 4))
    with pytest.warns(UserWarning, match=r"'first' has 25.0% zeros, .* needs 50.0%: .* rise to 0.5 \(and 1 more"):
        train(pruned, UpdatePruningStep())
    for schedule in (Steps((0.0, 0.5), told=True), Steps((0.0, 0.5))):
        pruned = prune_low_magnitude(dense_model(), schedule, sparsity_m_by_n=(2, 4))
        train(pruned, UpdatePruningStep())
        assert sparsity.is_pruned_m_by_n(pruned.layers[0].layer.kernel)


def test_a_schedule_that_never_prunes() -> None:
    """Its layers are told, not left dense in silence."""
    with pytest.warns(UserWarning, match="'first' has no zeros; its schedule asks for 0.0%"):
        train(prune_low_magnitude(dense_model(), Steps((0.0,))), UpdatePruningStep())


def test_call_of_a_derived_schedule() -> None:
    """A class derived from ours with its own __call__() is asked by that; it may call ours."""

    class Half(PolynomialDecay):
        def __call__(self, step: int) -> tuple[bool, float]:
            update, share = super().__call__(step)
            return update, share / 2

    schedule = Half(0.0, 0.5, 0, 1, frequency=1)
    assert schedule(1) == (True, 0.25) and schedule.sparsity_at(1, 0.9) == 0.25 and schedule.last_update(7) == 1
    assert schedule.final_step == -1 and PolynomialDecay(0.0, 0.5, 0, 1).final_step == 1
    pruned = prune_low_magnitude(dense_model(), schedule)
    train(pruned, UpdatePruningStep())
    assert [float(np.mean(layer.layer.kernel.numpy() == 0)) for layer in pruned.layers] == [0.25, 0.25]


class NoLayer(sparsity.PruningPolicy):
    def allow_pruning(self, layer: Any) -> bool:
        return False

    def ensure_model_supports_pruning(self, model: Any) -> None:
        pass


class Plain(keras.Model):  # type: ignore[misc]
    """A subclassed model with nothing to prune."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = L.BatchNormalization()

    def call(self, inputs: Any) -> Any:
        return self.norm(inputs)


def built(model: Any, *shape: int) -> Any:
    model(np.zeros((1, *shape), np.float32))
    return model


class OneDense(Plain):
    """A subclassed model with something."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = L.Dense(4)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: dense_model(L.BatchNormalization(), L.ReLU()), "has no layer that would be pruned"),
        (lambda: keras.Sequential(), "has no layer that would be pruned"),
        (lambda: keras.Sequential([L.Flatten(), L.Dropout(0.1)]), "has no layer that would be pruned"),
        (list, "the list has no layer"),
        (lambda: [L.Flatten(), L.ReLU()], "the list has no layer"),
        (lambda: built(Plain(), 8), "has no layer that would be pruned"),
        (
            lambda: keras.Sequential([keras.Input((4, 4, 2)), L.DepthwiseConv2D(2)]),
            "one where it is asked for alone",
        ),
    ],
)
def test_nothing_to_prune(make: Callable[[], Any], words: str) -> None:
    """A model or list without any prunable layer is an error at once."""
    with pytest.raises(ModelError) as raised:
        prune_low_magnitude(make(), AT_ONCE)
    assert words in str(raised.value)


def test_nothing_to_prune_is_found_later() -> None:
    """Layers that show only when they are built that they have no kernel."""
    unbuilt = prune_low_magnitude(keras.Sequential([L.BatchNormalization()]), AT_ONCE)
    unbuilt.build((None, 8))
    with pytest.raises(ModelError, match=r"no layer of model '.*' has weights that can be pruned"):
        train(unbuilt, UpdatePruningStep())


@pytest.mark.parametrize("make", [dense_model, lambda: [L.Dense(2)], lambda: built(OneDense(), 8)])
def test_policy_that_leaves_all(make: Callable[[], Any]) -> None:
    """A policy may leave a model dense, as upstream; a warning says so."""
    with pytest.warns(UserWarning, match=r"no layer that would be pruned: it stays dense; does NoLayer.allow_pruning"):
        made = prune_low_magnitude(make(), AT_ONCE, pruning_policy=NoLayer())
    assert not any(collect_prunable_layers(each) for each in (made if isinstance(made, list) else [made]))


class Unknown(keras.layers.Layer):  # type: ignore[misc]
    """A layer of one's own that does not say what can be pruned."""

    def build(self, shape: Any) -> None:
        self.matrix = self.add_weight(shape=(shape[-1], 8))

    def call(self, x: Any) -> Any:
        return x @ self.matrix


def test_kernels_that_nothing_is_known_about() -> None:
    """A Pruner names them once and prunes the rest; scales of PReLU and the like are no kernels."""
    model = dense_model(L.Dense(8), L.PReLU(), Unknown(name="mine"), L.Dense(4))
    pruner = Pruner(0.5, schedule=AT_ONCE)
    with pytest.warns(
        UserWarning, match=r"left dense, as it is not known .* pruned: mine \(Unknown\); a class"
    ) as told:
        train(model, pruner)
    assert sum("left dense" in str(warning.message) for warning in told) == 1
    assert np.mean(model.layers[0].kernel.numpy() == 0) == 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        train(model, pruner)

    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="net")
            self.dense = L.Dense(4)
            self.matrix = self.add_weight(shape=(8, 8))

        def call(self, x: Any) -> Any:
            return self.dense(x @ self.matrix)

    net = Net()
    net(X)
    with pytest.warns(UserWarning, match="model 'net' has weights of its own, which stay dense"):
        prune_low_magnitude(net, AT_ONCE)


def test_depthwise_on_request() -> None:
    """Depthwise kernels of a model and a list stay dense; the layer alone is a request."""
    layers = [L.DepthwiseConv2D(2), L.Flatten(), L.Dense(4)]
    model = prune_low_magnitude(keras.Sequential([keras.Input((4, 4, 2)), *layers]), AT_ONCE)
    found = [w for layer in collect_prunable_layers(model) for w, *_ in layer.pruning_vars]
    assert len(found) == 1 and found[0] is layers[2].kernel
    assert prune_low_magnitude([L.DepthwiseConv2D(2), L.Dense(2)])[0].name.startswith("depthwise")
    assert isinstance(prune_low_magnitude(L.DepthwiseConv2D(2)), sparsity.PruneLowMagnitude)


def test_missing_callback_in_a_function_of_ones_own() -> None:
    """It is a ValueError there, too: AutoGraph makes no StagingError of it."""
    import tensorflow as tf

    pruned = prune_low_magnitude(dense_model(), AT_ONCE)

    @tf.function
    def step(x: Any) -> Any:
        return pruned(x, training=True)

    with pytest.raises(ValueError, match="without their callback") as raised:
        step(X)
    assert isinstance(raised.value, UsageError)


def test_two_pruners() -> None:
    """On one model, the later one would win: an error, unless the first is done, detached, gone or broken off."""
    model = dense_model()
    for callbacks in (
        (Pruner(0.5, schedule=AT_ONCE, rules=["*=0.5"]), Pruner(0.8, schedule=AT_ONCE)),
        (Pruner(0.5, schedule=AT_ONCE), Pruner(rules=["first=0.25"], schedule=AT_ONCE)),
    ):
        with pytest.raises(UsageError, match="another pruner, which is not done") as raised:
            train(model, *callbacks)
        assert "layer 0 Dense 'first'" in str(raised.value.where) and "detach()" in str(raised.value.hint)
    train(model, Pruner(0.5, schedule=AT_ONCE))  # that fit() was broken off
    first, second = Pruner(0.5, schedule=AT_ONCE), Pruner(0.75, schedule=AT_ONCE)
    first.attach(model)
    with pytest.raises(UsageError, match="another pruner"):
        second.attach(model)
    with pytest.raises(UsageError, match="another pruner"):
        train(model, second)
    first.attach(model)  # the same one again
    first.detach()
    second.attach(model)
    second.step(0)
    second.finish(1)
    first.attach(model)
    del first  # nobody can detach it any more
    train(model, second)
    assert float(np.mean(model.layers[0].kernel.numpy() == 0)) == 0.75


@pytest.mark.parametrize("wrapper_first", [True, False])
def test_pruner_and_wrappers(wrapper_first: bool) -> None:
    """A Pruner and UpdatePruningStep in one training are two pruners, in either order."""
    pruned = prune_low_magnitude(dense_model(), AT_ONCE)
    callbacks = [UpdatePruningStep(), Pruner(0.75, schedule=AT_ONCE)]
    with pytest.raises(UsageError, match="another pruner"):
        train(pruned, *(callbacks if wrapper_first else callbacks[::-1]))
    train(strip_pruning(pruned), Pruner(0.75, schedule=AT_ONCE))
    assert float(np.mean(pruned.layers[0].layer.kernel.numpy() == 0)) == 0.75


@pytest.fixture
def half_precision() -> Iterator[None]:
    keras.mixed_precision.set_global_policy("mixed_float16")
    yield
    keras.mixed_precision.set_global_policy("float32")


def test_qat_in_half_precision(half_precision: None) -> None:
    """It is refused before the training, not by the conversion behind it; a model in float32 may be trained there."""
    mixed = dense_model()
    for call in (quantization.quantize_model, quantization.quantize_annotate_model, qat):
        with pytest.raises(ModelError, match="'first' computes in float16, training for int8 needs float32"):
            call(mixed)
    keras.mixed_precision.set_global_policy("float32")
    full = dense_model()
    keras.mixed_precision.set_global_policy("mixed_float16")
    trained = quantization.quantize_model(full)
    assert quantization.convert_qat(trained, X).content


def qat(model: Any, x: Any = X, y: Any = Y) -> Any:
    return quantization.qat(model, x, y)


class Given:
    """Models and a conversion, made once."""

    float_model = trained = converted = None


@pytest.fixture(scope="module")
def given() -> Given:
    result = Given()
    result.float_model = dense_model()
    result.trained = quantization.quantize_model(result.float_model)
    result.converted = quantization.quantize(result.float_model, X)
    return result


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda g: quantization.quantization_report(g.float_model, g.float_model, X), UsageError, "not a conversion"),
        (lambda g: quantization.quantization_report(g.float_model, g.converted, None), DataError, "got NoneType"),
        (lambda g: quantization.quantization_report(g.float_model, g.converted, X[:0]), DataError, "no samples"),
        (lambda g: quantization.quantization_report(g.float_model, g.converted, X, samples=0), UsageError, "0 samples"),
        (lambda g: quantization.quantize(g.float_model, None), DataError, r"an array \(n, ...\), got NoneType"),
        (lambda g: quantization.quantize(g.float_model, X[:0]), DataError, "there are no samples"),
        (lambda g: quantization.quantize("m.keras", X), ModelError, "no Keras model, got str"),
        (lambda g: quantization.quantize_for_tflite(g.float_model, None), DataError, "got NoneType"),
        (lambda g: quantization.convert_qat("a"), ModelError, "no Keras model"),
        (lambda g: quantization.convert_qat(g.trained, X[:0]), DataError, "no samples"),
        (lambda g: calibrate(g.trained, X[:0]), DataError, "no samples"),
        (lambda g: calibrate(g.trained, X, samples=0), UsageError, "0 samples are too few"),
        (lambda g: calibrate(g.float_model, X), ModelError, "the model is a float model"),
        (lambda g: calibrate("a", X), ModelError, "no Keras model"),
        (lambda g: qat(g.float_model, None), DataError, "got NoneType"),
        (lambda g: qat(g.float_model, X, None), DataError, r"class numbers \(n,\), got NoneType"),
        (lambda g: qat(g.float_model, X, np.eye(4)[Y]), DataError, r"an array of shape \(20, 4\)"),
        (lambda g: qat(g.float_model, X, Y + 0.5), DataError, "label 0.5 is no class number"),
        (lambda g: qat("a"), ModelError, "no Keras model"),
        (lambda g: sparsity.prune(g.float_model, X, Y, X, sparsity=0.5), DataError, "validation part has no labels"),
        (lambda g: sparsity.prune(g.float_model, X, Y[:3], sparsity=0.5), DataError, "20 samples and 3 labels"),
        (lambda g: sparsity.sensitivity(g.float_model, X, None), DataError, "class numbers"),
        (lambda g: sparsity.distilled("a"), ModelError, "no Keras model, got str"),
        (lambda g: sparsity.distilled(g.float_model, "a"), ModelError, "the teacher is no Keras model"),
        (lambda g: sparsity.distilled(g.float_model, weight="a"), UsageError, "weight is a number"),
        (lambda g: PolynomialDecay("a", 1, 2, 3), UsageError, "initial_sparsity is a number, got 'a'"),  # type: ignore
        (lambda g: PolynomialDecay(0, 0.5, 0, 1.5), UsageError, "end_step is a whole number"),  # type: ignore
        (lambda g: ConstantSparsity(0.5, "0"), UsageError, "begin_step is a whole number"),  # type: ignore
        (lambda g: sparsity.is_pruned_m_by_n(X, (2, 4, 5)), UsageError, "pair of integers"),  # type: ignore
        (lambda g: sparsity.load_model("none.keras"), ModelError, "no file none.keras"),
    ],
)
def test_one_error(given: Given, call: Callable[[Given], Any], kind: type[McupruneError], words: str) -> None:
    """Arguments that are something else than they should be."""
    with pytest.raises(kind, match=words):
        call(given)


def test_kernels_of_zeros_alone() -> None:
    """Of equal shapes a kernel of zeros takes the operator of zeros, wherever that is, and no zero is called lost."""
    inputs = keras.Input((8,))
    last, first = L.Dense(8, name="dead"), L.Dense(8, name="live")
    model = keras.Model(inputs, L.Dense(4, name="out")(L.ReLU()(L.Add()([first(inputs), last(inputs)]))))
    for layer, dead in ((last, True), (first, False)):
        for swapped in (False, True):
            kernel = np.zeros((8, 8)) if dead != swapped else np.random.default_rng(1).normal(size=(8, 8))
            layer.kernel.assign(kernel)
            other = first if layer is last else last
            other.kernel.assign(np.random.default_rng(3).normal(size=(8, 8)) if dead != swapped else np.zeros((8, 8)))
            made = quantization.quantize(model, X)
            entries = {entry.keras_name: entry for entry in made.layers}
            zero = layer if dead != swapped else other
            assert entries[zero.name].zeros == 64 and entries[zero.name].index is not None
            assert check_zeros(model, made.graph, "model") == made.layers
            live = other if zero is layer else layer
            assert entries[live.name].zeros < 8
    rows = np.zeros((2, 4))
    codes, scales = np.ones((2, 4), np.int8), np.ones(2)
    assert same_weights(rows, codes, scales) and same_weights(rows + 1, codes * 0, scales)


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["m_1/conv_1/convolution", "m_1/out_1/MatMul;m_1/out_1/BiasAdd"], ["conv_1", "out_1"]),
        (
            [
                "f/batch_normalization_1/FusedBatchNormV3;f/dw/depthwise;f/dw/BiasAdd;f/conv2d_5/Conv2D",
                "f/conv2d_5/Conv2D",
                "f/dense/Tensordot/MatMul1",
            ],
            ["dw", "conv2d_5", "dense"],
        ),
        (["a/conv/Conv2D", "b/conv/Conv2D", "c/Conv2D"], ["a/conv", "b/conv", "c"]),
        (["arith.constant2", "arith.constant3"], ["arith.constant2", "arith.constant3"]),
        (["same", "same", ""], ["same", "same_2", ""]),
    ],
)
def test_short_names_of_weights(names: list[str], short: list[str]) -> None:
    """The end of a path down to its layer, as long as it takes to be unique."""
    assert path_names(names) == short
