"""Functions of a file that are not run: broken ones are refused, unknown ones are none of our business."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.errors import ModelError
from mcuprune.importers.tflite import import_bytes
from tests.recurrent import lstm
from tests.tflite_builder import Builder, random_bias, random_int8


def two(of_second) -> bytes:
    """A convolution, and the same again as a second function, which `of_second` changes."""
    rng, model = np.random.default_rng(1), Builder()
    weights, bias = random_int8(rng, (4, 3, 2, 3)), random_bias(rng, 4)
    y = model.conv_2d(model.input((1, 7, 6, 3), 0.05, -3), weights, bias, scale=0.3)
    model.graph.outputs = [y]
    second = copy.deepcopy(model.graph)
    model.model.subgraphs.append(second)
    of_second(model, second)
    return model.build([y])


def _buffer(model, second):
    second.tensors[1].buffer = 99


def _type(model, second):
    second.tensors[1].type = 77


def _shape(model, second):
    second.tensors[0].shape = [1, -7, 6, 3]


def _length(model, second):
    second.tensors[2].shape = [9, 9, 9, 9]


def _scales(model, second):
    second.tensors[0].quantization.zeroPoint = None


def _code(model, second):
    second.operators[0].opcodeIndex = 3


def _input(model, second):
    second.operators[0].inputs[1] = 40


def _output(model, second):
    second.outputs = [40]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (_buffer, "subgraph 1, tensor 1 't1'"),
        (_type, "subgraph 1, tensor 1 't1'"),
        (_shape, "subgraph 1, tensor 0 't0'"),
        (_length, "subgraph 1, tensor 2 't2'"),
        (_scales, "subgraph 1, tensor 0 't0'"),
        (_code, "subgraph 1, op 0"),
        (_input, "subgraph 1, op 0"),
        (_output, "subgraph 1"),
    ],
)
def test_broken_functions_are_refused(fault, words):
    """Runtimes refuse the file, too: the error says which function it is."""
    with pytest.raises(ModelError) as caught:
        import_bytes(two(fault), "two.tflite")
    assert caught.value.where == f"two.tflite, {words}" and caught.value.hint


def test_unknown_operators_beside():
    """What is not run may be a training step, of whatever operators."""

    def change(model, second):
        code = copy.deepcopy(model.model.operatorCodes[0])
        code.builtinCode = code.deprecatedBuiltinCode = 123
        model.model.operatorCodes.append(code)
        second.operators[0].opcodeIndex = 1

    assert len(import_bytes(two(change), "two.tflite").ops) == 1


def test_a_dimension_of_scales_that_nothing_reads_is_noted():
    """Today's LiteRT refuses the file for it; nothing depends on it."""

    def change(model, second):
        second.tensors[0].quantization.quantizedDimension = 9

    (note,) = import_bytes(two(change), "two.tflite").notes
    assert note.startswith("subgraph 1, tensor 0 't0': ") and "dimension 9" in note


def test_verify_with_an_lstm_that_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A recurrent layer here and in another function: a reset of LiteRT's would want both of them allocated."""
    path, model = tmp_path / "two.tflite", Builder()
    y = lstm(model, model.input((1, 2, 4), 0.03, 4), np.random.default_rng(3), 6)
    model.graph.outputs = [y]
    model.model.subgraphs.append(copy.deepcopy(model.graph))
    path.write_bytes(model.build([y]))
    assert run(["verify", str(path), "--random", "6", "--sequence", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["equal"]
