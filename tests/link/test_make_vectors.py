"""The stored vectors are what their script makes."""

import runpy
from pathlib import Path

HERE = Path(__file__).parent


def test_vectors_are_what_the_script_makes():
    """vectors.json was written by make_vectors.py as it stands."""
    script = runpy.run_path(str(HERE / "make_vectors.py"))
    assert (HERE / "vectors.json").read_text() == script["text"]()
