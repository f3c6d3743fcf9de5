"""The Pruner with Keras on jax, in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="no jax: pip install -e '.[dev]'"),
]

HEAD = """
import sys
import numpy as np
from mcuprune import sparsity
from mcuprune.errors import ToolMissingError
from mcuprune.sparsity import PolynomialDecay, Pruner, PruningCheckpoint, Taylor, distilled, prunable_weights
from mcuprune.sparsity.runtime import make_repeatable, require_tensorflow
import keras

folder = sys.argv[1]
assert keras.backend.backend() == "jax"
layers = keras.layers
rng = np.random.default_rng(3)
x = rng.normal(size=(48, 12)).astype(np.float32)
y = rng.integers(0, 3, 48)
ramp = PolynomialDecay(0, 0.5, 0, 20, frequency=4)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def build(optimizer=None, **options):
    keras.utils.set_random_seed(4)
    model = keras.Sequential([keras.Input((12,)), layers.Dense(8, "relu", name="first"), layers.Dense(3, name="last")])
    model.compile(optimizer or keras.optimizers.Adam(0.01), LOSS, **options)
    return model


class Watch(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.model.jax_state_sync()
        self.seen.append(zeros(self.model))


def zeros(model):
    return int((prunable_weights(model)[0].rows() == 0).sum())


def fit(model, *callbacks, first=0, last=4):
    more = {"initial_epoch": first, "epochs": last}
    model.fit(x, y, batch_size=6, shuffle=False, verbose=0, callbacks=list(callbacks), **more)


def asked(step):
    return round(96 * ramp.sparsity_at(ramp.last_update(step), 0.75))
"""

BASIC = (
    HEAD
    + """
# unwatched, as users run it: the state stays in the compiled step from batch to batch
model = build()
fit(model, Pruner(0.75))
assert zeros(model) == 72

# interrupted in the ramp, taken up with new objects: the same weights; the file is plain while masks are on
make_repeatable(1)
whole, watch = build(), Watch()
fit(whole, Pruner(0.75, schedule=ramp), watch)
assert watch.seen == [asked(step) for step in range(32)], watch.seen
pruner = Pruner(0.75, schedule=ramp)
fit(build(), pruner, PruningCheckpoint(folder, pruner), last=2)
plain = keras.models.load_model(folder + "/checkpoint.keras")
assert len(plain.optimizer.variables) == 2 + 2 * 4 and int(plain.optimizer.iterations) == 16
new = Pruner(0.75, schedule=ramp)
model, epoch = PruningCheckpoint(folder, new).restore()
fit(model, new, first=epoch)
for one, two in zip(whole.get_weights(), model.get_weights(), strict=True):
    np.testing.assert_array_equal(one, two)

try:
    require_tensorflow("convert to int8")
except ToolMissingError as error:
    assert "TensorFlow is needed to convert to int8" in error.what, error
else:
    raise AssertionError("no error")
"""
)

MORE = (
    HEAD
    + """
# compiled, eager, several steps in one execution: sparse at every step, plain afterwards
for options in ({}, {"run_eagerly": True}, {"steps_per_execution": 2}):
    model, watch = build(**options), Watch()
    count = len(model.optimizer.variables)
    fit(model, Pruner(0.75, schedule=ramp), watch)
    every = options.get("steps_per_execution", 1)
    assert watch.seen == [asked(step) for step in range(0, 32, every)], (options, watch.seen)
    assert zeros(model) == 72 and model.layers[0].kernel.constraint is None
    assert not any("mask" in variable.path for variable in model.optimizer.variables)

# mixed precision: an optimizer within an optimizer, and updates that are skipped
keras.mixed_precision.set_global_policy("mixed_float16")
model = build(keras.mixed_precision.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=2.0**24))
keras.mixed_precision.set_global_policy("float32")
fit(model, Pruner(0.75, schedule=ramp), last=6)
assert zeros(model) == 72 and 24 < int(model.optimizer.iterations) < 44

# recurrent layers and convolutions
several = [layers.Conv1D(6, 3), layers.Bidirectional(layers.LSTM(3)), layers.Dense(2)]
model = keras.Sequential([keras.Input((6, 4)), *several])
model.compile("sgd", "mse")
more = {"batch_size": 2, "verbose": 0}
model.fit(np.ones((8, 6, 4)), np.ones((8, 2)), callbacks=[Pruner(0.5, schedule=PolynomialDecay(0, 0.5, 0, 3))], **more)
assert [int((w.rows() == 0).sum()) for w in prunable_weights(model)[:-1]] == [36, 36, 18, 36, 18]

# gradients, distillation
model = build()
criterion = Taylor(x, y, batches=2, batch_size=6)
weights = prunable_weights(model)
found = criterion.importance(model, weights)[0]
before = float(LOSS(y[:6], model(x[:6])))
fit(model, Pruner(0.75, criterion=criterion))
assert found.shape == (8, 12) and (found > 0).any() and zeros(model) == 72
student = build()
trained = distilled(student)
trained.fit(x, y, verbose=0, epochs=2, batch_size=6, callbacks=[Pruner(0.75, schedule=PolynomialDecay(0, 0.5, 0, 8))])
assert zeros(student) == 72

# a loop of one's own: the state is read again where masks moved
model, pruner = build(), Pruner(0.75, schedule=ramp)
model.optimizer.build(model.trainable_variables)
pruner.attach(model)
import jax


@jax.jit
def update(trainable, others, optimizer, x, y):
    def loss(trainable):
        scores, _ = model.stateless_call(trainable, others, x)
        return LOSS(y, scores)

    return model.optimizer.stateless_apply(optimizer, jax.grad(loss)(trainable), trainable)


def read():
    return [v.value for v in model.trainable_variables], [v.value for v in model.optimizer.variables]


trainable, optimizer = read()
for step in range(24):
    if pruner.step(step):
        trainable, optimizer = read()
    trainable, optimizer = update(trainable, [], optimizer, x[:8], y[:8])
    for variables, values in ((model.trainable_variables, trainable), (model.optimizer.variables, optimizer)):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    assert zeros(model) == asked(step)
pruner.finish()
assert zeros(model) == 72 and len(model.optimizer.variables) == 10
"""
)

IMPORT = """
import sys
from mcuprune import sparsity
sparsity.Pruner, sparsity.Taylor, sparsity.PruningCheckpoint, sparsity.distilled
assert "jax" in sys.modules and "tensorflow" not in sys.modules, "tensorflow was imported"
"""


@pytest.mark.parametrize(
    "script",
    [BASIC, pytest.param(MORE, marks=pytest.mark.full), IMPORT],
    ids=["trains", "every way", "without TensorFlow"],
)
def test_jax(tmp_path: Path, script: str) -> None:
    """Exact zeros at every step, checkpoints, mixed precision, own loops; TensorFlow stays out until it is needed."""
    more = {"PYTHONPATH": os.pathsep.join(sys.path), "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    found = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, env={**os.environ, **more}
    )
    assert found.returncode == 0, found.stderr[-3000:]
