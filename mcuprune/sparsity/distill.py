"""Training a model with the answers of another, or of what it was."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any

import keras

from mcuprune.errors import ModelError, UsageError
from mcuprune.sparsity.files import require_model

_TINY = 1e-7


class Student(keras.Model):  # type: ignore[misc]
    """A model to train another model by: it is compiled, so that the other one stays as it was."""

    def __init__(self, model: Any) -> None:
        super().__init__(name="student")
        self.student = model

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.student(inputs, training=training)


class Distilled(Student):
    """What distilled() gives: its fit() trains `student`, which is what to save."""

    def __init__(self, model: Any, answers: Callable[[Any], Any], weight: float, temperature: float) -> None:
        super().__init__(model)
        self._answers = answers  # a function: the teacher's variables are no part of this model
        self.weight, self.temperature = weight, temperature

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        loss = super().compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)
        if not training or self.weight == 0:
            return loss
        soft = soft_loss(self._answers(x), y_pred, y, self.temperature, sample_weight)
        return (1 - self.weight) * loss + self.weight * soft


def distilled(model: Any, teacher: Any = None, weight: float = 0.7, temperature: float = 1.0) -> Distilled:
    """A model whose fit() trains `model`, a classifier, with a teacher's answers beside the labels.

        trained = distilled(model)  # by the model as it is now, before it is pruned
        trained.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        trained.fit(x, y, callbacks=[Pruner(0.8)])
        model.save("pruned.keras")

    loss = (1 - weight) * compiled loss + weight * temperature**2 * cross-entropy of teacher and student at this
    temperature; where the teacher is wrong, its answer counts nothing. Validation shows the compiled loss alone.
    Outputs may be scores or probabilities, (..., classes); labels one-hot or class numbers. If `model` is compiled, the
    result is compiled in the same way, with an optimizer of its own.
    Source: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network" (2015).

    Args:
        model: a built model with one output.
        teacher: a model with the same outputs; None: `model` with the weights that it has now.
        weight: share of the teacher, in [0, 1].
        temperature: above 1 the smaller answers of the teacher count more.
    Raises:
        UsageError: weight or temperature out of range.
        ModelError: model or teacher is no model, the model is not built, or the teacher's outputs have another shape.
    """
    require_model(model)
    for name, value in (("weight", weight), ("temperature", temperature)):
        if isinstance(value, bool) or not isinstance(value, Real):
            raise UsageError(f"{name} is a number, got {value!r}", hint=f"{name}=1.0")
    if not 0 <= weight <= 1:
        raise UsageError(f"weight {weight:g} is not in [0, 1]", hint="0.7 is the default")
    if not 0 < temperature < float("inf"):
        raise UsageError(f"temperature {temperature:g} is not positive", hint="1 to 4 are usual")
    if not model.built:
        raise ModelError(f"model '{model.name}' has no weights yet", hint="call it once on a batch of samples")
    if teacher is not None:
        require_model(teacher, "teacher")
        _check_outputs(model, teacher)
    result = Distilled(model, _frozen(model) if teacher is None else _answers_of(teacher), weight, temperature)
    result.built = True  # its one layer is
    if model.compiled:
        result.compile_from_config(model.get_compile_config())
    return result


def soft_loss(answers: Any, scores: Any, labels: Any, temperature: float, sample_weight: Any = None) -> Any:
    """Cross-entropy of answers and scores (..., classes) at a temperature, times its square, where answers are right.

    labels: class numbers (...) or (..., 1), or one-hot (..., classes). sample_weight: (batch,), (batch, 1) or (...).
    The mean is over all samples.
    """
    ops = keras.ops
    teacher, student = _log_scores(ops.stop_gradient(answers)), _log_scores(scores)
    soft = ops.softmax(teacher / temperature, axis=-1)
    loss = -ops.sum(soft * ops.log_softmax(student / temperature, axis=-1), axis=-1) * temperature**2
    right = ops.cast(ops.equal(ops.argmax(teacher, axis=-1), _numbers(labels, teacher)), loss.dtype)
    if sample_weight is not None:
        right = right * _like_samples(ops.cast(sample_weight, loss.dtype), right)
    return ops.mean(loss * right)


def _log_scores(scores: Any) -> Any:
    """Scores as they are, probabilities as their logarithms, in float32. Rows of 0 or more that sum to 1 are these."""
    ops = keras.ops
    scores = ops.cast(scores, "float32")
    sums = ops.abs(ops.sum(scores, axis=-1) - 1)
    probabilities = ops.logical_and(ops.all(scores >= 0), ops.all(sums < 1e-2))  # bfloat16 has 8 bits
    return ops.where(probabilities, ops.log(ops.maximum(scores, _TINY)), scores)


def _numbers(labels: Any, scores: Any) -> Any:
    ops = keras.ops
    if len(labels.shape) == len(scores.shape) and labels.shape[-1] == scores.shape[-1]:
        return ops.argmax(labels, axis=-1)
    if len(labels.shape) == len(scores.shape):
        labels = ops.squeeze(labels, axis=-1)
    return ops.cast(labels, "int32")


def _like_samples(weight: Any, loss: Any) -> Any:
    """Weights with the axes of a loss (...), of one value where they have none: (batch,) as (batch, 1, ...)."""
    if len(weight.shape) > 1 and len(weight.shape) == len(loss.shape):
        return weight
    return keras.ops.reshape(weight, (-1, *[1] * (len(loss.shape) - 1)))


def _frozen(model: Any) -> Callable[[Any], Any]:
    """The model with the weights that it has now, as a function."""
    trainable, others = ([keras.ops.copy(v.value) for v in vs] for vs in _variables(model))
    options = {"training": False} if model._call_has_training_arg else {}
    return lambda x: model.stateless_call(trainable, others, x, **options)[0]


def _answers_of(teacher: Any) -> Callable[[Any], Any]:
    options = {"training": False} if teacher._call_has_training_arg else {}
    return lambda x: teacher(x, **options)


def _variables(model: Any) -> tuple[Any, Any]:
    return model.trainable_variables, model.non_trainable_variables


def _check_outputs(model: Any, teacher: Any) -> None:
    mine, other = (getattr(m, "output_shape", None) for m in (model, teacher))
    if mine is not None and other is not None and mine[-1] != other[-1]:
        raise ModelError(
            f"the teacher's outputs have shape {other}, the model's {mine}", hint="a teacher of the same classes"
        )
