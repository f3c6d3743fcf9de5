"""The documentation's Python runs as it stands: the blocks of a page one after the other, in one namespace."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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


def test_pages_are_found() -> None:
    """The pages about training have blocks."""
    assert {"pruning", "quantization"} <= {page.stem for page in PAGES}
