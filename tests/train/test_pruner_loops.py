"""The Pruner in loops of one's own, with the optimizers' extras, and to be taken up again."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mcuprune.errors import ModelError, UsageError
from mcuprune.masks import zero_count
from mcuprune.sparsity import PolynomialDecay, Pruner, PruningCheckpoint, prunable_weights
from mcuprune.sparsity.runtime import make_repeatable

pytestmark = pytest.mark.train

layers = keras.layers
RNG = np.random.default_rng(12)
X = RNG.normal(size=(48, 12)).astype(np.float32)
Y = RNG.integers(0, 3, 48)
RAMP = PolynomialDecay(0, 0.5, 2, 20, frequency=4)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def build(optimizer: Any = None, name: str = "first", dropout: float = 0.2) -> Any:
    """12 values to 3 classes by way of 8, with normalization, dropout and momenta: all the state that training has."""
    keras.utils.set_random_seed(4)
    model = keras.Sequential(
        [
            keras.Input((12,)),
            layers.Dense(8, "relu", name=name),
            layers.BatchNormalization(),
            layers.Dropout(dropout),
            layers.Dense(3, name="last"),
        ]
    )
    model.compile(optimizer or keras.optimizers.Adam(0.01), LOSS, jit_compile=False)
    return model


def zeros_of(model: Any) -> int:
    """Zeros of the first kernel."""
    return int((prunable_weights(model)[0].rows() == 0).sum())


def fit(model: Any, *callbacks: Any, first: int = 0, last: int = 4) -> None:
    """8 updates an epoch, the samples in order."""
    model.fit(X, Y, batch_size=6, shuffle=False, initial_epoch=first, epochs=last, verbose=0, callbacks=list(callbacks))


def assert_equal(one: Any, two: Any) -> None:
    """Equal weights, bit for bit."""
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "graph", [pytest.param(False, id="eager", marks=pytest.mark.full), pytest.param(True, id="tf.function")]
)
def test_custom_loop(graph: bool) -> None:
    """A loop with a gradient tape: sparse after each update, and plain afterwards."""
    model, pruner = build(), Pruner(0.75, schedule=RAMP)

    def update(x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            loss = LOSS(y, model(x, training=True))
        model.optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
        )

    pruner.attach(model)
    run = tf.function(update) if graph else update
    moved = []
    for step in range(24):
        if pruner.step(step):
            moved.append(step)
        run(X[step : step + 8], Y[step : step + 8])
        asked = RAMP.last_update(step)
        assert zeros_of(model) == (zero_count(96, RAMP.sparsity_at(asked, 0.75)) if asked >= 0 else 0)
    pruner.finish()
    assert moved == [2, 6, 10, 14, 18, 20] and zeros_of(model) == 72
    assert all(variable.constraint is None for variable in model.variables)
    with pytest.raises(UsageError, match="on no model"):
        pruner.step(25)


def test_loops_that_the_schedule_does_not_fit() -> None:
    """A loop that ends before its schedule, and a ramp that began before the loop, are told."""
    model, pruner = build(), Pruner(0.75, schedule=RAMP)
    pruner.attach(model)
    pruner.step(10)
    with pytest.warns(UserWarning, match=r"ended at step 11, before its pruning schedule: \d\d\.\d% of the weights"):
        pruner.finish()
    assert 0 < zeros_of(model) < 72
    model = build()
    model.optimizer.iterations.assign(12)
    with pytest.warns(UserWarning, match=r"made 12 updates before, and the pruning schedule begins at step 2"):
        Pruner(0.75, schedule=RAMP).attach(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        Pruner(0.75, schedule=PolynomialDecay(0, 0.5, 12, 30)).attach(model)


def test_mixed_precision() -> None:
    """Steps are updates that were made: those that the loss scale skips do not count."""
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = build(keras.mixed_precision.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=2.0**24))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    seen: list[tuple[int, int]] = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_, **__: seen.append((int(model.optimizer.iterations), zeros_of(model)))
    )
    fit(model, Pruner(0.75, schedule=RAMP), watch, last=6)
    skipped = 48 - seen[-1][0]
    assert 4 < skipped < 24 and zeros_of(model) == 72
    before = 0
    for after, zeros in seen:
        asked = RAMP.last_update(before)
        assert zeros == (zero_count(96, RAMP.sparsity_at(asked, 0.75)) if asked >= 0 else 0)
        before = after


@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=4), id="accumulation"),
        pytest.param(lambda: keras.optimizers.SGD(0.01, momentum=0.9, use_ema=True, ema_momentum=0.9), id="average"),
        pytest.param(
            lambda: keras.optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=3),
            id="average written",
            marks=pytest.mark.full,
        ),
        pytest.param(
            lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1, clipnorm=1.0), id="decay", marks=pytest.mark.full
        ),
    ],
)
def test_optimizers(optimizer: Callable[[], Any]) -> None:
    """Zeros hold after each batch and at the end, also where averages are written over the weights."""
    model = build(optimizer())
    batches = model.optimizer.gradient_accumulation_steps or 1  # of one update
    schedule = PolynomialDecay(0, 0.5, 1, 24 // batches, frequency=2)
    seen: list[int] = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: seen.append(zeros_of(model)))
    fit(model, Pruner(0.75, schedule=schedule), watch)
    asked = [schedule.last_update(batch // batches) for batch in range(32)]
    assert seen == [zero_count(96, schedule.sparsity_at(step, 0.75)) if step >= 0 else 0 for step in asked]
    assert zeros_of(model) == 72 and int(model.optimizer.iterations) == 32 // batches


@pytest.mark.parametrize(
    "way", ["zeros", *(pytest.param(way, marks=pytest.mark.full) for way in ("checkpoint", "save and load"))]
)
def test_interrupted_in_the_ramp(tmp_path: Path, way: str) -> None:
    """Taken up with new objects after two of four epochs, the weights end as those of a training that ran through."""
    make_repeatable(1)
    dropout = (
        0.2 if way == "checkpoint" else 0
    )  # Keras does not save the state of its random numbers, the checkpoint does
    whole = build(dropout=dropout)
    fit(whole, Pruner(0.75, schedule=RAMP))
    part, pruner = build(dropout=dropout), Pruner(0.75, schedule=RAMP)
    checkpoint = PruningCheckpoint(tmp_path, pruner)
    with pytest.warns(UserWarning, match="this training at step 16"), pytest.warns(UserWarning, match="another fit"):
        fit(part, pruner, checkpoint, last=2)
    assert 0 < zeros_of(part) < 72
    part.save(tmp_path / "model.keras")
    new = Pruner(0.75, schedule=RAMP)
    if way == "checkpoint":
        again, epoch = PruningCheckpoint(tmp_path, new).restore()
        assert epoch == 2
    else:
        again = keras.models.load_model(tmp_path / "model.keras")
        if way == "save and load":
            pruner.save(tmp_path / "masks.npz")
            new.load(tmp_path / "masks.npz")
    fit(again, new, first=2)
    assert int(again.optimizer.iterations) == 32 and zeros_of(again) == 72
    assert_equal(whole, again)


def test_interrupted_with_a_planned_ramp(tmp_path: Path) -> None:
    """The ramp that fit() planned is in the checkpoint; a checkpoint of a finished training trains nothing."""
    make_repeatable(1)

    class Interrupt(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if int(self.model.optimizer.iterations) == 13:
                raise KeyboardInterrupt

    whole = build()
    fit(whole, Pruner(0.75))
    pruner = Pruner(0.75)
    checkpoint = PruningCheckpoint(tmp_path / "run", pruner)
    assert checkpoint.restore() is None
    with pytest.raises(KeyboardInterrupt):
        fit(build(), pruner, checkpoint, Interrupt())
    new = Pruner(0.75)
    checkpoint = PruningCheckpoint(tmp_path / "run", new)
    again, epoch = checkpoint.restore()
    assert epoch == 1
    fit(again, new, checkpoint, first=epoch)
    assert_equal(whole, again)
    final = Pruner(0.75)
    done, epoch = PruningCheckpoint(tmp_path / "run", final).restore()
    fit(done, final, first=epoch)
    assert epoch == 4
    assert_equal(whole, done)


def test_states_that_do_not_fit(tmp_path: Path) -> None:
    """Masks of another goal, of another model, and files that are none: one clear error each."""
    with pytest.raises(UsageError, match="on no model yet"):
        Pruner(0.5).save(tmp_path / "none.npz")
    pruner = Pruner(0.5, schedule=RAMP)
    pruner.attach(build())
    pruner.step(20)
    pruner.save(tmp_path / "masks.npz")
    renamed = Pruner(0.5, schedule=RAMP)
    renamed.load(tmp_path / "masks.npz")
    model = build(name="first_7")  # Keras numbers layers anew in each process
    renamed.attach(model)
    assert renamed.reached == 0.5 and zeros_of(model) == 48
    pruner.detach()
    for other, complaint in (
        (Pruner(0.6, schedule=RAMP), r"first \(8, 12\) unstructured at 0.5 there, first \(8, 12\) unstructured at 0.6"),
        (Pruner(0.5, schedule=RAMP, rules=["last=0.5"]), "are of 1 weights, 2 are pruned here"),
    ):
        other.load(tmp_path / "masks.npz")
        with pytest.raises(UsageError, match=complaint):
            other.attach(build())
    content = (tmp_path / "masks.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    np.savez(tmp_path / "other.npz", x=X)
    for name in ("cut.npz", "other.npz"):
        with pytest.raises(UsageError, match="no saved masks"):
            Pruner(0.5).load(tmp_path / name)
    with pytest.raises(UsageError, match="cannot be read"):
        Pruner(0.5).load(tmp_path / "missing.npz")


def test_checkpoints_that_are_none(tmp_path: Path) -> None:
    """A plain model file in the place of a checkpoint, and one that was cut."""
    build().save(tmp_path / "checkpoint.keras")
    checkpoint = PruningCheckpoint(tmp_path, Pruner(0.5))
    with pytest.raises(UsageError, match="holds no masks"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Keras: the optimizer was never used
        checkpoint.restore()
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:500])
    with pytest.raises(ModelError, match="cannot be loaded"):
        checkpoint.restore()


def test_checkpoint_is_a_model_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a checkpoint is can be loaded by Keras alone; a write that fails leaves the one before."""
    model, pruner = build(), Pruner(0.5)
    checkpoint = PruningCheckpoint(tmp_path, pruner)
    fit(model, pruner, checkpoint, last=1)
    content = checkpoint.path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert "config.json" in archive.namelist() and b"mcuprune" not in archive.read("config.json")
    loaded = keras.models.load_model(checkpoint.path)
    assert int(loaded.optimizer.iterations) == 8 and zeros_of(loaded) == 48
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.keras"]

    def fail(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(model, "save", fail)
    with pytest.raises(OSError, match="no space"):
        checkpoint.on_epoch_end(1)
    assert checkpoint.path.read_bytes() == content
