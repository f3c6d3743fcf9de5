"""What a training in progress is asked and told, on each Keras backend."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import keras


def scope(model: Any) -> AbstractContextManager[Any]:
    """The scope of a model's tf.distribute strategy, in which its variables are made and assigned."""
    strategy = getattr(model, "distribute_strategy", None)
    return strategy.scope() if strategy is not None else contextlib.nullcontext()


def updates(model: Any) -> int:
    """How many updates the model's optimizer has made; 0 where it has none. Takes 20 us with TensorFlow on a CPU."""
    optimizer = getattr(model, "optimizer", None)
    return 0 if optimizer is None else int(keras.ops.convert_to_numpy(optimizer.iterations))


def synchronize(model: Any) -> None:
    """Have the model's variables hold what the training has: with jax they are elsewhere while fit() runs."""
    if keras.backend.backend() == "jax" and hasattr(model, "jax_state_sync"):
        model.jax_state_sync()


def track(model: Any, masks: Sequence[Any]) -> None:
    """Have compiled train steps see new values of the masks.

    TensorFlow's do anyhow. With jax a variable's value is a constant of the compiled step unless it is one of the
    optimizer's. They are not saved with it.
    """
    optimizers = _optimizers(model) if keras.backend.backend() == "jax" else []
    for optimizer in optimizers[-1:]:
        with _unlocked(optimizer):
            for mask in masks:
                optimizer._track_variable(mask)
    for optimizer in optimizers:
        optimizer.save_own_variables = partial(_save_without, optimizer, frozenset(id(mask) for mask in masks))


def forget(model: Any, masks: Sequence[Any]) -> None:
    """The end of track()."""
    optimizers = _optimizers(model) if keras.backend.backend() == "jax" else []
    for optimizer in optimizers[-1:]:
        with _unlocked(optimizer):
            for mask in masks:
                if any(mask is variable for variable in optimizer._variables):
                    optimizer._untrack_variable(mask)
    for optimizer in optimizers:
        vars(optimizer).pop("save_own_variables", None)


def _optimizers(model: Any) -> list[Any]:
    """The model's optimizer, the one that it wraps (as for mixed precision), and so on inwards."""
    found = []
    optimizer = getattr(model, "optimizer", None)
    while optimizer is not None:
        found.append(optimizer)
        optimizer = getattr(optimizer, "inner_optimizer", None)
    return found


@contextlib.contextmanager
def _unlocked(optimizer: Any) -> Any:
    locked = optimizer._tracker.locked
    optimizer._tracker.unlock()
    yield
    if locked:
        optimizer._tracker.lock()


def _save_without(optimizer: Any, masks: frozenset[int], store: Any) -> None:
    """save_own_variables() of Keras's optimizers, which numbers the variables, without the masks."""
    kept = [variable for variable in optimizer.variables if id(variable) not in masks]
    for number, variable in enumerate(kept):
        store[str(number)] = keras.ops.convert_to_numpy(variable)
