"""Pruning by training: exact zeros, at every step, in a model that stays plain."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.errors import DataError, ModelError, TrainingError, UsageError
from mcuprune.masks import parse_pattern, parse_rule
from mcuprune.sparsity import (
    PolynomialDecay,
    PruneResult,
    TrainOptions,
    load_model,
    prunable_weights,
    prune,
    save_model,
)
from mcuprune.sparsity.files import model_bytes
from mcuprune.sparsity.pruner import Pruner
from mcuprune.sparsity.samples import hold_out, soft_targets
from mcuprune.sparsity.training import Progress
from mcuprune.sparsity.weights import assign_weight_goals, other_kernels

pytestmark = pytest.mark.train

Samples = tuple[np.ndarray, np.ndarray]


def train(
    model: Any, samples: Samples, *rules: str, sparsity: float | None = None, pattern: str = "unstructured", **more: Any
) -> PruneResult:
    """prune() with texts, on 300 samples of which 100 validate, 9 short steps unless told otherwise."""
    x, y = samples
    settings = {"epochs": 3, "batch_size": 60, "learning_rate": 1e-2, **more.pop("settings", {})}
    return prune(
        model,
        x[:200],
        y[:200],
        x[300:],
        y[300:],
        sparsity=sparsity,
        pattern=parse_pattern(pattern),
        rules=[parse_rule(rule) for rule in rules],
        options=TrainOptions(**settings),
        **more,
    )


def rows_of(model: Any, name: str) -> np.ndarray:
    """The weights of a layer as the matrix that patterns lie on."""
    return next(layer.rows() for layer in prunable_weights(model) if layer.name == name)


def test_matrix_of_each_kind() -> None:
    """Rows are output channels; columns run along H, W, I; the way back is exact."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(3, (2, 1), name="conv"),
            layers.DepthwiseConv2D(2, depth_multiplier=2, name="dw"),
            layers.Reshape((-1, 6)),
            layers.Conv1D(4, 3, name="conv1d"),
            layers.Flatten(),
            layers.Dense(5, name="fc"),
        ]
    )
    found = {layer.name: layer for layer in prunable_weights(model)}
    assert list(found) == ["conv", "dw", "conv1d", "fc"]
    conv, dw = found["conv"], found["dw"]
    kernel = conv.variable.numpy()
    assert conv.rows().shape == (3, 4) and not conv.pointwise and found["fc"].pointwise
    np.testing.assert_array_equal(conv.rows()[1], kernel[:, :, :, 1].ravel())
    np.testing.assert_array_equal(dw.rows()[3], dw.variable.numpy()[:, :, 1, 1].ravel())  # channel 1, multiplier 1
    for layer in found.values():
        np.testing.assert_array_equal(layer.to_kernel(layer.rows()), layer.variable.numpy())


@pytest.mark.parametrize(
    ("pattern", "sparsity"), [("unstructured", 0.8), ("2:4", None), ("1:4x2", None), ("block:2x2", 0.7)]
)
def test_exact_zeros(model: Any, samples: Samples, pattern: str, sparsity: float | None) -> None:
    """Each pattern has its exact count and places; depthwise, classifier and biases are left."""
    result = train(model, samples, "conv_1=0", pattern=pattern, sparsity=sparsity)
    rows = rows_of(model, "ds_1_pw")
    zeros = rows == 0
    if pattern == "unstructured":
        assert zeros.sum() == round(96 * 0.8)
    elif pattern == "block:2x2":
        whole = zeros.reshape(6, 2, 4, 2).all(axis=(1, 3))
        assert whole.sum() == round(24 * 0.7) and zeros.sum() == 4 * whole.sum()
    else:
        n, shared = int(pattern[0]), 2 if "x2" in pattern else 1
        groups = zeros.reshape(12, 2, 4)
        assert (groups.sum(axis=2) == 4 - n).all()
        assert (groups[0::shared] == groups[shared - 1 :: shared]).all()
    reports = {layer.name: layer for layer in result.layers}
    report = reports["ds_1_pw"]
    assert (report.pattern, report.zeros, report.size) == (pattern, int(zeros.sum()), 96)
    assert report.sparsity == report.zeros / report.size and report.op == "Conv2D"
    assert [reports[name].pattern for name in ("conv_1", "ds_1_dw", "fc")] == [None] * 3
    assert "depthwise" in reports["ds_1_dw"].note and "classifier" in reports["fc"].note


