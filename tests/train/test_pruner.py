"""The Pruner callback: kinds of layers, ways to train, exact counts at every step, plain files."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mcuprune.errors import ModelError, TrainingError, UsageError
from mcuprune.masks import zero_count
from mcuprune.sparsity import ConstantSparsity, PolynomialDecay, Pruner, Taylor, prunable_weights
from mcuprune.sparsity.schedule import PruningSchedule

pytestmark = pytest.mark.train

layers = keras.layers
RNG = np.random.default_rng(11)
X = RNG.normal(size=(40, 12)).astype(np.float32)
Y = RNG.integers(0, 3, 40)
RAMP = PolynomialDecay(0, 0.5, 0, 3, frequency=1)


def dense(optimizer: Any = "adam", **options: Any) -> Any:
    """12 values to 3 classes by way of 8; the first layer is what is pruned."""
    keras.utils.set_random_seed(4)
    model = keras.Sequential([keras.Input((12,)), layers.Dense(8, "relu", name="first"), layers.Dense(3, name="last")])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=False, **options)
    return model


def zeros_of(model: Any) -> dict[str, int]:
    """Zeros of each kernel."""
    return {weight.name: int((weight.rows() == 0).sum()) for weight in prunable_weights(model)}


class Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """The zeros of the first kernel after each execution of the train function, with the count of updates."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, int]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        rows = prunable_weights(self.model)[0].rows()
        self.seen.append((int(self.model.optimizer.iterations), int((rows == 0).sum())))


