"""The API of TensorFlow Model Optimization: its names and what they promise, without its defects."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mcuprune import sparsity
from mcuprune.cli import run
from mcuprune.errors import McupruneError, ModelError, ToolMissingError, UsageError
from mcuprune.sparsity import (
    ConstantSparsity,
    PolynomialDecay,
    PruneLowMagnitude,
    UpdatePruningStep,
    collect_prunable_layers,
    is_pruned_m_by_n,
    prune_low_magnitude,
    prune_scope,
    strip_pruning,
)

pytestmark = pytest.mark.train

L = keras.layers
AT_ONCE = ConstantSparsity(0.5, 0, frequency=1)


def dense_model(*names: str) -> Any:
    """10 features, 16 hidden units, 4 classes."""
    first, second = names or ("first", "second")
    layers = [L.Dense(16, activation="relu", name=first), L.Dense(4, activation="softmax", name=second)]
    return keras.Sequential([keras.Input((10,)), *layers])


def data(*shape: int, outputs: int = 4, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    return rng.normal(size=(count, *shape)).astype(np.float32), rng.normal(size=(count, outputs)).astype(np.float32)


def train(
    model: Any, x: np.ndarray, y: np.ndarray, epochs: int = 1, callbacks: Any = None, graph: bool = False
) -> None:
    """Two steps an epoch, in order, with UpdatePruningStep unless told otherwise; eager, as tracing takes seconds."""
    if not model.compiled:
        model.compile("sgd", "mse", run_eagerly=not graph)
    callbacks = [UpdatePruningStep()] if callbacks is None else callbacks
    model.fit(x, y, batch_size=len(x) // 2, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks)


def zeros(model: Any) -> list[int]:
    """Zeros of each pruned kernel."""
    return [int(np.sum(w.numpy() == 0)) for layer in collect_prunable_layers(model) for w, _, _ in layer.pruning_vars]


def test_the_round_trip(tmp_path: Path) -> None:
    """Wrap, train, save, load, go on, strip: the same layers, exact zeros, the plain model again."""
    model = dense_model()
    x, y = data(10)
    expected = model.predict(x, verbose=0)
    pruned = prune_low_magnitude(model, PolynomialDecay(0.25, 0.75, 1, 4, frequency=1))
    assert [layer.layer for layer in pruned.layers] == model.layers and not pruned.compiled
    assert [id(w) for w in pruned.weights] == [id(w) for w in model.weights]  # masks are no weights of the model
    np.testing.assert_array_equal(pruned.predict(x, verbose=0), expected)
    assert [layer.pruning_step for layer in pruned.layers] == [-1, -1] and zeros(pruned) == [0, 0]
    train(pruned, x, y, epochs=2, graph=True)
    assert [layer.pruning_step for layer in pruned.layers] == [4, 4] and zeros(pruned) == [120, 48]
    pruned.export(tmp_path / "exported", verbose=False)
    assert (tmp_path / "exported" / "saved_model.pb").is_file()
    weight, mask, threshold = pruned.layers[0].pruning_vars[0]
    kept = np.abs(weight.numpy())[mask.numpy()]
    assert kept.size == 40 and threshold == kept.min() > 0

    pruned.save(tmp_path / "pruned.keras")
    with prune_scope():
        loaded = keras.models.load_model(tmp_path / "pruned.keras")
    assert loaded.layers[0].pruning_schedule == pruned.layers[0].pruning_schedule
    train(loaded, x, y)
    assert loaded.layers[0].pruning_step == 6 and zeros(loaded) == [120, 48]
    predicted = loaded.predict(x, verbose=0)
    plain = strip_pruning(loaded)
    assert [type(layer) for layer in plain.layers] == [L.Dense, L.Dense]
    np.testing.assert_array_equal(plain.predict(x, verbose=0), predicted)
    assert [int(np.sum(layer.kernel.numpy() == 0)) for layer in plain.layers] == [120, 48]
    plain.save(tmp_path / "plain.keras")
    assert b"prune" not in (tmp_path / "plain.keras").read_bytes().lower()
    fresh = dense_model()
    assert strip_pruning(prune_low_magnitude(fresh)).get_config() == fresh.get_config()


def test_resumed_is_uninterrupted(tmp_path: Path) -> None:
    """A training cut in its schedule, at the end of an epoch or amid one, goes on to the same weights."""
    x, y = data(10)
    schedule = PolynomialDecay(0.2, 0.8, 0, 7, frequency=1)
    start = dense_model().get_weights()

    def fresh() -> Any:
        model = dense_model()
        model.set_weights(start)
        return prune_low_magnitude(model, schedule)

    whole, half = fresh(), fresh()
    train(whole, x, y, epochs=4)
    saver = keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}-{batch}.keras"), save_freq=1)
    with pytest.warns(UserWarning, match=r"step 4, before the schedule of 2 of 2 pruned layers ends \(step 7\)"):
        train(half, x, y, epochs=2, callbacks=[UpdatePruningStep(), saver])
    half.save_weights(tmp_path / "half.weights.h5")
    (refilled := fresh()).load_weights(tmp_path / "half.weights.h5")
    amid = keras.models.load_model(tmp_path / "2-1.keras")
    assert (amid.layers[0].pruning_step, refilled.layers[0].pruning_step) == (3, 4)
    amid.compile("sgd", "mse", run_eagerly=True)
    with pytest.warns(UserWarning, match="step 4"):
        amid.fit(x[20:], y[20:], batch_size=20, verbose=0, callbacks=[UpdatePruningStep()])
    for model in (amid, refilled):
        train(model, x, y, epochs=2)
        for got, wanted in zip(model.get_weights(), whole.get_weights(), strict=True):
            np.testing.assert_array_equal(got == 0, wanted == 0)
            np.testing.assert_allclose(got, wanted, atol=0 if model is refilled else 1e-6)  # sums of other batches
    dense_model().save_weights(tmp_path / "plain.weights.h5")
    with pytest.raises(ValueError):  # upstream takes the file and loads nothing of it
        fresh().load_weights(tmp_path / "plain.weights.h5")


def test_layers_of_layers() -> None:
    """Kernels at any depth of a graph with nested and shared layers; a shared one once; predictions of old and new."""
    inputs = keras.Input((3, 8))
    shared = L.Dense(8, name="shared")
    x = L.Bidirectional(L.LSTM(4, return_sequences=True))(shared(shared(inputs)))
    x = L.MultiHeadAttention(2, 4)(query=x, value=x)
    x = L.TimeDistributed(L.Dense(8))(x) + inputs
    x, state = L.GRU(4, return_state=True, return_sequences=True)(x)
    x = L.RNN([L.LSTMCell(4), L.SimpleRNNCell(4)])(x)
    inner = keras.Sequential([keras.Input((4,)), L.Dense(6, name="inside"), L.BatchNormalization()])
    model = keras.Model(inputs, L.Dense(4)(inner(x + state)))
    samples, targets = data(3, 8, count=4)
    expected = model(samples)
    pruned = prune_low_magnitude(model, AT_ONCE)
    np.testing.assert_array_equal(pruned(samples), expected)
    train(pruned, samples, targets)
    found = [(w, mask) for layer in collect_prunable_layers(pruned) for w, mask, _ in layer.pruning_vars]
    assert len(found) == 1 + 4 + 4 + 1 + 2 + 4 + 1 + 1 and len({id(w) for w, _ in found}) == len(found)
    for weight, mask in found:
        assert np.sum(weight.numpy() == 0) == weight.numpy().size // 2 == np.sum(~mask.numpy()), weight.path
    predicted = pruned(samples)
    plain = strip_pruning(pruned)
    assert plain.get_config() == model.get_config()
    np.testing.assert_array_equal(plain(samples), predicted)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: L.Conv1D(4, 3), (8, 4)),
        (lambda: L.Conv2DTranspose(4, 3), (5, 5, 4)),
        (lambda: L.Conv3D(4, 2), (3, 3, 3, 4)),
        (lambda: L.SeparableConv2D(4, 3), (5, 5, 4)),
        (lambda: L.DepthwiseConv2D(2), (5, 5, 4)),
        (lambda: L.Embedding(6, 8), (3,)),
    ],
)
def test_kinds_of_kernels(layer: Callable[[], Any], shape: tuple[int, ...]) -> None:
    """Each kind of kernel; depthwise ones only where the layer is asked for itself."""
    model = keras.Sequential([keras.Input(shape), prune_low_magnitude(layer(), AT_ONCE), L.Flatten()])
    x = np.abs(data(*shape, count=4)[0]) % 5
    train(model, x, model.predict(x, verbose=0) + 1)
    ((weight, _, _),) = model.layers[0].pruning_vars
    assert np.sum(weight.numpy() == 0) == weight.numpy().size // 2


def test_subclassed_in_place() -> None:
    """A model with a class of its own stays the object that it is, refuses to train alone, and can be stripped."""

    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.flat, self.out = L.Conv2D(4, 3), L.Flatten(), L.Dense(4)

        def call(self, x: Any) -> Any:
            return self.out(self.flat(self.conv(x)))

    x, y = data(6, 6, 2)
    model = Net()
    with pytest.raises(ModelError, match="no weights yet"):
        prune_low_magnitude(model, AT_ONCE)
    model(x[:1])
    assert prune_low_magnitude(model, AT_ONCE) is model
    with pytest.raises(UsageError, match="without their callback"):
        train(model, x, y, callbacks=[])
    train(model, x, y)
    for layer in (model.conv, model.out):
        assert np.sum(layer.kernel.numpy() == 0) == layer.kernel.numpy().size // 2
    assert strip_pruning(model) is model and model.conv.kernel.constraint is None
    train(model, x, y, callbacks=[])  # a plain model again


def test_without_the_callback() -> None:
    """fit(), a second fit() and a loop of one's own raise one error; inference needs no callback."""
    x, y = data(10)
    pruned = prune_low_magnitude(dense_model(), AT_ONCE)
    pruned.predict(x, verbose=0)
    with pytest.raises(UsageError, match="without their callback") as raised:
        pruned(x, training=True)
    assert raised.value.where == "layer 'first'" and "UpdatePruningStep()" in str(raised.value.hint)
    with pytest.raises(UsageError, match="without their callback"):
        train(pruned, x, y, callbacks=[], graph=True)
    train(pruned, x, y)
    with pytest.raises(UsageError, match="without their callback"):  # although the step was traced already
        train(pruned, x, y, callbacks=[])
    unbuilt = keras.Sequential([prune_low_magnitude(L.Dense(4), AT_ONCE)])
    callback = UpdatePruningStep()
    callback.set_model(unbuilt)
    with pytest.raises(UsageError, match="without weights when the training begins"):
        callback.on_train_begin()
    with pytest.warns(UserWarning, match="no pruned layers"):
        train(dense_model(), x, y)
    assert zeros(pruned) == [80, 32]


