"""The API of TensorFlow Model Optimization: its arguments and defaults, and its training in mixed precision and by
several steps at once."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
import pytest

from mcuprune import sparsity
from mcuprune.sparsity import ConstantSparsity, PolynomialDecay, UpdatePruningStep, prune_low_magnitude

pytestmark = pytest.mark.train

L = keras.layers
RNG = np.random.default_rng(12)
X = RNG.normal(size=(48, 12)).astype(np.float32)
Y = RNG.integers(0, 3, 48)
RAMP = PolynomialDecay(0, 0.75, 2, 20, frequency=4)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
EMPTY = inspect.Parameter.empty
SIGNATURES: dict[str, dict[str, Any]] = {
    "prune_low_magnitude": {
        "to_prune": EMPTY,
        "pruning_schedule": ConstantSparsity(0.5, 0),
        "block_size": (1, 1),
        "block_pooling_type": "AVG",
        "pruning_policy": None,
        "sparsity_m_by_n": None,
        "kwargs": EMPTY,
    },
    "strip_pruning": {"model": EMPTY},
    "prune_scope": {},
    "prune_for_benchmark": {"keras_model": EMPTY, "target_sparsity": EMPTY, "block_size": (1, 1)},
    "is_pruned_m_by_n": {"weights": EMPTY, "m_by_n": (2, 4), "last_channel": "C_OUT"},
    "ConstantSparsity": {"target_sparsity": EMPTY, "begin_step": EMPTY, "end_step": -1, "frequency": 100},
    "PolynomialDecay": {
        "initial_sparsity": EMPTY,
        "final_sparsity": EMPTY,
        "begin_step": EMPTY,
        "end_step": EMPTY,
        "power": 3,
        "frequency": 100,
    },
    "UpdatePruningStep": {},
    "PruningSummaries": {"log_dir": EMPTY, "update_freq": "epoch", "kwargs": EMPTY},
    "PruneForLatencyOnXNNPack": {},
    "PruningPolicy.allow_pruning": {"self": EMPTY, "layer": EMPTY},
    "PruningPolicy.ensure_model_supports_pruning": {"self": EMPTY, "model": EMPTY},
    "PrunableLayer.get_prunable_weights": {"self": EMPTY},
}
"""The familiar names, their arguments in order, and the defaults."""


def pruned_model(optimizer: Any = None, dtype: str | None = None, **options: Any) -> Any:
    """12 values to 3 classes by way of 8, wrapped and compiled."""
    keras.utils.set_random_seed(4)
    layers = [L.Dense(8, "relu", name="first", dtype=dtype), L.Dense(3, name="last", dtype=dtype)]
    pruned = prune_low_magnitude(keras.Sequential([keras.Input((12,)), *layers]), RAMP)
    pruned.compile(optimizer or keras.optimizers.Adam(0.01), LOSS, jit_compile=False, **options)
    return pruned


def watched_fit(model: Any) -> list[int]:
    """32 batches in four epochs; zeros of the first kernel after each."""
    seen: list[int] = []
    kernel = model.layers[0].layer.kernel
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_, **__: seen.append(int(np.sum(kernel.numpy() == 0)))
    )
    callbacks = [UpdatePruningStep(), watch]
    model.fit(X, Y, batch_size=6, epochs=4, shuffle=False, verbose=0, callbacks=callbacks)
    return seen


def asked(step: int) -> int:
    """Zeros that the schedule wants in update `step`."""
    last = RAMP.last_update(step)
    return round(96 * RAMP.sparsity_at(last)) if last >= 0 else 0


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name: str) -> None:
    """Calls that name their arguments, or give them in order, need no change but the import."""
    first, _, method = name.partition(".")
    called = getattr(sparsity, first)
    parameters = inspect.signature(getattr(called, method) if method else called).parameters
    assert {key: parameter.default for key, parameter in parameters.items()} == SIGNATURES[name]
    assert list(parameters) == list(SIGNATURES[name])


def test_mixed_precision() -> None:
    """Kernels in float32 under a float16 policy are sparse after every batch; batches count, skipped updates too."""
    scaled = keras.mixed_precision.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=2.0**24)
    model = pruned_model(scaled, "mixed_float16")
    assert model.layers[0].layer.compute_dtype == "float16"
    seen = watched_fit(model)
    assert int(scaled.iterations) < 32 and seen == [asked(step) for step in range(32)]
    assert model.layers[0].pruning_step == 32


@pytest.mark.parametrize("steps", [2, 3])
def test_steps_per_execution(steps: int) -> None:
    """Masks move between executions: those of an execution are computed at its begin, if an update was due since."""
    model = pruned_model(steps_per_execution=steps)
    wanted, asked_until = [], -1
    for begin in (8 * epoch + batch for epoch in range(4) for batch in range(0, 8, steps)):
        due = any(RAMP.is_update(step) for step in range(asked_until + 1, begin + 1))
        wanted.append(round(96 * RAMP.sparsity_at(begin)) if due else wanted[-1] if wanted else 0)
        asked_until = begin
    assert watched_fit(model) == wanted and wanted[-1] == 72
    assert model.layers[0].pruning_step == 32