def test_it_learns(model: Any, samples: Samples) -> None:
    """A model that knows nothing is trained and pruned at once; the report has both accuracies and each epoch."""
    reports: list[Any] = []
    steps: list[tuple[int, float, float]] = []
    progress = Progress(on_step=lambda *step: steps.append(step), on_epoch=reports.append)
    result = train(model, samples, sparsity=0.5, settings={"epochs": 12, "batch_size": 20}, progress=progress)
    assert result.val_before < 0.5 < 0.8 < result.val_after
    assert result.steps == len(steps) == 120 and list(result.history) == reports
    assert reports[-1].sparsity == pytest.approx(0.5) and reports[-1].val_accuracy == result.val_after
    ramp = [sparsity for _, sparsity, _ in steps]
    assert ramp == sorted(ramp) and ramp[0] == 0 and ramp[20] < 0.4 and ramp[60] == ramp[-1]


@pytest.mark.parametrize("pattern", ["unstructured", "2:4", "2:4x2", "block:4x1"])
def test_weights_are_sparse_after_every_step(model: Any, samples: Samples, pattern: str) -> None:
    """After each optimizer update the zeros are there that the schedule asks for, N:M gradually; none comes back."""
    layer = next(layer for layer in prunable_weights(model) if layer.name == "ds_1_pw")
    seen: list[np.ndarray] = []
    schedule = PolynomialDecay(0, 0.5, 0, 6, frequency=1)
    train(
        model,
        samples,
        "*=0",
        f"ds_1_pw=0.5,{pattern}",
        progress=Progress(on_step=lambda *_: seen.append(layer.rows())),
        schedule=schedule,
    )
    assert len(seen) == 9
    for step, (rows, earlier) in enumerate(zip(seen, [None, *seen], strict=False)):
        zeros = int((rows == 0).sum())
        unit = 4 if pattern == "block:4x1" else 2 if "x2" in pattern else 1
        assert zeros == unit * round(96 / unit * schedule.sparsity_at(step, 0.5))
        assert earlier is None or not rows[earlier == 0].any()
        if ":4" in pattern and "block" not in pattern:
            assert ((rows.reshape(12, 2, 4) == 0).sum(axis=2) <= 2).all()


def test_rules(model: Any, samples: Samples) -> None:
    """Rules name layers, depthwise and classifier too; the last match wins; 0 leaves a layer dense."""
    result = train(model, samples, "*=0.5", "conv_1=0", "*_dw=1:3", "3=0.25", sparsity=0.9)
    found = {layer.name: (layer.pattern, layer.zeros) for layer in result.layers}
    assert found == {
        "conv_1": (None, 0),
        "ds_1_dw": ("1:3", 48),
        "ds_1_pw": ("unstructured", 48),
        "fc": ("unstructured", 12),
    }


def test_saved_model_is_plain(model: Any, samples: Samples, tmp_path: Path) -> None:
    """The file holds the config that the model had before, no optimizer; equal models are equal bytes."""
    before = model.to_json()
    train(model, samples, sparsity=0.5)
    assert model.to_json() == before and not model.compiled
    assert all(variable.constraint is None for variable in model.weights)
    path = tmp_path / "deep" / "pruned.keras"
    save_model(model, path)
    again = keras.models.load_model(path)
    for old, new in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(old.numpy(), new.numpy())
    with zipfile.ZipFile(path) as archive:
        assert b"mcuprune" not in b"".join(archive.read(name) for name in archive.namelist())
    assert model_bytes(model) == path.read_bytes()
    assert [p.name for p in path.parent.iterdir()] == ["pruned.keras"]
    with pytest.raises(UsageError, match=r"written as \.keras"):
        save_model(model, tmp_path / "pruned.h5")


def test_equal_models_are_equal_bytes() -> None:
    """Neither dates nor addresses get into a file."""
    from tests.train.conftest import small_ds_cnn

    assert model_bytes(small_ds_cnn()) == model_bytes(small_ds_cnn())


def test_own_constraint_is_kept(samples: Samples) -> None:
    """A constraint of the user's own holds beside the mask, and is there afterwards."""
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(8, kernel_constraint=keras.constraints.NonNeg(), name="first"),
            keras.layers.Dense(4),
        ]
    )
    own = model.layers[0].kernel.constraint
    train(model, samples, sparsity=0.5)
    assert model.layers[0].kernel.constraint is own
    rows = rows_of(model, "first")
    assert (rows >= 0).all() and (rows == 0).sum() >= 256