def test_stripped_or_wrapped_again_meanwhile() -> None:
    """What strips or wraps the same layers takes the masks off; the next training of the first puts them back."""
    x, y = data(10)
    pruned = prune_low_magnitude(dense_model(), AT_ONCE)
    train(pruned, x, y)
    plain = strip_pruning(pruned)
    train(plain, x, y, callbacks=[])
    assert np.count_nonzero(plain.layers[0].kernel) == 160
    train(pruned, x, y)
    assert zeros(pruned) == [80, 32]
    other = prune_low_magnitude(plain, ConstantSparsity(0.25, 0, frequency=1))
    plain.compile("sgd", "mse")
    with pytest.raises(UsageError, match="without their callback"):  # the layers are pruned: not by their plain model
        train(plain, x, y, callbacks=[])
    train(pruned, x, y)
    assert zeros(pruned) == [80, 32] and pruned.layers[0].pruning_step == 6 and other.layers[0].pruning_step == -1


def test_custom_loop() -> None:
    """The loop of upstream's guide: the model is told its optimizer, the callback each batch and epoch."""
    import tensorflow as tf

    x, y = data(10)
    pruned = prune_low_magnitude(dense_model(), PolynomialDecay(0, 0.75, 0, 3, frequency=1))
    callback, optimizer, loss = UpdatePruningStep(), keras.optimizers.SGD(0.1), keras.losses.MeanSquaredError()
    callback.set_model(pruned)
    pruned.optimizer = optimizer
    callback.on_train_begin()
    seen = []
    for _ in range(3):
        callback.on_train_batch_begin(batch=-1)
        with tf.GradientTape() as tape:
            value = loss(y, pruned(x, training=True))
        variables = pruned.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
        seen.append(zeros(pruned)[0])
        callback.on_epoch_end(batch=-1)
    assert pruned.layers[0].pruning_step == 3
    assert seen == [0, round(160 * 0.75 * (1 - (2 / 3) ** 3)), round(160 * 0.75 * (1 - (1 / 3) ** 3))]
    callback.on_train_end()
    assert zeros(pruned) == [120, 48]


