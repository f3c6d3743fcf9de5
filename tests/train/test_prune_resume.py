"""prune() that is interrupted goes on with the same result; its criterion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.errors import UsageError
from mcuprune.sparsity import TrainOptions, prunable_weights, prune
from mcuprune.sparsity.training import Progress

pytestmark = pytest.mark.train

Samples = tuple[np.ndarray, np.ndarray]


def train(samples: Samples, folder: Path | None = None, stop: int = 99, seed: int = 1, **more: Any) -> tuple[Any, Any]:
    """(model, result) of 3 epochs of 4 steps; interrupted at step `stop`."""
    from tests.train.conftest import small_ds_cnn

    def interrupt(step: int, *_: Any) -> None:
        if step == stop:
            raise KeyboardInterrupt

    x, y = samples
    model = small_ds_cnn()
    options = TrainOptions(epochs=3, batch_size=50, learning_rate=1e-2, seed=seed, ramp=0.7)
    progress = Progress(on_step=interrupt)
    more = {"sparsity": 0.5, "budget": "global", **more}
    return model, prune(
        model, x[:200], y[:200], x[300:], y[300:], options=options, checkpoint=folder, progress=progress, **more
    )


def test_interrupted_in_the_ramp(samples: Samples, tmp_path: Path) -> None:
    """Stopped twice and called again, it gives the weights and reports of a training that ran through."""
    whole, wanted = train(samples)
    for stop in (5, 10):
        with pytest.raises(KeyboardInterrupt):
            train(samples, tmp_path, stop)
    with pytest.raises(UsageError, match="another training: seed 1 there, 2 here"):
        train(samples, tmp_path, seed=2)
    with pytest.raises(UsageError, match="saved masks"):
        train(samples, tmp_path, budget=None, pattern=None, sparsity=0.75)
    model, result = train(samples, tmp_path)
    for one, two in zip(whole.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert result.layers == wanted.layers and len(result.history) == 3
    for one, two in zip(result.history, wanted.history, strict=True):
        assert (one.loss, one.sparsity, one.val_accuracy) == (two.loss, two.sparsity, two.val_accuracy)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "prune.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(UsageError, match="cannot be read"):
        train(samples, tmp_path)


def test_verb_with_taylor_and_a_checkpoint(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--criterion taylor takes other weights, as many; --checkpoint leaves nothing behind."""
    from mcuprune.sparsity import load_model

    options = ["--data", "data.npz", "--sparsity", "0.8", "--epochs", "1", "--checkpoint", "state"]
    found = []
    for criterion in ("taylor", "magnitude"):
        assert run(["prune", "dense.keras", *options, "--criterion", criterion, "-o", f"{criterion}.keras"]) == 0
        weights = prunable_weights(load_model(files / f"{criterion}.keras"))
        found.append(next(weight.rows() == 0 for weight in weights if weight.name == "ds_1_pw"))
    assert found[0].sum() == found[1].sum() == 77 and (found[0] != found[1]).any()
    assert not list((files / "state").glob("*"))
    capsys.readouterr()
    assert run(["prune", "dense.keras", *options, "--criterion", "luck", "-o", "p.keras"]) == 2
    assert "'luck' is not one of" in capsys.readouterr().err
    with pytest.raises(UsageError, match="no criterion 'luck'"):
        TrainOptions(criterion="luck")