def test_seeds_repeat(samples: Samples) -> None:
    """Equal seeds give equal weights, another seed others."""
    from tests.train.conftest import small_ds_cnn

    found = []
    for seed in (7, 7, 8):
        model = small_ds_cnn()
        train(model, samples, sparsity=0.6, settings={"seed": seed})
        found.append(np.concatenate([w.numpy().ravel() for w in model.weights]))
    assert (found[0] == found[1]).all() and (found[0] != found[2]).any()


def test_held_out_samples(model: Any, samples: Samples) -> None:
    """Without validation data a tenth is held out by the seed, and that is said."""
    x, y = samples
    result = prune(model, x, y, sparsity=0.5, options=TrainOptions(epochs=1))
    assert result.val_samples == 40 and "40 of 400 samples held out (seed 1)" in result.notes[0]
    train_rows, held = hold_out(400, 1)
    assert sorted([*train_rows, *held]) == list(range(400))
    assert (hold_out(400, 1)[1] == held).all() and (hold_out(400, 2)[1] != held).any()


def test_soft_targets() -> None:
    """The teacher's answers are mixed in where it is right."""
    answers = np.array([[0.9, 0.1], [0.6, 0.4]], np.float32)
    targets = soft_targets(np.array([0, 1]), 2, answers, 0.5)
    np.testing.assert_allclose(targets, [[0.95, 0.05], [0, 1]])
    np.testing.assert_array_equal(soft_targets(np.array([1]), 2, None, 0.5), [[0, 1]])


def test_scores_without_softmax(samples: Samples) -> None:
    """A model that ends in scores is trained as well as one that ends in probabilities."""
    from tests.train.conftest import small_ds_cnn

    result = train(small_ds_cnn(logits=True), samples, sparsity=0.5, settings={"epochs": 12, "batch_size": 20})
    assert result.val_after > 0.8


def test_nested_shared_and_subclassed(samples: Samples) -> None:
    """Nested models are seen through, a shared kernel once, a subclassed model once it is built."""
    layers = keras.layers
    inner = keras.Sequential([keras.Input((64,)), layers.Dense(8, name="first"), layers.Dense(64, name="second")])
    inputs = keras.Input((64,))
    shared = layers.Dense(64, name="first")
    outputs = layers.Dense(4, activation="softmax", name="last")(shared(shared(inner(inputs))))
    model = keras.Model(inputs, outputs, name="outer")
    names = [layer.name for layer in prunable_weights(model)]
    assert len(names) == len(set(names)) == 4 and names[1] == "second" and names[3] == "last"
    assert names[0].endswith("first") and names[2].endswith("first")
    result = train(model, samples, sparsity=0.75)
    assert [layer.zeros for layer in result.layers] == [384, 384, 3072, 0]

    class Own(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = layers.Dense(8, name="a"), layers.Dense(4, name="b")

        def call(self, x: Any) -> Any:
            return self.b(self.a(x))

    with pytest.raises(ModelError, match="no weights yet"):
        prunable_weights(Own())
    own = Own()
    own(np.zeros((1, 64), np.float32))
    assert [layer.name for layer in prunable_weights(own)] == ["a", "b"]


def test_what_is_not_prunable_is_said(samples: Samples) -> None:
    """A kernel of a kind that nothing here prunes is named."""
    layers = keras.layers

    class Own(layers.Layer):  # type: ignore[misc]
        def build(self, shape: tuple[int, ...]) -> None:
            self.matrix = self.add_weight(shape=(shape[-1], 4))

        def call(self, x: Any) -> Any:
            return keras.ops.matmul(x, self.matrix)

    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, name="conv"),
            Own(name="own"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4),
        ]
    )
    assert other_kernels(model) == ("own (Own)",)
    result = train(model, samples, sparsity=0.5)
    assert result.notes[0] == "samples (64,) reshaped row-major to the model input's (8, 8, 1)"
    assert result.notes[1] == "left dense, not prunable: own (Own)"
    with pytest.raises(ModelError, match="no weights that can be pruned"):
        prunable_weights(keras.Sequential([keras.Input((8, 8, 1)), Own()]))


