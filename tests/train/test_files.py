"""Model files that cannot be read: what to do about each."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from mcuprune.errors import ModelError
from mcuprune.sparsity import load_model

pytestmark = pytest.mark.train


@pytest.mark.parametrize(
    ("config", "hint"),
    [
        (None, "no whole .keras file"),
        ('{"class_name": "PruneLowMagnitude"}', r"sparsity\.prune_scope\(\), and save what sparsity\.strip_pruning"),
        ('{"class_name": "QuantizedLayer"}', r"quantization\.quantize_scope\(\), and convert it"),
        ('{"class_name": "Own"}', "without classes of your own"),
    ],
)
def test_a_model_that_cannot_be_loaded(config: str | None, hint: str, tmp_path: Path) -> None:
    """No zip at all, wrappers left on, training for int8, a class that nobody knows: each has its own way out."""
    path = tmp_path / "model.keras"
    path.write_text("x")
    if config is not None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", config)
    with pytest.raises(ModelError, match=f"Keras cannot load the model(.|\n)*try: .*{hint}"):
        load_model(path)
