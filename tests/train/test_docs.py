"""The documentation's Python runs as it stands: the blocks of a page one after the other, in one namespace."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from mcuprune.cli import run

pytestmark = pytest.mark.train
ROOT = Path(__file__).parents[2]
PAGES = sorted(path for path in (*ROOT.glob("docs/*.md"), ROOT / "README.md") if "```python" in path.read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that are marked python; what they assert holds."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": page.stem}
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"```python\n(.*?)```", text, re.DOTALL):
        line = text[: found.start(1)].count("\n")
        exec(compile("\n" * line + found[1], str(page), "exec"), names)  # errors name the page's own lines


def test_console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Command lines of the page about migration, one after the other, beside a dense.keras."""
    import keras

    monkeypatch.chdir(tmp_path)
    layers = [keras.layers.Dense(16, name="first"), keras.layers.Dense(4, name="second")]
    keras.Sequential([keras.Input((8,)), *layers]).save("dense.keras")
    text = (ROOT / "docs/from-tensorflow-model-optimization.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\$ mcuprune (.*)$", text, re.MULTILINE)
    assert [line.split()[0] for line in lines] == ["prune", "size", "sparsity"]
    for line in lines:
        assert run(shlex.split(line)) == 0, line


def test_readme(model: Any, samples: tuple[Any, Any]) -> None:
    """The README's lines of Python do what they say for a model and data of one's own."""
    import numpy as np

    x, y = samples
    names: dict[str, object] = {"model": model, "x": x, "y": y}
    (block,) = re.findall(r"```py\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    model.compile("adam", "sparse_categorical_crossentropy")
    exec(compile(block, "README.md", "exec"), names)
    kernel = np.asarray(model.get_layer("ds_1_pw").kernel)
    assert np.count_nonzero(kernel == 0) == round(0.8 * kernel.size) and isinstance(names["int8"], bytes)


def test_pages_are_found() -> None:
    """The pages about training have blocks."""
    assert {"pruning", "quantization"} <= {page.stem for page in PAGES}
