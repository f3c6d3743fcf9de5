"""Seeded numbers for the tests of C code."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Numbers that depend on the test's name alone."""
    return np.random.default_rng(list(request.node.name.encode()))