def test_patterns_that_do_not_fit(model: Any) -> None:
    """The layer, its kernel, and what would help; nothing is silently left dense."""
    layers = prunable_weights(model)
    with pytest.raises(UsageError) as caught:
        assign_weight_goals(layers, None, parse_pattern("1:3"), [parse_rule("conv_1=0")], "m.keras")
    assert caught.value.what == "1:3 sparsity needs input channels divisible by 3, got 8"
    assert caught.value.where == "m.keras, layer 2 Conv2D 'ds_1_pw', kernel HWIO (1, 1, 8, 12)"
    assert caught.value.hint == "rule (--layer) ds_1_pw=0 leaves it dense, or widen the layer to 9 channels"
    with pytest.raises(UsageError, match="weights of an output channel divisible by 4, got 9"):
        assign_weight_goals(layers, None, parse_pattern("2:4"), [], "m.keras")
    with pytest.raises(UsageError, match="no layer would be pruned"):
        assign_weight_goals(layers, 0.0, parse_pattern("unstructured"), [], "m.keras")


@pytest.mark.parametrize(
    ("change", "error", "complaint"),
    [
        ({"y": lambda y: y + 1}, DataError, r"label 4 of sample \d+ is none of the classes 0..3 of small"),
        ({"y": lambda y: y[:3]}, DataError, r"\d+ samples and 3 labels"),
        ({"x": lambda x: x[:, :63]}, DataError, "a sample has 63 values"),
        ({"x": lambda x: x.astype(np.int8)}, DataError, "data of type int8 do not fit"),
        ({"x": lambda x: np.where(x == x[150].max(), np.nan, x)}, DataError, "takes finite values"),
        ({"x": lambda x: x * 1e37}, TrainingError, "the loss is|outputs are not numbers|is NaN"),
    ],
)
def test_data_that_do_not_fit(
    model: Any, samples: Samples, change: dict[str, Any], error: type[Exception], complaint: str
) -> None:
    """One error for each; masks are off afterwards."""
    x, y = (change.get(key, lambda a: a)(array) for key, array in zip("xy", samples, strict=True))
    with pytest.raises(error, match=complaint):
        train(model, (x, y), sparsity=0.5, settings={"learning_rate": 0.1})
    assert all(variable.constraint is None for variable in model.weights)


def test_weights_that_come_back_are_noticed(model: Any) -> None:
    """The last check compares weights and masks."""
    pruner = Pruner(0.5, schedule=PolynomialDecay(0, 0.5, 0, 0))
    pruner.attach(model)
    pruner.step(0)
    masked = pruner.masked[0]
    masked.check()
    masked.weight.variable.assign(np.ones(masked.weight.shape))
    with pytest.raises(TrainingError, match="0 weights are held at zero, 36 were asked for"):
        masked.check()
    pruner.detach()


@pytest.mark.parametrize(
    "settings",
    [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0}, {"distill": 1.1}, {"ramp": -1}, {"seed": -1}],
)
def test_options_out_of_range(settings: dict[str, Any]) -> None:
    """Options that make no sense are refused when they are made."""
    with pytest.raises(UsageError):
        TrainOptions(**settings)


def test_schedule_longer_than_the_training(model: Any, samples: Samples) -> None:
    """A ramp that would not end is refused."""
    with pytest.raises(UsageError, match="ends at step 10, the training has 9"):
        train(model, samples, sparsity=0.5, schedule=PolynomialDecay(0, 0.5, 0, 10))


@pytest.mark.parametrize("size", [2, 59, 61])
def test_single_steps(model: Any, samples: Samples, size: int) -> None:
    """Fewer samples than a batch, and one step: the goal is reached all the same."""
    x, y = samples
    settings = TrainOptions(epochs=1, batch_size=60)
    result = prune(model, x[:size], y[:size], x[300:], y[300:], sparsity=0.5, options=settings)
    assert result.steps == 1 and result.layers[2].zeros == 48


@pytest.mark.parametrize("shape", ["two_inputs", "open_input", "one_score", "integers"])
def test_models_of_another_shape(shape: str) -> None:
    """Models that are no classifier of one input are refused."""
    layers = keras.layers
    if shape == "two_inputs":
        inputs = [keras.Input((4,)), keras.Input((4,))]
        model = keras.Model(inputs, layers.Dense(3)(layers.Add()(inputs)))
    elif shape == "open_input":
        first = keras.Input((None, 4))
        model = keras.Model(first, layers.Dense(3)(layers.GlobalAveragePooling1D()(first)))
    elif shape == "one_score":
        model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    else:
        first = keras.Input((4,), dtype="int32")
        model = keras.Model(first, layers.Dense(3)(layers.Flatten()(layers.Embedding(5, 2)(first))))
    with pytest.raises(ModelError):
        prune(model, np.zeros((9, 4), np.float32), np.zeros(9, np.int64), sparsity=0.5)


