"""Taylor's criterion and distillation: what they compute, and that pruning by them is as exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mcuprune.errors import DataError, ModelError, UsageError
from mcuprune.sparsity import PolynomialDecay, Pruner, Taylor, distilled, prunable_weights
from mcuprune.sparsity.distill import soft_loss

pytestmark = pytest.mark.train

layers = keras.layers
RNG = np.random.default_rng(13)
X = RNG.normal(size=(48, 12)).astype(np.float32)
Y = RNG.integers(0, 3, 48)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def build(softmax: bool = False) -> Any:
    """12 values to 3 classes by way of 8."""
    keras.utils.set_random_seed(4)
    model = keras.Sequential(
        [
            keras.Input((12,)),
            layers.Dense(8, "relu", name="first"),
            layers.Dense(3, "softmax" if softmax else None, name="last"),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=not softmax), jit_compile=False)
    return model


def kernel(model: Any) -> np.ndarray:
    """The first kernel as a matrix."""
    return np.array(prunable_weights(model)[0].rows())


def test_taylor_is_weight_times_gradient() -> None:
    """The importance is that of differences of the loss; of zero weights it is zero, of others more than that."""
    model = build()
    model.layers[0].kernel.assign(np.where(np.arange(96).reshape(12, 8) % 5 == 0, 0, model.layers[0].kernel))
    model.layers[0].bias.assign([0, 0, 0, 0, 0, 0, 0, -100])  # the last unit never answers
    weights = prunable_weights(model)[:1]
    found = Taylor(X[:8], Y[:8], batches=1, batch_size=8).importance(model, weights)[0]
    rows = kernel(model)
    assert ((found > 0) == (rows != 0)).all() and found[7].max() < 1e-300

    def loss() -> float:
        return float(LOSS(Y[:8], model(X[:8])))

    for row, col in ((0, 3), (4, 7), (6, 1)):
        value, step = rows[row, col], 1e-2
        moved = []
        for change in (step, -step):
            changed = rows.copy()
            changed[row, col] += change
            model.layers[0].kernel.assign(weights[0].to_kernel(changed))
            moved.append(loss())
        assert found[row, col] == pytest.approx(abs(value * (moved[0] - moved[1]) / (2 * step)), rel=0.02, abs=1e-5)


def test_taylor_prunes() -> None:
    """Exact counts, the same zeros each time, others than the magnitude's; with a loss of its own, too."""
    found = []
    for criterion in (Taylor(X, Y, batches=2, batch_size=10), Taylor(X, Y, LOSS, batches=2, batch_size=10), None):
        model = build()
        pruner = Pruner(0.75, schedule=PolynomialDecay(0, 0.5, 0, 6, frequency=3), criterion=criterion)
        model.fit(X, Y, batch_size=6, shuffle=False, verbose=0, callbacks=[pruner])
        found.append(kernel(model))
        assert (found[-1] == 0).sum() == 72
    np.testing.assert_array_equal(found[0], found[1])
    assert ((found[0] == 0) != (found[2] == 0)).any()


def test_taylor_errors() -> None:
    """Data that are none, a model without a loss."""
    with pytest.raises(DataError, match="48 samples and 47 targets"):
        Taylor(X, Y[:47])
    with pytest.raises(UsageError, match="are no data"):
        Taylor(X, Y, batches=0)
    plain = keras.Sequential([keras.Input((12,)), layers.Dense(3)])
    with pytest.raises(UsageError, match="no loss"):
        Taylor(X, Y).importance(plain, prunable_weights(plain))


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("form", ["numbers", "column", "one-hot"])
def test_soft_loss(temperature: float, form: str) -> None:
    """The cross-entropy at a temperature where the teacher is right, for scores and for probabilities alike."""
    teacher, student = RNG.normal(size=(5, 3)).astype(np.float32), RNG.normal(size=(5, 3)).astype(np.float32)
    right = teacher.argmax(axis=1)
    labels = np.where([True, True, False, True, False], right, (right + 1) % 3)

    def log_softmax(scores: np.ndarray) -> Any:
        return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))

    soft = np.exp(log_softmax(teacher / temperature))
    each = -(soft * log_softmax(student / temperature)).sum(axis=1) * temperature**2
    wanted = (each * (labels == right)).mean()
    given: Any = {"numbers": labels, "column": labels[:, None], "one-hot": np.eye(3, dtype=np.float32)[labels]}[form]
    assert float(soft_loss(teacher, student, given, temperature)) == pytest.approx(wanted, rel=1e-5)
    answers, scores = np.exp(log_softmax(teacher)), np.exp(log_softmax(student))
    assert float(soft_loss(answers, scores, given, temperature)) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, 3)], ids=["samples", "column", "steps of time"])