def test_steps_are_batches() -> None:
    """Batches count, as upstream, also where four of them make one update."""
    pruned = prune_low_magnitude(dense_model(), PolynomialDecay(0, 0.5, 0, 8, frequency=1))
    pruned.compile(keras.optimizers.SGD(gradient_accumulation_steps=4), "mse", run_eagerly=True)
    train(pruned, *data(10), epochs=4)
    assert int(pruned.optimizer.iterations) == 2 and pruned.layers[0].pruning_step == 8 and zeros(pruned) == [80, 32]


def test_m_by_n_comes_gradually(tmp_path: Path) -> None:
    """N:M follows the schedule, scaled to its end; groups lie within the channels of a place, the last is shorter."""
    layers = [L.Conv2D(4, 3, name="rest"), L.Conv2D(3, 2, name="whole"), L.Flatten(), L.Dense(4, name="out")]
    model = keras.Sequential([keras.Input((6, 6, 7)), *layers])
    schedule = PolynomialDecay(0, 0.9, 0, 4, power=1, frequency=1)
    pruned = prune_low_magnitude(model, schedule, sparsity_m_by_n=(2, 4))
    x, y = data(6, 6, 7)
    with pytest.warns(UserWarning, match="before the schedule"):
        train(pruned, x, y)
    halves = zeros(pruned)
    train(pruned, x, y)
    assert zeros(pruned) == [4 * 9 * 3, 24, 52] and halves == [n // 2 for n in zeros(pruned)]  # 3 of 7: 2 of 4, 1 of 3
    assert all(is_pruned_m_by_n(layer.layer.kernel) for layer in pruned.layers if layer.pruning_vars)
    pruned.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].sparsity_m_by_n == (2, 4)  # upstream forgets it
    train(loaded, x, y)
    assert zeros(loaded) == [4 * 9 * 3, 24, 52]