class Twice(layers.Layer):  # type: ignore[misc]
    """A layer of one's own: an inner layer, and a matrix that it offers."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.inner = layers.Dense(6)
        self.layers = 2  # of one's own: no list of layers, as a model has

    def build(self, shape: tuple[int, ...]) -> None:
        self.inner.build(shape)
        self.matrix = self.add_weight(shape=(6, 4), name="matrix")

    def call(self, x: Any) -> Any:
        return keras.ops.matmul(self.inner(x), self.matrix)

    def get_prunable_weights(self) -> list[Any]:
        return [self.matrix]


ZOO: dict[str, tuple[tuple[int, ...], Callable[[], list[Any]], int]] = {
    "images": (
        (8, 8, 2),
        lambda: [
            layers.Conv2D(4, 3, padding="same", groups=2),
            layers.SeparableConv2D(4, 3, padding="same"),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.Conv2DTranspose(6, 2),
            layers.Reshape((9, 9, 6, 1)),
            layers.Conv3D(2, 3),
            layers.Conv3DTranspose(2, 2),
            layers.Flatten(),
        ],
        7,
    ),
    "series": (
        (9, 4),
        lambda: [
            layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
            layers.TimeDistributed(layers.Dense(5)),
            layers.GRU(4, return_sequences=True),
            layers.Conv1D(6, 3),
            layers.SeparableConv1D(4, 2),
            layers.Conv1DTranspose(4, 2),
            layers.EinsumDense("abc,cd->abd", (None, 6)),
            layers.RNN([layers.LSTMCell(3), layers.SimpleRNNCell(4)], return_sequences=True),
            layers.SimpleRNN(5),
        ],
        4 + 1 + 2 + 1 + 2 + 1 + 1 + 4 + 2,
    ),
}


@pytest.mark.parametrize("name", ZOO)
def test_kinds_of_layers(name: str) -> None:
    """Each kernel of each layer is found once, its matrix turns back, and has exactly the zeros after fit()."""
    shape, build, kernels = ZOO[name]
    model = keras.Sequential([keras.Input(shape), *build(), layers.Dense(2, name="last")])
    weights = prunable_weights(model)
    assert len(weights) == kernels + 1 and len({weight.name for weight in weights}) == kernels + 1
    for weight in weights:
        np.testing.assert_array_equal(weight.to_kernel(weight.rows()), weight.variable.numpy())
        assert weight.rows().shape == weight.matrix_shape
    model.compile("sgd", "mse", jit_compile=False)
    x = RNG.normal(size=(8, *shape)).astype(np.float32)
    model.fit(x, np.zeros((8, 2)), batch_size=2, verbose=0, callbacks=[Pruner(0.7, schedule=RAMP)])
    for weight, zeros in zip(weights, zeros_of(model).values(), strict=True):
        kept = weight.depthwise or weight.name == "last"
        assert zeros == (0 if kept else zero_count(weight.size, 0.7)), weight.name


def test_functional_model() -> None:
    """Attention, embedding, nested models, a shared layer, a layer of one's own; depthwise kernels where rules ask."""
    tokens = keras.Input((6,), dtype="int32")
    x = layers.Embedding(20, 8, name="tokens")(tokens)
    x = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    shared = layers.Dense(8, name="shared")
    x = shared(shared(x))
    x = keras.Sequential([keras.Input((6, 8)), layers.DepthwiseConv1D(3, name="dw"), Twice(name="own")], name="nest")(x)
    model = keras.Model(tokens, layers.Dense(2, name="last")(layers.Flatten()(x)))
    names = ["tokens", "attention/query", "attention/key", "attention/value", "attention/attention_output", "shared"]
    found = prunable_weights(model)
    assert len(found) == 10 and found[0].matrix_shape == (20, 8) and found[1].matrix_shape == (8, 8)
    assert found[4].matrix_shape == (8, 8) and found[4].output_axes == (2,), names
    model.compile("adam", "mse", jit_compile=False)
    data = RNG.integers(0, 20, (8, 6))
    rules = ("dw=0.5", "own=0.25", "tokens=0.75")
    model.fit(data, np.zeros((8, 2)), batch_size=2, verbose=0, callbacks=[Pruner(0.5, schedule=RAMP, rules=rules)])
    share = {"tokens": 0.75, "own": 0.25, "last": 0}
    assert list(zeros_of(model).values()) == [zero_count(weight.size, share.get(weight.name, 0.5)) for weight in found]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"run_eagerly": True},
        {"steps_per_execution": 2},
        pytest.param({"steps_per_execution": 7}, marks=pytest.mark.full),
    ],
    ids=["graph", "eager", "executes 2", "executes 7"],
)
def test_sparse_at_every_step(options: dict[str, Any]) -> None:
    """After each update the zeros are there that the schedule asked for before it; several updates at once jump."""
    schedule = PolynomialDecay(0, 0.5, 2, 12, frequency=3)
    model, watch = dense(**options), Watch()
    model.fit(X, Y, batch_size=4, epochs=2, verbose=0, callbacks=[Pruner(0.75, schedule=schedule), watch])
    executes = options.get("steps_per_execution", 1)
    for step, zeros in watch.seen:
        asked = schedule.last_update(step - executes)  # the masks moved at the first step that was not before it
        if executes == 1:
            assert zeros == (zero_count(96, schedule.sparsity_at(asked, 0.75)) if asked >= 0 else 0), step
    assert [step for step, _ in watch.seen] == sorted({min(n, 20) for n, _ in watch.seen}) and watch.seen[-1][0] == 20
    counts = [zeros for _, zeros in watch.seen]
    assert counts == sorted(counts) and zeros_of(model) == {"first": 72, "last": 0}
    assert all(variable.constraint is None for variable in model.variables)


def test_planned_ramp_and_logs() -> None:
    """Without a schedule the sparsity rises over half of the training that fit() plans; the history shows it."""
    model = dense()
    history = model.fit(X, Y, batch_size=10, epochs=4, verbose=0, callbacks=[Pruner(pattern="2:4")]).history
    assert history["sparsity"] == sorted(history["sparsity"])
    assert history["sparsity"][0] < 0.5 and history["sparsity"][2:] == [0.5, 0.5]
    assert ((prunable_weights(model)[0].rows().reshape(8, 3, 4) == 0).sum(axis=2) == 2).all()


