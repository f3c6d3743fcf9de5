"""Rows of a table at computed positions: what is read as one operator, what is refused, what random inputs are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as s

from mcuprune.cli import run
from mcuprune.data import Dataset
from mcuprune.errors import DataError, ModelError
from mcuprune.importers.tflite import import_bytes
from mcuprune.inputs import as_tensors, encode_samples, random_inputs
from mcuprune.ir.graph import Graph
from tests.grid.families.lookups import from_end, gather, table
from tests.tflite_builder import Builder


def embedding(rows: int = 9, wrapped: int | None = None, steps: int = 5, dtype: Any = np.int32) -> bytes:
    """Tokens, a table of 4 values each, their mean; wrapped: the number that is added to tokens below 0."""
    model = Builder()
    at = model.input((1, steps), None, 0, dtype, name="tokens")
    places = at if wrapped is None else from_end(model, at, wrapped)
    y = gather(model, table(model, np.random.default_rng(1), (rows, 4), np.int8), places)
    return model.build([model.mean(y, [1], 0.1, -7)])


def test_positions_from_the_end_are_one_operator() -> None:
    """What Keras puts in front of an embedding goes into it; another number than the table's rows does not."""
    graph = import_bytes(embedding(wrapped=9), "m.tflite")
    assert [op.kind for op in graph.ops] == ["LOOKUP", "MEAN"] and graph.ops[0].inputs[1] == graph.inputs[0]
    with pytest.raises(ModelError, match="int32"):
        import_bytes(embedding(wrapped=8), "m.tflite")


REFUSED = {
    "GATHER_ND": ((2, 3), (1, 3), s.GatherNdOptionsT(), "positions (1, 3) of an input (2, 3)"),
    "EMBEDDING_LOOKUP": ((2, 3), (1, 3), None, "positions (1, 3) of an input (2, 3)"),
    "GATHER": ((2, 3), (1, 2), s.GatherOptionsT(), "the operator gives (1, 2, 3)"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(kind: str) -> None:
    """Shapes that do not fit are one error."""
    shape, at_shape, options, words = REFUSED[kind]
    model = Builder()
    at = model.input(at_shape, None, 0, np.int32)
    rows, out = table(model, np.random.default_rng(1), shape, np.int8), model.tensor((1, 7), np.int8, 0.1, -7)
    model.op(kind, [at, rows] if kind == "EMBEDDING_LOOKUP" else [rows, at], [out], options)
    with pytest.raises(ModelError) as error:
        import_bytes(model.build([out]), "bad.tflite")
    assert words in str(error.value)


def test_a_table_that_is_dequantized_is_refused() -> None:
    """EMBEDDING_LOOKUP of int8 rows as float is of dynamic-range models; the hint says what to do."""
    model = Builder()
    at, out = model.input((3,), None, 0, np.int32), model.tensor((3, 4), np.float32)
    model.op("EMBEDDING_LOOKUP", [at, table(model, np.random.default_rng(1), (7, 4), np.int8)], [out])
    with pytest.raises(ModelError, match="a table of int8 with an output of float32") as error:
        import_bytes(model.build([out]), "bad.tflite")
    assert "quantize" in str(error.value.hint)


def _tokens(graph: Graph, count: int) -> np.ndarray:
    return np.stack([as_tensors(row, graph)[0] for row in random_inputs(graph, count, 1)])


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_random_tokens_are_rows_of_the_table(dtype: Any) -> None:
    """All of them, and no others: LiteRT ends the run at those."""
    tokens = _tokens(import_bytes(embedding(dtype=dtype), "m.tflite"), 40)
    assert tokens.dtype == dtype and set(tokens.reshape(-1).tolist()) == set(range(9))


def test_tokens_of_data(tmp_path: Path) -> None:
    """Integers of any type that fit; what does not is named."""
    graph = import_bytes(embedding(), "m.tflite")
    encoded = encode_samples(Dataset(np.array([[1, 2, 3, 4, 8]]), None, None, None, "d"), graph)
    assert encoded.rows.view(np.int32).tolist() == [[1, 2, 3, 4, 8]]
    with pytest.raises(DataError, match="2147483648"):
        encode_samples(Dataset(np.array([[1, 2, 3, 4, 2**31]]), None, None, None, "d"), graph)


@pytest.mark.parametrize("wrapped", [None, 9])
def test_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str], wrapped: int | None) -> None:
    """The built firmware equals LiteRT on random tokens, and on a user's."""
    path = tmp_path / "tokens.tflite"
    path.write_bytes(embedding(wrapped=wrapped))
    np.savez(tmp_path / "d.npz", x=np.random.default_rng(2).integers(0, 9, (6, 5)))
    capsys.readouterr()
    assert run(["verify", str(path), "--random", "6", "--data", str(tmp_path / "d.npz"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["equal"] and found["inputs"] == 12
