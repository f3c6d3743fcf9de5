"""Pruning by training: a ramp of the sparsity, then fine-tuning, with the dense start model as teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mcuprune.data import Array
from mcuprune.errors import UsageError
from mcuprune.masks import Budget, Goal, Pattern, Rule, Unstructured
from mcuprune.sparsity.criteria import Taylor
from mcuprune.sparsity.curves import Sensitivity
from mcuprune.sparsity.files import check_model
from mcuprune.sparsity.layerwise import measure_for_budget
from mcuprune.sparsity.options import TrainOptions
from mcuprune.sparsity.pruner import Pruner
from mcuprune.sparsity.resume import TrainingCheckpoint, digest
from mcuprune.sparsity.runtime import make_repeatable
from mcuprune.sparsity.samples import TrainingData
from mcuprune.sparsity.schedule import PolynomialDecay, PruningSchedule
from mcuprune.sparsity.training import ClassifierTraining, EpochReport, Progress, classifier_data
from mcuprune.sparsity.weights import PrunableWeight, assign_weight_goals, left_dense, prunable_weights


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
    data = classifier_data(model, x, y, xv, yv, options.seed, source, data_source)
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
    data = classifier_data(model, x, y, xv, yv, options.seed, source, data_source)
    return _train(model, data, (), (), options, None, progress or Progress())


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
    pruner = pruner or Pruner()
    run = _Pruning(model, data, options, progress, pruner)
    if options.criterion == "taylor":
        pruner.criterion = Taylor(data.x, run.targets)
    pruner.attach_goals(run.student, weights, goals, schedule or default_schedule(run.steps, options.ramp))
    try:
        history = run.fit(None if checkpoint is None else TrainingCheckpoint(checkpoint, run.identity()))
    finally:
        pruner.detach()
    notes = (*data.notes, *(left_dense(model) if weights else ()))
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


class _Pruning(ClassifierTraining):
    """The training of prune(), under a pruner."""

    def __init__(
        self, model: Any, data: TrainingData, options: TrainOptions, progress: Progress, pruner: Pruner | None = None
    ) -> None:
        super().__init__(model, data, options, progress, "the dense model's answers")
        self.pruner = pruner or Pruner()
        self._settings = asdict(options)
        self.compile(self.teacher, jit_compile=keras.backend.backend() == "jax")

    def identity(self) -> dict[str, Any]:
        """What this training is and begins with."""
        weights = [np.asarray(keras.ops.convert_to_numpy(v)) for v in self.student.weights]
        return {**self._settings, "data": digest([self.data.x, self.targets]), "model": digest(weights)}

    def fit(self, checkpoint: TrainingCheckpoint | None = None) -> list[EpochReport]:
        """Train; the reports of the epochs."""
        final_step = self.pruner.schedule.final_step if self.pruner.schedule and self.pruner.masked else 0
        if final_step > self.steps:
            raise UsageError(
                f"the schedule ends at step {final_step}, the training has {self.steps}",
                hint="train longer, or let the schedule end earlier",
            )
        self.progress.on_start(self.steps)
        if checkpoint is None:
            return [self.epoch(epoch) for epoch in range(self.options.epochs)]
        reports = [EpochReport(**report) for report in checkpoint.restore(self.student, self.pruner)]
        for report in reports:
            self.progress.on_epoch(report)
        self.began -= reports[-1].seconds if reports else 0
        for epoch in range(len(reports), self.options.epochs):
            reports.append(self.epoch(epoch))
            if epoch + 1 < self.options.epochs:
                checkpoint.save(self.student, self.pruner, [asdict(report) for report in reports])
        checkpoint.remove()
        return reports

    def before_step(self, step: int) -> None:
        self.pruner.step(step)

    def after_epoch(self, epoch: int) -> None:
        if epoch + 1 == self.options.epochs:
            self.pruner.finish(self.steps)  # the last validation sees the final masks

    def reached(self) -> float:
        return self.pruner.reached


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