def test_fit_again() -> None:
    """A second fit() goes on: in the middle of the ramp as if there had been one fit(), after it with the same mask."""
    ends = []
    for parts in ([6], [2, 4]):
        model, pruner, done = dense(), Pruner(0.75, schedule=PolynomialDecay(0, 0.5, 0, 24, frequency=5)), 0
        for epochs in parts:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # the first parts end before their schedule
                more = {"initial_epoch": done, "epochs": done + epochs}
                model.fit(X, Y, batch_size=8, shuffle=False, verbose=0, callbacks=[pruner], **more)
            done += epochs
        ends.append(model.get_weights())
        assert zeros_of(model)["first"] == 72
    for one, two in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, two)
    keep = prunable_weights(model)[0].rows() != 0
    model.compile("sgd", "mse")  # another optimizer, which counts from 0
    model.fit(X, np.zeros((40, 3)), batch_size=8, verbose=0, callbacks=[pruner])
    np.testing.assert_array_equal(prunable_weights(model)[0].rows() != 0, keep)
    other_model = dense()
    other_model.fit(X, Y, batch_size=8, epochs=5, verbose=0, callbacks=[pruner])  # begins anew
    assert zeros_of(other_model)["first"] == 72


def test_initial_epoch_shortens_the_plan() -> None:
    """The ramp is planned over the epochs that are left."""
    model, pruner = dense(), Pruner(0.5)
    history = model.fit(X, Y, batch_size=10, initial_epoch=6, epochs=8, verbose=0, callbacks=[pruner]).history
    assert history["sparsity"][-1] == 0.5 and zeros_of(model)["first"] == 48
    done = dense()
    done.fit(X, Y, initial_epoch=3, epochs=3, verbose=0, callbacks=[Pruner(0.5)])  # nothing left: nothing happens
    assert zeros_of(done)["first"] == 0 and all(variable.constraint is None for variable in done.variables)


def test_unknown_length() -> None:
    """A generator without end needs steps_per_epoch or a schedule; the error leaves the model as it was."""

    def batches() -> Any:
        while True:
            yield X[:8], Y[:8]

    model = dense()
    model.fit(batches(), steps_per_epoch=4, verbose=0, callbacks=[Pruner(0.5)])
    assert zeros_of(model)["first"] == 48
    model = dense()
    with pytest.raises(UsageError, match="length of the training is not known"):
        model.fit(((X[:8], Y[:8]) for _ in range(4)), verbose=0, callbacks=[Pruner(0.5)])
    assert all(variable.constraint is None for variable in model.variables)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Keras: the input ran out
        model.fit(((X[:8], Y[:8]) for _ in range(4)), verbose=0, callbacks=[Pruner(0.5, schedule=RAMP)])
    assert zeros_of(model)["first"] == 48


def test_schedule_and_training_of_other_lengths() -> None:
    """A schedule beyond the planned training is said at its beginning; a training cut short, at its end."""
    model = dense()
    late = Pruner(0.5, schedule=PolynomialDecay(0, 0.5, 0, 100, frequency=1))
    with (
        pytest.warns(UserWarning, match=r"ends at step 100, this training at step 5"),
        pytest.warns(UserWarning, match=r"ended at step 5, before its pruning schedule"),
    ):
        model.fit(X, Y, batch_size=8, verbose=0, callbacks=[late])
    stop = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: setattr(model, "stop_training", True))
    with pytest.warns(UserWarning, match="ended at step 6"):
        model.fit(X, Y, batch_size=8, verbose=0, callbacks=[late, stop])
    assert 0 < zeros_of(model)["first"] < 48