def test_soft_loss_of_weighted_samples(shape: tuple[int, ...]) -> None:
    """Weights of samples, or of each step of time in them, count what the weighted mean of single losses says."""
    teacher, student = RNG.normal(size=(2, 3, 4)).astype(np.float32), RNG.normal(size=(2, 3, 4)).astype(np.float32)
    labels, weight = teacher.argmax(axis=-1), RNG.uniform(size=shape).astype(np.float32)
    each = [
        [float(soft_loss(teacher[i, j][None], student[i, j][None], labels[i, j][None], 1.0)) for j in range(3)]
        for i in range(2)
    ]
    wanted = (np.array(each) * weight.reshape(2, -1)).mean()
    assert float(soft_loss(teacher, student, labels, 1.0, keras.ops.convert_to_tensor(weight))) == pytest.approx(
        wanted, rel=1e-5
    )


def test_distilled(tmp_path: Path) -> None:
    """fit() trains the model itself, by what it was, and prunes it; what is saved is the model as it would be alone."""
    model = build(softmax=True)
    before = model.to_json()
    old = [value.copy() for value in model.get_weights()]
    trained = distilled(model)
    assert trained.compiled and trained.optimizer is not model.optimizer
    assert len(trained.trainable_variables) == 4  # the teacher's are no part of it
    pruner = Pruner(0.75, schedule=PolynomialDecay(0, 0.5, 0, 6))
    history = trained.fit(X, Y, batch_size=6, verbose=0, validation_data=(X, Y), callbacks=[pruner]).history
    assert (kernel(model) == 0).sum() == 72 and model.to_json() == before
    alone = float(keras.losses.SparseCategoricalCrossentropy()(Y, model(X)))
    assert history["val_loss"][0] == pytest.approx(alone, rel=1e-4)  # validation has no teacher
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(kernel(keras.models.load_model(tmp_path / "model.keras")), kernel(model))
    same = build(softmax=True)
    np.testing.assert_array_equal(same.get_weights()[0], old[0])
    trained = distilled(same, weight=1.0)
    first = trained.evaluate(X, Y, verbose=0)
    loss = trained.compute_loss(X, keras.ops.convert_to_tensor(Y), same(X))
    answers = np.asarray(same(X))
    known = answers.argmax(axis=1) == Y
    entropy = -(answers * np.log(answers)).sum(axis=1) * known
    assert float(loss) == pytest.approx(entropy.mean(), rel=1e-4) and first > 0


@pytest.mark.full
def test_distilled_by_another() -> None:
    """Another teacher's answers are what the model comes to give; a subclassed model may learn, too."""

    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = layers.Dense(8, "relu"), layers.Dense(3)

        def call(self, x: Any) -> Any:
            return self.last(self.first(x))

    teacher = build()
    teacher.fit(X, Y, epochs=30, batch_size=24, verbose=0)
    labels = np.asarray(teacher(X)).argmax(axis=1)
    model = Own()
    with pytest.raises(ModelError, match="no weights yet"):
        distilled(model)
    model(X[:1])
    distilled(model)  # by itself: its weights are kept as they are
    trained = distilled(model, teacher, weight=1.0)
    assert not trained.compiled
    trained.compile(keras.optimizers.Adam(0.02), LOSS, jit_compile=False)
    trained.fit(X, labels, epochs=30, batch_size=24, verbose=0)
    soft = [np.asarray(keras.ops.softmax(m(X))) for m in (teacher, model)]
    assert np.abs(soft[0] - soft[1]).mean() < 0.1
    for arguments, complaint in (({"weight": 1.5}, "weight 1.5"), ({"temperature": 0.0}, "temperature 0")):
        with pytest.raises(UsageError, match=complaint):
            distilled(model, **arguments)
    other = keras.Sequential([keras.Input((12,)), layers.Dense(5)])
    with pytest.raises(ModelError, match=r"\(None, 5\)"):
        distilled(build(), other)
