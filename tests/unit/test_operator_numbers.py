"""Errors, manifests and reports count operators as the model's file does, whatever reading it took away or split."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as s

from mcuprune.cli import run
from mcuprune.errors import ModelError
from mcuprune.importers.tflite import import_bytes
from tests.grid.families.dilation import cases as dilated_cases
from tests.packed_constants import CSR, DENSE, make_sparse, through_densify
from tests.tflite_builder import random_int8
from tests.variables import StateBuilder

INDICES = [(3, "ADD"), (5, "SLICE"), (5, "SLICE"), (6, "ADD"), (8, "FULLY_CONNECTED"), (9, "RELU")]


def mixed() -> tuple[StateBuilder, int]:
    """A variable, a split, a constant behind DENSIFY: of the file's 10 operators 5 compute; its output."""
    rng, model = np.random.default_rng(5), StateBuilder()
    x = model.input((1, 4), 0.1, 1)
    model.variable("sum", np.zeros((1, 4), np.int8))
    model.call_once()
    total = model.add(model.read("sum", x), x, 0.1, 1)
    model.assign("sum", total)
    parts = [model.tensor((1, 2), np.int8, 0.1, 1) for _ in range(2)]
    options = s.SplitOptionsT()
    options.numSplits = 2
    model.op("SPLIT", [model.constant([1]), total], parts, options)
    y = model.add(*parts, 0.2, 3)
    weights = random_int8(rng, (3, 2)) * np.array([1, 0], np.int8)
    y = model.fully_connected(y, weights)
    fully_connected = len(model.graph.operators) - 1
    make_sparse(model, model.graph.operators[fully_connected].inputs[1], (0, 1), {}, (DENSE, CSR))
    through_densify(model, fully_connected, 1)
    return model, model.relu(y, 0.1)


def test_numbers_are_the_file_s():
    """Parts of a SPLIT share its number, and those behind what went keep theirs."""
    model, y = mixed()
    graph = import_bytes(model.build([y]), "mixed.tflite")
    assert [(op.index, op.kind) for op in graph.ops] == INDICES
    assert all(op.outputs[0] in model.graph.operators[op.index].outputs for op in graph.ops)


def test_a_joined_convolution_has_its_own_number():
    """Of the three operators that a dilated convolution is in the file."""
    graph = import_bytes(next(iter(dilated_cases())).content, "dilated.tflite")
    assert [(op.index, op.kind) for op in graph.ops] == [(1, "CONV_2D")]


def _broken_relu(model):
    model.graph.tensors[model.graph.operators[9].outputs[0]].shape = [1, 4]


def _float_relu(model):
    model.graph.tensors[model.graph.operators[9].outputs[0]].type = s.TensorType.FLOAT32


def _unread_relu(model):
    model.graph.operators[9].inputs = [model.graph.operators[9].outputs[0]]


def _broken_split(model):
    model.graph.operators[5].builtinOptions.numSplits = 3


def _broken_weights(model):
    model.graph.operators[8].builtinOptions.weightsFormat = 9


def _unknown_handle(model):
    model.graph.operators[4].inputs[0] = model.graph.operators[9].outputs[0]


@pytest.mark.parametrize(
    ("fault", "place"),
    [
        (_broken_relu, "op 9 RELU"),
        (_float_relu, "op 9 RELU"),
        (_unread_relu, "op 9 RELU"),
        (_broken_split, "op 5 SPLIT"),
        (_broken_weights, "op 8 FULLY_CONNECTED"),
        (_unknown_handle, "op 4 ASSIGN_VARIABLE"),
    ],
)
@pytest.mark.parametrize("subgraph", [0, 2])
def test_errors_name_the_file_s_number(fault, place, subgraph):
    """From every step of the import; behind the subgraph's number where it is not the first."""
    model, y = mixed()
    model.graph.outputs = [y]
    fault(model)
    if subgraph:
        model.model.subgraphs.append(model.graph)
        model.model.subgraphs[0] = copy.deepcopy(model.model.subgraphs[1])
        model.signature("serving_default", subgraph, {}, {})
        place = f"subgraph {subgraph}, {place}"
    with pytest.raises(ModelError) as caught:
        import_bytes(model.pack(), "mixed.tflite")
    assert caught.value.where.startswith(f"mixed.tflite, {place}"), caught.value


def test_the_folder_names_the_file_s_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Manifest, generated C and verify; layers that share a number are told apart by their names."""
    path, folder = tmp_path / "mixed.tflite", tmp_path / "made"
    model, y = mixed()
    path.write_bytes(model.build([y]))
    assert run(["generate", str(path), "-o", str(folder), "--board", "host", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [layer["index"] for layer in told["layers"]] == [index for index, _ in INDICES]
    assert not told["reordered"] and told["model"]["subgraph"] == 0
    text = (folder / "model" / "mixed.c").read_text()
    assert "operator 9 of the file" in text and text.count("operator 5 of the file") == 2
    assert run(["verify", str(path), "--random", "4", "--json"]) == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    assert [layer["index"] for layer in layers] == [index for index, _ in INDICES]


def test_an_encoding_that_does_not_serve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Errors behind the import name the file and its number, too."""
    path = tmp_path / "mixed.tflite"
    model, y = mixed()
    path.write_bytes(model.build([y]))
    command = ["generate", str(path), "-o", str(tmp_path / "made"), "--board", "host", "--encoding", "9=gap", "--json"]
    assert run(command) == 3
    assert json.loads(capsys.readouterr().out)["error"]["where"].startswith("mixed.tflite, op 9 RELU")