@pytest.mark.parametrize(
    ("pooling", "kept"),
    [
        ("AVG", [[0, 0, 1, 1], [1, 1, 0, 0]]),
        ("MAX", [[1, 1, 0, 0], [1, 1, 0, 0]]),
        ("L2", [[1, 1, 1, 1], [0, 0, 0, 0]]),
    ],
)
def test_pooling_of_blocks(pooling: str, kept: list[list[int]]) -> None:
    """The pooling says which blocks go; of equal ones the first of the first output."""
    dense = prune_low_magnitude(L.Dense(2), AT_ONCE, block_size=(2, 1), block_pooling_type=pooling)
    keras.Sequential([keras.Input((4,)), dense])
    dense.layer.set_weights([np.array([[1, 5], [9, 6], [6, 1], [6, 1]], np.float32), np.zeros(2, np.float32)])
    dense.masks.update(0)
    assert (dense.layer.kernel.numpy() != 0).T.astype(int).tolist() == kept


def test_blocks_of_kernels() -> None:
    """(a, b): a inputs by b outputs, of a dense kernel as of a convolution; of an embedding tokens by dimensions."""
    conv = prune_low_magnitude(L.Conv2D(4, 3), AT_ONCE, block_size=(2, 4))
    keras.Sequential([keras.Input((5, 5, 2)), conv])
    conv.masks.update(0)
    zeros_of_conv = conv.layer.kernel.numpy().reshape(9, 2, 4) == 0
    assert (zeros_of_conv.all(axis=(1, 2)) == zeros_of_conv.any(axis=(1, 2))).all() and zeros_of_conv.sum() == 4 * 8
    words = prune_low_magnitude(L.Embedding(4, 6), AT_ONCE, block_size=(1, 6))
    keras.Sequential([keras.Input((3,)), words])
    words.masks.update(0)
    assert (words.layer.embeddings.numpy() == 0).all(axis=1).sum() == 2  # whole tokens


