"""The table of operators: whole, true, and the one that stands in the documents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcuprune.cli import run
from mcuprune.importers.operators import PARSERS
from mcuprune.ir.operators import OPERATORS
from mcuprune.kernels.catalog import CATALOG
from mcuprune.kernels.lowering import LOWER
from mcuprune.kernels.support import FAMILIES, markdown, supported
from tests.grid.cases import layers_of
from tests.grid.test_grid import FAMILIES as GRID
from tests.grid.test_grid import cases

ROWS = supported({name: parser.kind or name for name, parser in PARSERS.items()})


def test_tables_have_the_same_operators() -> None:
    """What is read has a meaning, numbers and kernels; each family has portable kernels."""
    assert set(OPERATORS) == set(LOWER) == set(FAMILIES)
    assert {parser.kind or name for name, parser in PARSERS.items()} <= set(OPERATORS)
    portable = {kernel.family for kernel in CATALOG if kernel.isa == "ref"}
    assert {family for families in FAMILIES.values() for family in families} == portable


@pytest.mark.parametrize("grid", GRID)
def test_families_are_those_of_the_layers(grid: str) -> None:
    """A layer of the grid has a family that is listed for its kind."""
    for case in cases(grid):
        for layer in layers_of(case):
            assert layer.params.family in FAMILIES[layer.params.op.kind], layer.name


def test_document_holds_the_table() -> None:
    """docs/operators.md is what the verb prints."""
    text = (Path(__file__).parents[2] / "docs" / "operators.md").read_text()
    assert text.split("-->\n")[1].removesuffix("<!-- end of table ") == markdown(ROWS)


def test_verb(capsys: pytest.CaptureFixture[str]) -> None:
    """As a table and as JSON."""
    assert run(["ops"]) == 0
    text = capsys.readouterr().out
    assert "CONV_2D" in text and "mp_conv2d_s8" in text and "mve" in text
    assert run(["ops", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["operators"]
    assert {"operator": "RESHAPE", "kernel": "", "types": "any", "isas": [], "encodings": []} in rows
    conv = next(row for row in rows if row["operator"] == "CONV_2D" and row["kernel"] == "conv2d_s8")
    assert conv["types"] == "int8" and conv["isas"][0] == "ref" and {"dense", "gap"} <= set(conv["encodings"])
