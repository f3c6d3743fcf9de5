"""Pruning by training: a ramp of the sparsity, then fine-tuning, with the dense start model as teacher."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mcuprune.data import Array
from mcuprune.errors import TrainingError, UsageError
from mcuprune.masks import Budget, Goal, Pattern, Rule, Unstructured
from mcuprune.sparsity.criteria import Taylor
from mcuprune.sparsity.curves import Sensitivity
from mcuprune.sparsity.distill import Student
from mcuprune.sparsity.evaluate import accuracy, is_probabilities, predict, softmax
from mcuprune.sparsity.files import check_model
from mcuprune.sparsity.layerwise import measure_for_budget
from mcuprune.sparsity.options import TrainOptions
from mcuprune.sparsity.pruner import Pruner, require_finite
from mcuprune.sparsity.resume import TrainingCheckpoint, digest
from mcuprune.sparsity.runtime import make_repeatable
from mcuprune.sparsity.samples import TrainingData, epoch_order, fit_training_data, soft_targets
from mcuprune.sparsity.schedule import PolynomialDecay, PruningSchedule
from mcuprune.sparsity.weights import PrunableWeight, assign_weight_goals, other_kernels, prunable_weights


@dataclass(frozen=True, slots=True)
class EpochReport:
    """One finished epoch (from 1); sparsity is that of the pruned layers together; seconds from the start."""

    epoch: int
    loss: float
    sparsity: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True, slots=True)
class LayerReport:
    """What became of a layer. sparsity = zeros / size; `pattern` is None where it was left as it was."""

    index: int
    name: str
    op: str
    pattern: str | None
    sparsity: float
    zeros: int
    size: int
    note: str


@dataclass(frozen=True, slots=True)
class PruneResult:
    """Accuracies are on the validation part; notes: what was done to the data and what was left."""

    layers: tuple[LayerReport, ...]
    val_before: float
    val_after: float
    val_samples: int
    history: tuple[EpochReport, ...]
    steps: int
    seconds: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """What happens while training, as it happens: on_start takes all steps; on_step step, sparsity and loss."""

    on_phase: Callable[[str], None] = lambda text: None
    on_start: Callable[[int], None] = lambda steps: None
    on_step: Callable[[int, float, float], None] = lambda step, sparsity, loss: None
    on_epoch: Callable[[EpochReport], None] = lambda report: None


def prune(
    model: Any,
    x: Array,
    y: Array,
    xv: Array | None = None,
    yv: Array | None = None,
    *,
    sparsity: float | None = None,
    pattern: Pattern | None = None,
    rules: Sequence[Rule] = (),
    budget: Budget | Sensitivity | str | None = None,
    options: TrainOptions | None = None,
    schedule: PruningSchedule | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    source: str = "",
    data_source: str = "x",
) -> PruneResult:
    """Train a classifier until each layer has exactly the zeros that were asked for; the model is changed in place.

    Weights are truly zero after every step. The model stays what it was: no layer, class or compile state is added.

    Args:
        model: a built Keras 3 model, one input, one output (batch, classes), scores or probabilities.
        x: (n, ...) float or uint8; y: int (n,). Without xv and yv a tenth is held out.
        sparsity: share of zeros of each layer in [0, 1); None with an N:M pattern or where rules say it all.
        pattern: how zeros are placed; None is unstructured.
        rules: for layers by name, in order, the last match wins.
        budget: how `sparsity` is shared among the layers that no rule names: a Budget or its text, or what
            sensitivity() found; `sensitivity` measures it on the validation part. None is uniform.
        schedule: default a cubic ramp over options.ramp of the steps.
        checkpoint: a folder for a checkpoint after each epoch; an interrupted training that is called again with equal
            arguments goes on there, with the same result. It is removed at the end.
        source, data_source: names of model and data, for errors.
    Raises:
        UsageError: sparsity, pattern and rules contradict each other or do not fit a layer; the checkpoint is of
            another training.
        ModelError: the model is not such a classifier.
        DataError: the data do not fit the model.
        TrainingError: the loss or a weight became NaN, or zeros did not stay.
    """
    source = source or str(getattr(model, "name", "model"))
    check_model(model, source)
    weights = prunable_weights(model)
    options, progress, pattern = options or TrainOptions(), progress or Progress(), pattern or Unstructured()
    data = _fit(model, x, y, xv, yv, options.seed, source, data_source)
    if budget == "sensitivity":
        assign_weight_goals(weights, sparsity, pattern, rules, source)  # errors come before the measurements
        progress.on_phase("measuring the sensitivity of each layer")
        settings: Any = {"seed": options.seed, "source": source, "data_source": data_source}
        budget = measure_for_budget(model, data.xv, data.yv, pattern=pattern, rules=rules, **settings)
        data = replace(data, notes=(*data.notes, f"sensitivity measured on {budget.samples} validation samples"))
    pruner = Pruner(sparsity, pattern, budget=budget)
    goals = assign_weight_goals(weights, sparsity, pattern, rules, source, pruner.budget)
    return _train(model, data, weights, goals, options, schedule, progress, pruner, checkpoint)


def fine_tune(
    model: Any,
    x: Array,
    y: Array,
    xv: Array | None = None,
    yv: Array | None = None,
    *,
    options: TrainOptions | None = None,
    progress: Progress | None = None,
    source: str = "",
    data_source: str = "x",
) -> PruneResult:
    """prune() without pruning: the dense model that a pruned one is fairly held against.

    Zeros that the model has are not kept.

    Raises:
        ModelError, DataError, TrainingError: as prune().
    """
    source = source or str(getattr(model, "name", "model"))
    check_model(model, source)
    options = options or TrainOptions()
    data = _fit(model, x, y, xv, yv, options.seed, source, data_source)
    return _train(model, data, (), (), options, None, progress or Progress())


def _fit(
    model: Any, x: Array, y: Array, xv: Array | None, yv: Array | None, seed: int, source: str, data_source: str
) -> TrainingData:
    return fit_training_data(
        x,
        y,
        xv,
        yv,
        shape=tuple(int(n) for n in model.inputs[0].shape[1:]),
        classes=int(model.outputs[0].shape[-1]),
        model=source,
        source=data_source,
        seed=seed,
    )


def _train(
    model: Any,
    data: TrainingData,
    weights: Sequence[PrunableWeight],
    goals: Sequence[Goal],
    options: TrainOptions,
    schedule: PruningSchedule | None,
    progress: Progress,
    pruner: Pruner | None = None,
    checkpoint: Path | None = None,
) -> PruneResult:
    """Train with the masks that the goals ask for; the report."""
    make_repeatable(options.seed)
    run = _Run(model, data, options, progress)
    pruner = pruner or Pruner()
    if options.criterion == "taylor":
        pruner.criterion = Taylor(data.x, run.targets)
    pruner.attach_goals(run.student, weights, goals, schedule or default_schedule(run.steps, options.ramp))
    try:
        history = run.fit(pruner, None if checkpoint is None else TrainingCheckpoint(checkpoint, run.identity()))
    finally:
        pruner.detach()
    others = other_kernels(model) if weights else ()
    notes = (*data.notes, *((f"left dense, not prunable: {', '.join(others)}",) if others else ()))
    return PruneResult(
        layers=tuple(report_layer(weight, goal) for weight, goal in zip(weights, pruner.goals, strict=True)),
        val_before=run.before,
        val_after=history[-1].val_accuracy,
        val_samples=len(data.yv),
        history=tuple(history),
        steps=run.steps,
        seconds=run.seconds(),
        notes=notes,
    )


class _Run:
    """One training: what it was given, and when it began."""

    def __init__(self, model: Any, data: TrainingData, options: TrainOptions, progress: Progress) -> None:
        self.data, self.options, self.progress = data, options, progress
        self.student = Student(model)
        self.classes = int(model.outputs[0].shape[-1])
        self._start = time.monotonic()
        progress.on_phase("the dense model's answers")
        scores = predict(self.student, data.xv)
        self.from_logits = not is_probabilities(scores)
        self.before = accuracy(scores, data.yv)
        answers = predict(self.student, data.x) if options.distill > 0 else None
        if answers is not None and self.from_logits:
            answers = softmax(answers)
        self.targets = soft_targets(data.y, self.classes, answers, options.distill)
        self.batch_size = min(options.batch_size, len(data.x))
        self.steps = len(data.x) // self.batch_size * options.epochs
        rate = keras.optimizers.schedules.CosineDecay(options.learning_rate, self.steps)
        self.student.compile(
            optimizer=keras.optimizers.Adam(rate),
            loss=keras.losses.CategoricalCrossentropy(from_logits=self.from_logits),
            jit_compile=keras.backend.backend() == "jax",
        )

    def identity(self) -> dict[str, Any]:
        """What this training is and begins with."""
        weights = [np.asarray(keras.ops.convert_to_numpy(v)) for v in self.student.weights]
        return {**asdict(self.options), "data": digest([self.data.x, self.targets]), "model": digest(weights)}

    def fit(self, pruner: Pruner, checkpoint: TrainingCheckpoint | None = None) -> list[EpochReport]:
        """Train; the reports of the epochs."""
        final_step = pruner.schedule.final_step if pruner.schedule and pruner.masked else 0
        if final_step > self.steps:
            raise UsageError(
                f"the schedule ends at step {final_step}, the training has {self.steps}",
                hint="train longer, or let the schedule end earlier",
            )
        self.progress.on_start(self.steps)
        if checkpoint is None:
            return [self._epoch(epoch, pruner) for epoch in range(self.options.epochs)]
        reports = [EpochReport(**report) for report in checkpoint.restore(self.student, pruner)]
        for report in reports:
            self.progress.on_epoch(report)
        self._start -= reports[-1].seconds if reports else 0
        for epoch in range(len(reports), self.options.epochs):
            reports.append(self._epoch(epoch, pruner))
            if epoch + 1 < self.options.epochs:
                checkpoint.save(self.student, pruner, [asdict(report) for report in reports])
        checkpoint.remove()
        return reports

    def _epoch(self, epoch: int, pruner: Pruner) -> EpochReport:
        """Whole batches in an order of the epoch's own; samples that fill none wait for another epoch."""
        order = epoch_order(len(self.data.x), self.options.seed, epoch)
        batches = len(order) // self.batch_size
        losses = []
        for i in range(batches):
            rows = order[i * self.batch_size : (i + 1) * self.batch_size]
            step = epoch * batches + i
            pruner.step(step)
            loss = float(self.student.train_on_batch(self.data.x[rows], self.targets[rows]))
            require_finite(loss, step)
            losses.append(loss)
            self.progress.on_step(step + 1, pruner.reached, loss)
        if epoch + 1 == self.options.epochs:
            pruner.finish(self.steps)  # the last validation sees the final masks
        scores = predict(self.student, self.data.xv)
        if not np.isfinite(scores).all():
            raise TrainingError(
                f"the model's outputs are not numbers after epoch {epoch + 1}", hint="a lower --learning-rate"
            )
        report = EpochReport(
            epoch + 1, float(np.mean(losses)), pruner.reached, accuracy(scores, self.data.yv), self.seconds()
        )
        self.progress.on_epoch(report)
        return report

    def seconds(self) -> float:
        return time.monotonic() - self._start


def default_schedule(steps: int, ramp: float) -> PolynomialDecay:
    """A cubic ramp from the first step over this share of the steps."""
    return PolynomialDecay(0.0, 0.5, 0, min(round(steps * ramp), steps - 1), frequency=None)


def report_layer(weight: PrunableWeight, goal: Goal) -> LayerReport:
    """The report on one layer, from its weights as they are."""
    rows = weight.rows()
    zeros = int(rows.size - np.count_nonzero(rows))
    pattern = None if goal.pattern is None else str(goal.pattern)
    return LayerReport(
        weight.index, weight.name, weight.kind, pattern, zeros / rows.size, zeros, int(rows.size), goal.note
    )