def test_one_weight_stays() -> None:
    """A sparsity that would empty a layer leaves the largest weight, as upstream."""
    pruned = sparsity.prune_for_benchmark(dense_model(), 0.999)
    assert zeros(pruned) == [159, 63]
    with pytest.raises(ModelError, match="no weights yet"):
        sparsity.prune_for_benchmark(keras.Sequential([L.Dense(3)]), 0.5)


class Own(L.Dense):
    """A layer of one's own that says nothing."""


class Scaled(keras.Layer):
    """A layer of one's own with a kernel that it makes itself."""

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], 4))

    def call(self, x: Any) -> Any:
        return x @ self.kernel


class Told(Scaled, sparsity.PrunableLayer):
    """The same, and it says what can be pruned."""

    def get_prunable_weights(self) -> list[Any]:
        return [self.kernel]


class Both(keras.Layer):
    """A layer made of layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = L.Dense(6), L.Dense(4)

    def call(self, x: Any) -> Any:
        return self.second(self.first(x))


@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
@pytest.mark.parametrize(("layer", "kernels"), [(Told, 1), (Both, 2), (lambda: L.Lambda(lambda x: x[:, :4]), 0)])
def test_layers_of_ones_own(layer: Callable[[], Any], kernels: int) -> None:
    """A PrunableLayer, and a layer made of known layers, which upstream refuses; one without kernels passes through."""
    model = keras.Sequential([keras.Input((10,)), *prune_low_magnitude([layer(), L.Dense(4)], AT_ONCE)])
    x, y = data(10)
    train(model, x, y)
    shares = [float(np.mean(weight.numpy() == 0)) for weight, _, _ in model.layers[0].pruning_vars]
    assert shares == [0.5] * kernels


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: prune_low_magnitude(object()), "a object cannot be pruned"),
        (lambda: prune_low_magnitude([L.Dense(2), 3]), "only layers of a list"),
        (lambda: prune_low_magnitude(Own(3)), "which weights of a Own"),
        (lambda: prune_low_magnitude(Scaled()), "which weights of a Scaled"),
        (lambda: prune_low_magnitude(keras.Sequential([L.Dense(2), Own(3)])), "which weights of a Own"),
        (lambda: prune_low_magnitude(L.ConvLSTM2D(2, (2, 2))), "which weights of a ConvLSTM2D"),
        (lambda: prune_low_magnitude(L.Dense(2), block_pooling_type="MIN"), "block_pooling_type 'MIN'"),
        (lambda: prune_low_magnitude(L.Dense(2), block_size=(0, 1)), "not positive"),
        (lambda: prune_low_magnitude(L.Dense(2), block_size=4), "block_size is a pair of integers"),
        (lambda: prune_low_magnitude(L.Dense(2), sparsity_m_by_n=(4, 4)), "0 < m < n"),
        (lambda: prune_low_magnitude(L.Dense(2), sparsity_m_by_n=(2, 4), block_size=(2, 2)), "two patterns at once"),
        (lambda: prune_low_magnitude(L.Dense(2), 0.8), "not a PruningSchedule"),
        (lambda: PruneLowMagnitude(L.Dense(2), sparsity_m_by_n=(2, 4)).build((None, 2)), "would leave every weight"),
        (lambda: prune_low_magnitude(dense_model(), pruning_policy="xnnpack"), "is a PruningPolicy, got 'xnnpack'"),
        (lambda: prune_low_magnitude(dense_model(), pruning_policy=sparsity.PruneForLatencyOnXNNPack), "PruningPolicy"),
        (lambda: prune_low_magnitude(dense_model(), block_size=(64, 64)), "block_size covers all of a kernel of"),
        (lambda: strip_pruning(L.Dense(2)), "not a Keras model"),
        (lambda: sparsity.PruningSummaries(log_dir=""), "log_dir"),
        (lambda: is_pruned_m_by_n(np.ones((2, 4)), (3, 2)), "m_by_n"),
        (lambda: is_pruned_m_by_n(np.ones(4)), "no input channels"),
        (lambda: is_pruned_m_by_n(np.ones((2, 4)), last_channel="C"), "last_channel"),
    ],
)
def test_one_error_that_helps(call: Callable[[], Any], words: str) -> None:
    """Bad input is a ValueError, as upstream's, with what was wrong."""
    with pytest.raises(ValueError, match=words) as raised:
        call()
    assert isinstance(raised.value, McupruneError)