# the verb


def test_verb_writes_json(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """--json: one object on stdout; stderr has the epochs and nothing of TensorFlow."""
    arguments = ["prune", "dense.keras", "--data", "data.npz:x=x,y=y,xv=xv,yv=yv", "--sparsity", "0.8"]
    arguments += ["--layer", "conv_1=0.5", "--epochs", "2", "-o", "pruned.keras", "--json"]
    assert run(arguments) == 0
    captured = capfd.readouterr()
    result = json.loads(captured.out)
    layers = {layer["name"]: layer for layer in result["layers"]}
    assert layers["conv_1"]["sparsity"] == 0.5 and layers["ds_1_pw"]["zeros"] == 77
    assert set(result["val_accuracy"]) == {"before", "after"} and result["epochs"] == 2 and result["seconds"] > 0
    assert result["totals"]["zeros"] == sum(layer["zeros"] for layer in result["layers"])
    lines = captured.err.strip().splitlines()
    assert lines[0] == "loading TensorFlow" and [line.split(":")[0] for line in lines[2:]] == [
        "epoch 1 of 2",
        "epoch 2 of 2",
    ]
    assert (rows_of(load_model(files / "pruned.keras"), "ds_1_pw") == 0).sum() == 77


def test_verb_prints_a_table(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Layers, accuracy before and after, and what comes next."""
    assert (
        run(["prune", "dense.keras", "--data", "data.npz", "--sparsity", "0.5", "--epochs", "1", "-o", "p.keras"]) == 0
    )
    text = capsys.readouterr().out
    assert "no validation data: 30 of 300 samples held out" in text and "classifier: left unless" in text
    assert "accuracy on 30 validation samples" in text and "next: mcuprune quantize p.keras" in text


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        (["--sparsity", "0.5"], 2, "needs data to train on"),
        (["--data", "none.npz", "--sparsity", "0.5"], 2, "no file none.npz"),
        (["--data", "data.npz"], 2, "nothing says how sparse"),
        (["--data", "data.npz", "--sparsity", "1"], 2, "not in [0, 1)"),
        (["--data", "data.npz", "--pattern", "2:4"], 2, "divisible by 4, got 9"),
        (["--data", "data.npz", "--sparsity", "0.5", "--layer", "nosuch=0"], 2, "one of 0=conv_1, 1=ds_1_dw"),
        (["--data", "data.npz:x=y,y=y", "--sparsity", "0.5"], 2, "a sample has 1 values"),
        (["--data", "data.npz", "--sparsity", "0.5", "--one-shot"], 2, "--one-shot does not train: --data has no use"),
        (["--data", "data.npz", "--sparsity", "0.5", "--epochs", "0"], 2, "--epochs"),
    ],
)
def test_verb_errors(
    files: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int, complaint: str
) -> None:
    """One error and its exit code; nothing is written."""
    assert run(["prune", "dense.keras", *options, "-o", "out/p.keras"]) == code
    captured = capsys.readouterr()
    assert complaint in captured.err and captured.out == "" and not Path("out").exists()


def test_verb_and_files(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing, broken and overwritten models; a result of the wrong kind; training options without training."""
    options = ["--data", "data.npz", "--sparsity", "0.5", "--epochs", "1"]
    content = Path("dense.keras").read_bytes()
    Path("cut.keras").write_bytes(content[: len(content) // 2])
    assert run(["prune", "cut.keras", *options, "-o", "p.keras"]) == 3
    assert run(["prune", "none.keras", *options, "-o", "p.keras"]) == 3
    assert run(["prune", "dense.keras", *options, "-o", "dense.keras"]) == 2
    assert run(["prune", "dense.keras", *options, "-o", "p.tflite"]) == 2
    assert run(["prune", "m.tflite", "--one-shot", "--data", "data.npz", "-o", "p.tflite"]) == 2
    assert "--data has no use" in capsys.readouterr().err
    assert Path("dense.keras").read_bytes() == content and not Path("p.keras").exists()


def test_interrupted(files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C while it trains: exit code 130, no file."""

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Pruner, "step", interrupt)
    assert run(["prune", "dense.keras", "--data", "data.npz", "--sparsity", "0.5", "-o", "p.keras"]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert sorted(path.name for path in files.iterdir()) == ["data.npz", "dense.keras"]