def test_a_loop_of_ones_own_cut_short() -> None:
    """finish() says that the schedule was not reached, and leaves the model without masks."""
    model = dense()
    pruner = Pruner(0.5, schedule=PolynomialDecay(0, 0.5, 0, 100, frequency=1))
    pruner.attach(model)
    pruner.step(0)
    with pytest.warns(UserWarning, match=r"ended at step 10, before its pruning schedule: 0\.0% of the weights"):
        pruner.finish(10)
    assert model.layers[0].kernel.constraint is None


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((1.0,), {}, r"sparsity 1 is not in \[0, 1\)"),
        ((80,), {}, "sparsity 80 is not in"),
        (("0.8",), {}, "sparsity is a number, got '0.8'"),
        ((RAMP,), {}, "sparsity is a PruningSchedule"),
        ((0.5, (2, 4)), {}, r"pattern is a text or a Pattern, got \(2, 4\)"),
        ((0.5, "4:2"), {}, "4 nonzeros do not fit in a group of 2"),
        ((0.5,), {"rules": "first=0.5"}, "rules is a list of texts, got 'first=0.5'"),
        ((0.5,), {"rules": {"first": 0.5}}, "rules is a list of texts"),
        ((0.5,), {"rules": ["first"]}, "'first' does not say what to do"),
        ((0.5,), {"schedule": PolynomialDecay}, "schedule is a PruningSchedule, got <class"),
        ((0.5,), {"schedule": 100}, "schedule is a PruningSchedule, got 100"),
        ((0.5,), {"criterion": "taylor"}, "criterion is an object with importance"),
        ((0.5,), {"criterion": Taylor}, "criterion is an object with importance"),
        ((0.5,), {"budget": 0.5}, "budget is a text, a Budget"),
    ],
)
def test_bad_arguments(arguments: tuple[Any, ...], options: dict[str, Any], words: str) -> None:
    """What makes no sense is said when the pruner is made, not in the middle of a training."""
    with pytest.raises(UsageError, match=words):
        Pruner(*arguments, **options)


def test_the_schedule_alone_says_how_sparse() -> None:
    """Its end is the sparsity where nothing else names one; beside a sparsity it is scaled."""
    assert Pruner(schedule=RAMP).sparsity == 0.5
    assert Pruner(schedule=ConstantSparsity(0.7, 0)).sparsity == 0.7
    assert Pruner(0.8, schedule=RAMP).sparsity == 0.8
    assert Pruner(None, "2:4", schedule=RAMP).sparsity is None
    assert Pruner(rules=["*=0.3"], schedule=RAMP).sparsity is None


@pytest.mark.parametrize("pattern", ["block:64x64", "block:4x8"])
def test_blocks_that_fit_no_layer(pattern: str) -> None:
    """A layer of which no block can go, or all would, is an error: neither left dense nor emptied in silence."""
    model = dense()  # a matrix of 8 rows and 12 columns: one block, or four of which 0.9 takes all
    with pytest.raises(UsageError, match=f"{pattern} at sparsity 0.9 takes . of . blocks of a matrix of 8x12"):
        model.fit(X, Y, verbose=0, callbacks=[Pruner(0.9, pattern)])
    assert model.layers[0].kernel.constraint is None
    with pytest.raises(ModelError, match="a list is no Keras model or layer"):
        Pruner(0.5, schedule=RAMP).attach([model])


def test_bad_models() -> None:
    """A model without weights yet, one without kernels, and weights that are NaN: one clear error each."""

    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = layers.Dense(8, name="first"), layers.Dense(3, name="last")

        def call(self, x: Any) -> Any:
            return self.last(self.first(x))

    own = Own()
    own.compile("sgd", "mse", jit_compile=False)
    with pytest.raises(UsageError, match="has no weights yet"):
        own.fit(X, np.zeros((40, 3)), verbose=0, callbacks=[Pruner(0.5)])
    own(X[:1])
    own.fit(X, np.zeros((40, 3)), batch_size=4, verbose=0, callbacks=[Pruner(0.5)])
    assert zeros_of(own) == {"first": 48, "last": 0}
    flat = keras.Sequential([keras.Input((12,)), layers.BatchNormalization()])
    with pytest.raises(ModelError, match="no weights that can be pruned"):
        Pruner(0.5).attach(flat)
    model = dense()
    model.layers[0].kernel.assign(np.full((12, 8), np.nan))
    with pytest.raises(TrainingError, match="NaN") as found:
        model.fit(X, Y, batch_size=8, verbose=0, callbacks=[Pruner(0.5)])
    assert found.value.where == "layer 'first'"
    with pytest.raises(UsageError, match="nothing says when"):
        Pruner(0.5).attach(dense())