def test_list_and_policy() -> None:
    """The list form honours the policy, which upstream forgets, and wraps a layer that stands twice once."""

    class NoDense(sparsity.PruningPolicy):
        def allow_pruning(self, layer: Any) -> bool:
            return not isinstance(layer, L.Dense)

        def ensure_model_supports_pruning(self, model: Any) -> None:
            if len(model.layers) > 2:
                raise ValueError("too many layers")

    conv, dense = L.Conv1D(2, 3), L.Dense(3)
    first, second, third = prune_low_magnitude([conv, dense, conv], AT_ONCE, pruning_policy=NoDense())
    assert isinstance(first, PruneLowMagnitude) and first is third and second is dense
    assert prune_low_magnitude(first) is first
    with pytest.raises(ValueError, match="too many layers"):
        prune_low_magnitude(keras.Sequential([conv, dense, L.Flatten()]), pruning_policy=NoDense())


def xnnpack_model(*middle: Any, padding: str = "valid", end: Any = None) -> Any:
    start = [L.ZeroPadding2D(1), L.Conv2D(8, 3, 2, padding=padding)]
    return keras.Sequential([keras.Input((8, 8, 3)), *start, *middle, end or L.GlobalAveragePooling2D()])


def test_policy_for_xnnpack() -> None:
    """1x1 convolutions alone are pruned, in nested models too, and what XNNPACK cannot run sparsely is named."""
    policy = sparsity.PruneForLatencyOnXNNPack()
    inner = keras.Sequential([keras.Input((2, 2, 8)), L.Conv2D(8, 1, name="inner"), L.BatchNormalization()])
    depthwise = [
        L.DepthwiseConv2D(3, padding="same"),
        L.Activation("relu"),
        L.ZeroPadding2D(2),
        L.DepthwiseConv2D(5, 2),
    ]
    model = xnnpack_model(*depthwise, inner, L.Conv2D(8, 1, name="outer"), L.UpSampling2D(interpolation="bilinear"))
    pruned = prune_low_magnitude(model, AT_ONCE, pruning_policy=policy)
    assert [layer.layer.name for layer in collect_prunable_layers(pruned)] == ["inner", "outer"]
    again = prune_low_magnitude(pruned, AT_ONCE, pruning_policy=policy)
    assert len(collect_prunable_layers(again)) == 2
    inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(8, 3, 2)(L.ZeroPadding2D(1)(inputs))
    x = L.GlobalAveragePooling2D(keepdims=True)(L.Conv2D(8, 1)(x) + x)
    branches = keras.Model(inputs, [L.Conv2D(2, 1)(x), L.Conv2D(3, 1)(x)])
    assert len(collect_prunable_layers(prune_low_magnitude(branches, pruning_policy=policy))) == 3
    for refused, words in (
        (xnnpack_model(padding="same"), "no Conv2D 3x3 of 3 channels"),
        (xnnpack_model(end=L.AveragePooling2D(2)), "no GlobalAveragePooling2D"),
        (xnnpack_model(L.MaxPooling2D(2)), "MaxPooling2D"),
        (xnnpack_model(L.DepthwiseConv2D(3)), "DepthwiseConv2D"),
        (xnnpack_model(L.BatchNormalization(axis=1)), "BatchNormalization"),
        (keras.Sequential([L.Conv2D(2, 1)]), "not built"),
    ):
        with pytest.raises(UsageError, match=words):
            prune_low_magnitude(refused, pruning_policy=policy)


@pytest.mark.parametrize(
    ("weights", "m_by_n", "pruned"),
    [
        ([[1, 2, 0, 0]], (2, 4), True),
        ([[1, 2, 0, 0]], (1, 2), False),
        ([[1, 2, 0, 4], [0, 0, 1, 2]], (2, 4), False),
        ([[1, 2, 0, 0, 5, 6]], (2, 4), True),  # the last group is shorter
        ([[1, 2, 0, 0, 5, 6, 7]], (2, 4), False),
    ],
)
def test_is_pruned_m_by_n(weights: list[list[int]], m_by_n: tuple[int, int], pruned: bool) -> None:
    """Rows are outputs for C_IN, columns for C_OUT; a variable of Keras will do."""
    assert is_pruned_m_by_n(np.array(weights), m_by_n, "C_IN") is pruned
    assert is_pruned_m_by_n(keras.Variable(np.array(weights).T), m_by_n) is pruned


