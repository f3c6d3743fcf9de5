"""Sensitivity of a model to pruning, layer by layer, measured on samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from mcuprune.data import Array
from mcuprune.errors import DataError, ModelError, TrainingError, UsageError
from mcuprune.inputs import check_label_range
from mcuprune.masks import (
    Channels,
    Pattern,
    Rule,
    Unstructured,
    mask,
    matches_layer,
    parse_pattern,
    sparsity_of,
    zero_count,
)
from mcuprune.sparsity.curves import LayerSensitivity, Metric, Sensitivity
from mcuprune.sparsity.evaluate import accuracy, is_probabilities, predict, softmax
from mcuprune.sparsity.files import check_model
from mcuprune.sparsity.samples import Floats, as_labels, as_samples, choose, fit_samples
from mcuprune.sparsity.weights import PrunableWeight, check_fit, prunable_weights, why_left

SPARSITIES = (0.5, 0.7, 0.8, 0.9)
"""What is measured unless told otherwise."""

BUDGET_SPARSITIES = (0.3, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98)
"""What is measured to share a budget by: a layer can get no more than the last one."""

SAMPLES = 1000
"""Samples that are measured on at most."""


def sensitivity(
    model: Any,
    x: Array,
    y: Array,
    *,
    sparsities: Sequence[float] | None = None,
    pattern: Pattern | str | None = None,
    layers: Sequence[str] = (),
    metric: Metric = "accuracy",
    samples: int | None = SAMPLES,
    seed: int = 1,
    progress: Callable[[int, int], None] | None = None,
    source: str = "",
    data_source: str = "x",
) -> Sensitivity:
    """Measure a classifier with each layer pruned alone, at once, by magnitude. The model comes back as it was.

    The weights are put back exactly, also where something fails or the user interrupts.

    Args:
        model: a built Keras model that gives scores or probabilities (batch, classes).
        x: (n, ...) float or uint8; y: int (n,): samples that the model was not trained on.
        sparsities: in (0, 1); None is SPARSITIES, or what an N:M pattern implies.
        pattern: how zeros are placed, a Pattern or its text; None is unstructured.
        layers: only these, by name, index or glob; empty for all.
        metric: `accuracy`, or `loss`: the mean cross-entropy, smoother where samples are few.
        samples: at most so many, chosen by the seed; None for all.
        progress: takes how many measurements are done, of how many.
        source, data_source: names of model and data, for errors.
    Raises:
        UsageError: a sparsity, pattern, metric or layer that makes no sense.
        ModelError: the model is no such classifier. DataError: the data do not fit it.
        TrainingError: the model's loss is not a number.
    """
    source = source or str(getattr(model, "name", "model"))
    pattern = parse_pattern(pattern) if isinstance(pattern, str) else pattern or Unstructured()
    chosen = _sparsities(sparsities, pattern)
    if metric not in get_args(Metric):
        raise UsageError(f"metric {metric!r} is not known", hint=f"one of: {', '.join(get_args(Metric))}")
    weights = _select(prunable_weights(model), layers, source)
    rows, labels, notes = _samples(model, x, y, samples, seed, source, data_source)
    meter = _Meter(model, rows, labels, metric, source, data_source)
    dense = meter.measure()
    done, total = 1, 1 + len(weights) * len(chosen)
    found = []
    for weight in weights:
        values: list[float | None] = []
        note = _misfit(weight, pattern, source)
        with _restored(weight):
            matrix = weight.rows().copy()
            for sparsity in chosen:
                values.append(None if note else _pruned(meter, weight, matrix, pattern, sparsity))
                done += 1
                if progress is not None:
                    progress(done, total)
        found.append(LayerSensitivity(weight.index, weight.name, weight.kind, weight.size, tuple(values), note))
    return Sensitivity(metric, str(pattern), chosen, dense, len(rows), tuple(found), notes)


def measure_for_budget(
    model: Any,
    x: Array,
    y: Array,
    *,
    pattern: Pattern,
    rules: Sequence[Rule] = (),
    seed: int = 1,
    source: str = "",
    data_source: str = "x",
) -> Sensitivity:
    """The loss by sparsity of each layer that a budget would share among: those left dense or named by a rule are none.

    Raises:
        UsageError: no layer is left to share, or N:M, which implies every sparsity. More: as sensitivity().
    """
    implied = sparsity_of(pattern)
    if implied is not None:
        raise UsageError(
            f"{pattern} implies the sparsity of every layer, {implied:g}: a budget has nothing to share",
            where=f"--budget sensitivity, {source}",
            hint="--pattern unstructured, block:RxC or channels with --sparsity",
        )
    weights = prunable_weights(model)
    layers = [
        str(weight.index)
        for weight in weights
        if not why_left(weight, weights)
        and not any(matches_layer(weight.index, weight.name, rule.layer) for rule in rules)
    ]
    if not layers:
        raise UsageError("no layer is left that a budget could share among", where=source, hint="fewer --layer")
    settings: Any = {"seed": seed, "source": source, "data_source": data_source}
    return sensitivity(
        model, x, y, sparsities=BUDGET_SPARSITIES, pattern=pattern, layers=layers, metric="loss", **settings
    )


def _pruned(meter: _Meter, weight: PrunableWeight, matrix: Array, pattern: Pattern, sparsity: float) -> float:
    """The metric with this one weight pruned."""
    if isinstance(pattern, Channels):  # one stays
        sparsity = min(sparsity, (len(matrix) - 1) / len(matrix))
    keep = mask(matrix, pattern, sparsity, magnitude=True)
    weight.variable.assign(weight.to_kernel(np.where(keep, matrix, matrix.dtype.type(0))))
    return meter.measure()


@contextmanager
def _restored(weight: PrunableWeight) -> Iterator[None]:
    """Whatever happens inside, the weight has its values afterwards."""
    before = weight.value().copy()
    try:
        yield
    finally:
        try:
            weight.variable.assign(before)
        except KeyboardInterrupt:  # a second Ctrl-C, just now
            weight.variable.assign(before)
            raise


class _Meter:
    """A model and what it is measured on."""

    def __init__(
        self, model: Any, x: Floats, y: NDArray[np.int64], metric: Metric, source: str, data_source: str
    ) -> None:
        self.model, self.x, self.y, self.metric, self.source = model, x, y, metric, source
        scores = predict(model, x)
        if scores.ndim != 2 or scores.shape[1] < 2:
            raise ModelError(
                f"the model's output has shape {scores.shape[1:]}, not one score for each class", where=source
            )
        check_label_range(y, scores.shape[1], source, data_source)
        self.probabilities = is_probabilities(scores)

    def measure(self) -> float:
        """The metric of the model as it is now."""
        scores = predict(self.model, self.x)
        if not np.isfinite(scores).all():
            raise TrainingError(
                "the model's outputs are not numbers", where=self.source, hint="is the model trained, the data sound?"
            )
        if self.metric == "accuracy":
            return accuracy(scores, self.y)
        answers = scores if self.probabilities else softmax(scores)
        right = answers[np.arange(len(self.y)), self.y].astype(np.float64)
        return float(-np.log(np.maximum(right, 1e-7)).mean())


def _sparsities(sparsities: Sequence[float] | None, pattern: Pattern) -> tuple[float, ...]:
    implied = sparsity_of(pattern)
    if sparsities is None:
        return SPARSITIES if implied is None else (implied,)
    chosen = tuple(sorted({float(s) for s in sparsities}))
    for sparsity in chosen:
        zero_count(1, sparsity)
    if not chosen or chosen[0] == 0:
        raise UsageError("sparsities to measure lie in (0, 1)", hint="0.5, 0.8, 0.9; the dense model is measured too")
    if implied is not None and any(not math.isclose(s, implied) for s in chosen):
        raise UsageError(f"{pattern} implies its sparsity, {implied:g}", hint="leave the sparsities out")
    return chosen


def _select(weights: Sequence[PrunableWeight], layers: Sequence[str], source: str) -> list[PrunableWeight]:
    """The weights that `layers` names, in the model's order."""
    for text in layers:
        if not any(matches_layer(weight.index, weight.name, text) for weight in weights):
            names = ", ".join(f"{weight.index}={weight.name}" for weight in weights)
            raise UsageError(f"no layer with weights matches '{text}'", where=source, hint=f"one of {names}")
    return [w for w in weights if not layers or any(matches_layer(w.index, w.name, text) for text in layers)]


def _misfit(weight: PrunableWeight, pattern: Pattern, source: str) -> str:
    """Why a pattern does not fit a layer; empty where it does."""
    try:
        check_fit(weight, pattern, source)
    except UsageError as error:
        return error.what
    return ""


def _samples(
    model: Any, x: Array, y: Array, samples: int | None, seed: int, source: str, data_source: str
) -> tuple[Floats, NDArray[np.int64], tuple[str, ...]]:
    """The samples to measure on, fitted to the model."""
    x, y = as_samples(x, data_source), as_labels(y, data_source)
    if len(x) != len(y):
        raise DataError(f"{len(x)} samples and {len(y)} labels", where=data_source, hint="one label for each")
    if samples is not None:
        picked = choose(len(x), samples, seed, "some hundred tell layers apart")
        x, y = x[picked], y[picked]
    shape = tuple(x.shape[1:])
    if getattr(model, "inputs", None):
        check_model(model, source)
        shape = tuple(int(n) for n in model.inputs[0].shape[1:])
    rows, notes = fit_samples(x, shape, "input", data_source)
    return rows, y, notes
