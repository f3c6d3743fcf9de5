"""The Pruner with Keras on torch, in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="no torch: pip install torch"),
]

SCRIPT = """
import sys
import numpy as np
from mcuprune import sparsity
from mcuprune.errors import ToolMissingError
from mcuprune.sparsity import PolynomialDecay, Pruner, PruningCheckpoint, Taylor, prunable_weights
from mcuprune.sparsity.runtime import make_repeatable, require_tensorflow
import keras

folder = sys.argv[1]
assert keras.backend.backend() == "torch" and "tensorflow" not in sys.modules
layers = keras.layers
rng = np.random.default_rng(3)
x = rng.normal(size=(48, 12)).astype(np.float32)
y = rng.integers(0, 3, 48)
ramp = PolynomialDecay(0, 0.5, 0, 20, frequency=4)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def build():
    keras.utils.set_random_seed(4)
    model = keras.Sequential([keras.Input((12,)), layers.Dense(8, "relu", name="first"), layers.Dense(3, name="last")])
    model.compile(keras.optimizers.Adam(0.01), LOSS)
    return model


class Watch(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(zeros(self.model))


def zeros(model):
    return int((prunable_weights(model)[0].rows() == 0).sum())


def fit(model, *callbacks, first=0, last=4):
    more = {"initial_epoch": first, "epochs": last}
    model.fit(x, y, batch_size=6, shuffle=False, verbose=0, callbacks=list(callbacks), **more)


def asked(step, pattern):
    return round(96 * ramp.sparsity_at(ramp.last_update(step), 0.5 if pattern == "2:4" else 0.75))


# sparse at every step in each pattern; the weights that are left have trained
for pattern in ("unstructured", "2:4", "block:2x2"):
    model, watch = build(), Watch()
    before = model.get_weights()[0]
    fit(model, Pruner(None if pattern == "2:4" else 0.75, pattern, schedule=ramp, rules=["last=0"]), watch)
    wanted = [asked(step, pattern) for step in range(32)]
    tolerance = 4 if pattern.startswith("block") else 0
    assert all(abs(a - b) <= tolerance for a, b in zip(watch.seen, wanted, strict=True)), (pattern, watch.seen)
    empty = prunable_weights(model)[0].rows() == 0
    if pattern == "2:4":
        assert (empty.reshape(-1, 4).sum(axis=1) == 2).all()
    elif pattern == "block:2x2":
        blocks = empty.reshape(4, 2, 6, 2)
        assert (blocks.all(axis=(1, 3)) == blocks.any(axis=(1, 3))).all()
    kernel = model.get_weights()[0]
    assert (kernel == 0).sum() == wanted[-1] and (kernel != before).all(), pattern
    assert model.layers[0].kernel.constraint is None

# interrupted in the ramp, taken up with new objects: the same weights
make_repeatable(1)
whole = build()
fit(whole, Pruner(0.75, schedule=ramp))
pruner = Pruner(0.75, schedule=ramp)
fit(build(), pruner, PruningCheckpoint(folder, pruner), last=2)
new = Pruner(0.75, schedule=ramp)
model, epoch = PruningCheckpoint(folder, new).restore()
assert epoch == 2 and zeros(model) == asked(15, "")
fit(model, new, first=epoch)
for one, two in zip(whole.get_weights(), model.get_weights(), strict=True):
    np.testing.assert_array_equal(one, two)

# the familiar API
model = sparsity.prune_low_magnitude(build(), sparsity.PolynomialDecay(0, 0.75, 0, 20, frequency=4))
model.compile(keras.optimizers.Adam(0.01), LOSS)
fit(model, sparsity.UpdatePruningStep())
assert zeros(sparsity.strip_pruning(model)) == 72

# what needs another backend says so
for call in (lambda: require_tensorflow("convert to int8"), lambda: fit(build(), Pruner(0.5, criterion=Taylor(x, y)))):
    try:
        call()
    except ToolMissingError as error:
        assert "KERAS_BACKEND=tensorflow" in error.hint, error
    else:
        raise AssertionError("no error")
"""


def test_torch(tmp_path: Path) -> None:
    """Exact zeros at every step in three patterns, checkpoints; what torch cannot do ends in one error."""
    more = {"PYTHONPATH": os.pathsep.join(sys.path), "KERAS_BACKEND": "torch"}
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, env={**os.environ, **more}
    )
    assert found.returncode == 0, found.stderr[-3000:]