def test_summaries(tmp_path: Path) -> None:
    """Events for each epoch where tensorboard is installed, one error where it is not."""
    x, y = data(10)
    pruned = prune_low_magnitude(dense_model(), AT_ONCE)
    if importlib.util.find_spec("tensorboard") is None:
        with pytest.raises(ToolMissingError, match="pip install tensorboard"):
            sparsity.PruningSummaries(str(tmp_path))
        return
    train(pruned, x, y, callbacks=[UpdatePruningStep(), sparsity.PruningSummaries(str(tmp_path))])
    (events,) = (tmp_path / "metrics").iterdir()
    assert b"first/kernel/mask/sparsity" in events.read_bytes()


JAX = """
import keras, numpy as np
from mcuprune import sparsity
layers = keras.layers
model = keras.Sequential([keras.Input((10,)), layers.Dense(8), layers.Dense(4)])
pruned = sparsity.prune_low_magnitude(model, sparsity.PolynomialDecay(0, 0.5, 0, 6, frequency=1))
x, y = np.random.rand(40, 10).astype("f"), np.random.rand(40, 4).astype("f")
pruned.compile("adam", "mse")
pruned.fit(x, y, batch_size=10, verbose=0, callbacks=[sparsity.UpdatePruningStep()])
pruned.save("jax.keras")
loaded = keras.models.load_model("jax.keras")
loaded.fit(x, y, batch_size=10, verbose=0, callbacks=[sparsity.UpdatePruningStep()])
assert loaded.layers[0].pruning_step == 8
plain = sparsity.strip_pruning(loaded)
for layer in plain.layers:
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    assert np.sum(kernel == 0) == kernel.size // 2, kernel
print("done", keras.backend.backend())
"""


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="no jax: pip install jax")
def test_with_jax(tmp_path: Path) -> None:
    """The same code on Keras's jax backend, resumed from a file."""
    environment = {
        "KERAS_BACKEND": "jax",
        "PYTHONPATH": str(Path(sparsity.__file__).parents[2]),
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run(
        [sys.executable, "-c", JAX], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.stdout == "done jax\n", done.stderr


def test_the_command_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """prune --one-shot of a .keras, and sparsity of what it wrote, plain or wrapped."""
    monkeypatch.chdir(tmp_path)
    dense_model().save("dense.keras")
    asked = ["--one-shot", "--pattern", "2:4", "--layer", "first=0.5,block:2x2"]
    assert run(["prune", "dense.keras", *asked, "--epochs", "2", "-o", "p.keras"]) == 2
    assert "--one-shot does not train" in capsys.readouterr().err
    assert run(["prune", "dense.keras", *asked, "--layer", "second=2:4", "-o", "p.keras", "--json"]) == 0
    pruned = json.loads(capsys.readouterr().out)
    assert [layer["zeros"] for layer in pruned["layers"]] == [80, 32] and pruned["notes"] == []
    assert run(["sparsity", "p.keras", "--require", "second", "--json"]) == 0
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)["weights"]}
    assert found["second"] == {
        "name": "second",
        "short_name": "second",
        "shape": [16, 4],
        "zeros": 32,
        "size": 64,
        "has_pattern": True,
    }
    assert found["first"]["zeros"] == 80
    assert run(["sparsity", "dense.keras", "--require", "first"]) == 1
    assert "no 2:4 pattern: first" in capsys.readouterr().err
    prune_low_magnitude(dense_model(), AT_ONCE).save("wrapped.keras")
    assert run(["sparsity", "wrapped.keras"]) == 0 and "160" in capsys.readouterr().out
    for arguments, code in ((["none.keras"], 3), (["x.txt"], 2), (["p.keras", "--pattern", "4:2"], 2)):
        assert run(["sparsity", *arguments]) == code
    assert run(["sparsity", "p.keras", "--require", "third"]) == 2
