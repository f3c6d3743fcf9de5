"""Training samples: fitted to the model's input, split, and dealt in batches. Pure numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcuprune.data import Array
from mcuprune.errors import DataError, UsageError
from mcuprune.inputs import check_label_range, encode_inputs
from mcuprune.ir.graph import DType, Tensor

INTEGERS = ("int32", "int64")
"""Types of inputs that are indices."""
Floats = NDArray[np.float32]
HELD_OUT = 0.1
"""Share of the samples that validates where the data have no validation part."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """x, xv: float32 (n, *input_shape); y, yv: int64 (n,); notes: what was done, for display."""

    x: Floats
    y: NDArray[np.int64]
    xv: Floats
    yv: NDArray[np.int64]
    notes: tuple[str, ...] = ()


def as_samples(x: Any, source: str) -> Array:
    """Samples as an array, of which there is at least one.

    Raises:
        DataError: something else than an array or what becomes one, or there are no samples.
    """
    samples = np.asarray(x)
    if samples.ndim == 0 or samples.dtype.kind not in "fiub":
        raise DataError(
            f"samples are an array (n, ...), got {type(x).__name__}",
            where=source,
            hint="x = np.array(...), as for fit()",
        )
    if not len(samples):
        raise DataError("there are no samples", where=source, hint="some hundred, of what the model was trained on")
    return samples


def as_labels(y: Any, source: str) -> NDArray[np.int64]:
    """Labels as class numbers (n,).

    Raises:
        DataError: they are something else, such as one-hot rows.
    """
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "fiu":
        what = f"an array of shape {labels.shape}" if labels.ndim else type(y).__name__
        raise DataError(
            f"labels are class numbers (n,), got {what}", where=source, hint="y.argmax(axis=1) of one-hot labels"
        )
    numbers = labels.astype(np.int64)
    if (numbers != labels).any():
        raise DataError(f"label {labels[numbers != labels][0]} is no class number", where=source, hint="0, 1, 2, ...")
    return numbers


def fit_samples(x: Array, shape: tuple[int, ...], name: str, source: str) -> tuple[Floats, tuple[str, ...]]:
    """Samples as float32 (n, *shape), and notes: float values as they are, uint8 as 0..255.

    Raises:
        DataError: another number of values in a sample, another dtype, NaN or infinity.
    """
    encoded = encode_inputs(x, Tensor(0, name, (1, *shape), DType.FLOAT32), source)
    return encoded.rows.view("<f4").reshape(-1, *shape).astype(np.float32, copy=False), encoded.notes


def fit_input(model: Any, x: Array, source: str) -> tuple[Array, tuple[str, ...]]:
    """fit_samples() for the one input of a Keras model; integers, where it takes those.

    Raises:
        DataError: as fit_samples(); an integer that the input's type does not hold.
    """
    shape, dtype = tuple(int(n) for n in model.inputs[0].shape[1:]), str(model.inputs[0].dtype)
    if dtype not in INTEGERS:
        return fit_samples(x, shape, "input", source)
    tensor = Tensor(0, "input", (1, *shape), DType(dtype))
    encoded = encode_inputs(x, tensor, source)
    return encoded.rows.view(tensor.dtype.numpy).reshape(-1, *shape), encoded.notes


def choose(count: int, samples: int, seed: int, hint: str = "some hundred give sound ranges") -> NDArray[np.int64]:
    """Which of `count` samples are used: at most `samples`, in their order, chosen by the seed.

    Raises:
        UsageError: samples is less than 1.
        DataError: there are none.
    """
    if samples < 1:
        raise UsageError(f"{samples} samples are too few", hint=hint)
    if not count:
        raise DataError("there are no samples", hint=hint)
    return np.arange(count) if count <= samples else np.sort(np.random.default_rng(seed).permutation(count)[:samples])


def fit_training_data(
    x: Array,
    y: Array,
    xv: Array | None,
    yv: Array | None,
    *,
    shape: tuple[int, ...],
    classes: int,
    model: str,
    source: str,
    seed: int,
) -> TrainingData:
    """Both parts fitted to the model; without a validation part HELD_OUT of the samples are held out, by the seed.

    Raises:
        DataError: the data do not fit the model, or are too few to hold any out.
    """
    x, y = _pair(x, y, source)
    if (xv is None) != (yv is None):
        raise DataError(
            f"the validation part has no {'samples' if xv is None else 'labels'}",
            where=source,
            hint="xv and yv, or none",
        )
    if xv is not None and yv is not None:
        xv, yv = _pair(xv, yv, source)
    notes: list[str] = []
    if xv is None or yv is None:
        train, held = hold_out(len(x), seed)
        x, y, xv, yv = x[train], y[train], x[held], y[held]
        notes.append(f"no validation data: {len(held)} of {len(train) + len(held)} samples held out (seed {seed})")
    for labels in (y, yv):
        check_label_range(labels, classes, model, source)
    fitted, fit_notes = fit_samples(x, shape, "input", source)
    fitted_validation, _ = fit_samples(xv, shape, "input", source)
    return TrainingData(fitted, y, fitted_validation, yv, (*notes, *fit_notes))


def _pair(x: Any, y: Any, source: str) -> tuple[Array, NDArray[np.int64]]:
    samples, labels = as_samples(x, source), as_labels(y, source)
    if len(samples) != len(labels):
        raise DataError(f"{len(samples)} samples and {len(labels)} labels", where=source, hint="one label for each")
    return samples, labels


def hold_out(count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices to train on and to hold out, each in rising order: round(count * HELD_OUT), at least one."""
    if count < 2:
        raise DataError(f"{count} samples are too few to hold any out", hint="name validation data: xv=NAME,yv=NAME")
    order = np.random.default_rng([seed, 0x5B117]).permutation(count)
    held = max(1, round(count * HELD_OUT))
    return np.sort(order[held:]), np.sort(order[:held])


def epoch_order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order of the samples in one epoch: equal for equal arguments, so that training can be taken up again."""
    return np.random.default_rng([seed, 1 + epoch]).permutation(count)


def soft_targets(y: NDArray[np.int64], classes: int, answers: Floats | None, weight: float) -> Floats:
    """Targets (n, classes): one-hot labels, mixed with the answers of a teacher where the teacher is right.

    target = (1 - weight) * one_hot + weight * answer; its cross-entropy is the weighted sum of the two losses of
    distillation (up to a constant). Hinton, Vinyals, Dean (2015), at temperature 1.

    Args:
        answers: probabilities (n, classes) of the dense model; None: labels alone.
    """
    targets: Any = np.zeros((len(y), classes), np.float32)
    targets[np.arange(len(y)), y] = 1
    if answers is not None and weight > 0:
        right = answers.argmax(axis=1) == y
        targets[right] = (1 - weight) * targets[right] + weight * answers[right]
    return np.asarray(targets, np.float32)
