"""The training of a classifier with its own first answers beside the labels: of pruning, and for int8."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from mcuprune.data import Array
from mcuprune.errors import TrainingError
from mcuprune.sparsity.distill import Student
from mcuprune.sparsity.evaluate import accuracy, is_probabilities, predict, softmax
from mcuprune.sparsity.options import FitOptions
from mcuprune.sparsity.samples import TrainingData, epoch_order, fit_training_data, soft_targets


@dataclass(frozen=True, slots=True)
class EpochReport:
    """One finished epoch (from 1); sparsity is that of the pruned layers together; seconds from the start."""

    epoch: int
    loss: float
    sparsity: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """What happens while training, as it happens: on_start takes all steps; on_step step, sparsity and loss."""

    on_phase: Callable[[str], None] = lambda text: None
    on_start: Callable[[int], None] = lambda steps: None
    on_step: Callable[[int, float, float], None] = lambda step, sparsity, loss: None
    on_epoch: Callable[[EpochReport], None] = lambda report: None


class ClassifierTraining:
    """One training: what it was given, and when it began. To be derived from: what is done at each step is another's.

    before: accuracy of the model as it came, on the validation part. targets: what is trained for, (n, classes).
    """

    def __init__(self, model: Any, data: TrainingData, options: FitOptions, progress: Progress, phase: str) -> None:
        self.data, self.options, self.progress = data, options, progress
        self.began = time.monotonic()
        progress.on_phase(phase)
        self.teacher = Student(model)
        scores = predict(self.teacher, data.xv)
        self._from_logits = not is_probabilities(scores)
        self.before = accuracy(scores, data.yv)
        answers = predict(self.teacher, data.x) if options.distill > 0 else None
        if answers is not None and self._from_logits:
            answers = softmax(answers)
        self.targets = soft_targets(data.y, int(model.outputs[0].shape[-1]), answers, options.distill)
        self.batch_size = min(options.batch_size, len(data.x))
        self.steps = len(data.x) // self.batch_size * options.epochs

    def compile(self, student: Student, jit_compile: bool) -> None:
        """Make ready to train this model."""
        self.student = student
        student.compile(
            optimizer=keras.optimizers.Adam(
                keras.optimizers.schedules.CosineDecay(self.options.learning_rate, self.steps)
            ),
            loss=keras.losses.CategoricalCrossentropy(from_logits=self._from_logits),
            jit_compile=jit_compile,
        )

    def epoch(self, epoch: int) -> EpochReport:
        """Whole batches in an order of the epoch's own; samples that fill none wait for another epoch.

        Raises:
            TrainingError: the loss or an output is not a number.
        """
        order = epoch_order(len(self.data.x), self.options.seed, epoch)
        batches = len(order) // self.batch_size
        losses = []
        for i in range(batches):
            rows = order[i * self.batch_size : (i + 1) * self.batch_size]
            step = epoch * batches + i
            self.before_step(step)
            loss = float(self.student.train_on_batch(self.data.x[rows], self.targets[rows]))
            require_finite(loss, step)
            losses.append(loss)
            self.progress.on_step(step + 1, self.reached(), loss)
        self.after_epoch(epoch)
        scores = predict(self.student, self.data.xv)
        if not np.isfinite(scores).all():
            raise TrainingError(
                f"the model's outputs are not numbers after epoch {epoch + 1}", hint="a lower --learning-rate"
            )
        report = EpochReport(
            epoch + 1, float(np.mean(losses)), self.reached(), accuracy(scores, self.data.yv), self.seconds()
        )
        self.progress.on_epoch(report)
        return report

    def before_step(self, step: int) -> None:
        """To be called before update `step` (from 0)."""

    def after_epoch(self, epoch: int) -> None:
        """To be called before the validation of epoch `epoch` (from 0)."""

    def reached(self) -> float:
        """The share of zeros now."""
        return 0.0

    def seconds(self) -> float:
        return time.monotonic() - self.began


def classifier_data(
    model: Any, x: Array, y: Array, xv: Array | None, yv: Array | None, seed: int, source: str, data_source: str
) -> TrainingData:
    """fit_training_data() for a model of one input and one output (batch, classes)."""
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


def require_finite(loss: float, step: int) -> None:
    """Stop at a loss that is not a number.

    Raises:
        TrainingError: it is NaN or infinite.
    """
    if not abs(loss) < float("inf"):
        raise TrainingError(
            f"the loss is {loss} at step {step}",
            hint="a lower --learning-rate; features of ordinary size (about -10..10)",
        )