def test_interrupted_training_leaves_no_lasting_mask() -> None:
    """Masks of a fit() that was interrupted are replaced by those of the next one, by whatever pruner."""
    model = dense()

    def interrupt(batch: int, logs: Any = None) -> None:
        if batch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop = keras.callbacks.LambdaCallback(on_train_batch_end=interrupt)
        model.fit(X, Y, batch_size=8, verbose=0, callbacks=[Pruner(0.9, schedule=RAMP), stop])
    model.layers[0].kernel.assign(RNG.normal(size=(12, 8)))
    model.fit(X, Y, batch_size=8, verbose=0, callbacks=[Pruner(0.5, schedule=ConstantSparsity(0.5, 0))])
    assert zeros_of(model)["first"] == 48 and model.layers[0].kernel.constraint is None


def test_weights_written_beside_the_optimizer_are_found() -> None:
    """Weights that somebody assigns in the middle are caught at the end, not left dense."""
    model, pruner = dense(), Pruner(0.5, schedule=RAMP)
    pruner.attach(model)
    pruner.step(3)
    pruner.masked[0].weight.variable.constraint = None
    pruner.masked[0].set = lambda keep: None  # type: ignore[method-assign]
    model.layers[0].kernel.assign(np.ones((12, 8)))
    with pytest.raises(TrainingError, match="weights are held at zero"):
        pruner.finish(4)


def test_schedule_of_ones_own() -> None:
    """A schedule that says it in __call__; jumps over many steps are no loops over them."""

    class Stairs(PruningSchedule):
        def __call__(self, step: int) -> tuple[bool, float]:
            return step in (3, 9), 0.25 if step < 9 else 0.5

        def get_config(self) -> dict[str, Any]:
            return {}

    model, watch = dense(), Watch()
    model.fit(X, Y, batch_size=4, epochs=2, verbose=0, callbacks=[Pruner(0.5, schedule=Stairs()), watch])
    assert [zeros for _, zeros in watch.seen] == [0] * 3 + [24] * 6 + [48] * 11
    assert Stairs().last_update(8, 4) == -1 and Stairs().last_update(8) == 3
    far = PolynomialDecay(0, 0.5, 10, 10**9)
    assert far.last_update(10**12) == 10**9 and far.last_update(5) == -1 and far.last_update(250, 211) == -1
    assert far.last_update(250, 210) == 210 and ConstantSparsity(0.5, 7, 10**9).last_update(10**12) == 999999907


LOADER = """
import sys
import keras
model = keras.models.load_model(sys.argv[1])
assert not any("mcuprune" in name for name in sys.modules)
assert model.optimizer is not None and model.predict(__import__("numpy").zeros((1, 12)), verbose=0).shape == (1, 3)
kernel = model.get_layer("first").get_weights()[0]
print((kernel == 0).sum(), type(model.get_layer("first")).__module__)
"""


def test_saved_model_needs_nothing(tmp_path: Path) -> None:
    """What is saved, while it trains too, is a plain Keras model: another process loads it without this package."""
    model = dense()
    save = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0, callbacks=[Pruner(0.5), save])
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["1.keras", "2.keras"]
    found = subprocess.run(
        [sys.executable, "-c", LOADER, str(files[1])], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert found.stdout.split()[0] == "48" and found.stdout.split()[1].startswith("keras.")
