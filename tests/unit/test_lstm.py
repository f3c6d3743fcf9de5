"""LSTM with layer normalization and on int16: what it computes, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.errors import ModelError
from mcuprune.importers.tflite import import_bytes
from mcuprune.ir.interpreter import initial_state, outputs_of, step
from mcuprune.ir.operators.lstm16 import sigmoid_of, tanh_of
from tests.recurrent import lstm, lstm16
from tests.tflite_builder import Builder

STEPS, INPUTS, CELLS = 6, 4, 5
SCALE = 1 / 32768


def _model16(spoil: Any = lambda model, op: None, **options: Any) -> bytes:
    model = Builder()
    x = model.input((1, STEPS, INPUTS), SCALE, 0, np.int16)
    y = lstm16(model, x, np.random.default_rng(5), CELLS, **options)
    spoil(model, model.graph.operators[0])
    return model.build([y])


def test_int16_follows_the_real_numbers() -> None:
    """Outputs are those of an LSTM in floating point, to a few steps of 2**-15."""
    content = _model16(weight_scale=0.004, bias=0)
    graph = import_bytes(content, "m.tflite")
    op, rng = graph.ops[0], np.random.default_rng(6)

    def real(place: int) -> np.ndarray:
        tensor = graph.tensors[op.inputs[place]]
        assert tensor.data is not None and tensor.quant is not None
        return tensor.data * tensor.quant.scale

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    x = rng.integers(-32768, 32768, (1, STEPS, INPUTS)).astype(np.int16)
    results, _ = step(graph, [x], initial_state(graph))
    h, c = np.zeros(CELLS), np.zeros(CELLS)
    for number, row in enumerate(x[0] * SCALE):
        enter, forget, update, leave = (real(3 + gate) @ row + real(7 + gate) @ h for gate in range(4))
        c = sigmoid(forget) * c + sigmoid(enter) * np.tanh(update)
        h = sigmoid(leave) * np.tanh(c)
        assert np.abs(outputs_of(graph, results)[0][0, number] * SCALE - h).max() < 40 * SCALE


def test_functions_out_of_the_table() -> None:
    """Over all of int16 within four steps of the real functions, odd or symmetric to a step, never falling."""
    x = np.arange(-(2**15), 2**15)
    curves = [(sigmoid_of(x), 1 / (1 + np.exp(-x / 4096)))]
    curves += [(tanh_of(x, bits), np.tanh(x / 2.0 ** (15 - bits))) for bits in range(7)]
    for found, real in curves:
        assert np.abs(found - real * 32768).max() <= 4 and (np.diff(found) >= 0).all()
    mirrored = curves[0][0][1:] + curves[0][0][:0:-1]
    assert set(mirrored[x[1:] != 0].tolist()) <= {32767, 32768}


def _set(place: int, **values: Any) -> Any:
    """Change fields of a tensor, or of its quantization."""

    def change(model: Builder, op: Any) -> None:
        tensor = model.graph.tensors[op.inputs[place]]
        for name, value in values.items():
            setattr(tensor if hasattr(tensor, name) else tensor.quantization, name, value)

    return change


REFUSED16: dict[str, Any] = {
    "supported on int8 alone": lambda model, op: op.inputs.__setitem__(10, op.inputs[12]),
    "20 inputs: an LSTM has 24": lambda model, op: setattr(op, "inputs", op.inputs[:20]),
    "activation 0: on int16 only TANH": lambda model, op: setattr(op.builtinOptions, "fusedActivationFunction", 0),
    "a clip of 0.0001 is less than one step": lambda model, op: setattr(op.builtinOptions, "cellClip", 1e-4),
    "gate biases must be constant int64 (5,)": _set(12, type=2, shape=[10]),
    "is int16 with a zero point": _set(0, zeroPoint=[3]),
    "has shape ()": lambda model, op: setattr(model.graph.tensors[op.outputs[0]], "shape", None),
    "its output has the scale": _set(18, scale=[1e-3]),
    "must be a power of two": _set(19, scale=[3e-4]),
    "scaled they leave int32": _set(2, scale=[1e4]),
}


@pytest.mark.parametrize("words", REFUSED16)
def test_refused_on_int16(words: str) -> None:
    """What TensorFlow Lite Micro's kernel does not take, or overflows on, is one error."""
    with pytest.raises(ModelError, match=re.escape(words)):
        import_bytes(_model16(REFUSED16[words]), "bad.tflite")


def test_verify_on_int16(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """LiteRT refuses the model, so the built firmware is compared with the interpreter, and the user is told."""
    path = tmp_path / "lstm.tflite"
    path.write_bytes(_model16())
    capsys.readouterr()
    assert run(["verify", str(path), "--random", "6", "--sequence", "3", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["equal"] and "computed as TensorFlow Lite Micro does, LiteRT refuses it" in said.err


def _normalized(spoil: Any = lambda model, op: None, **options: Any) -> bytes:
    model = Builder()
    x = model.input((1, 3, 4), 0.03, 4)
    y = lstm(model, x, np.random.default_rng(3), CELLS, **{"norm_scale": 3e-5, **options})
    spoil(model, model.graph.operators[0])
    return model.build([y])


REFUSED_NORM: dict[str, Any] = {
    "coefficients of layer normalization must be constant int16 (5,), they are int32": lambda model, op: (
        op.inputs.__setitem__(20, op.inputs[12])
    ),
    "are there without the gate": lambda model, op: op.inputs.__setitem__(20, op.inputs[21]),
    "the sums that it normalizes have no quantization": lambda model, op: setattr(
        model.graph.tensors[op.intermediates[1]], "quantization", None
    ),
    "the scales differ by 2**": _set(21, scale=[100.0]),
}


@pytest.mark.parametrize("words", REFUSED_NORM)
def test_layer_normalization_is_refused(words: str) -> None:
    """Coefficients for gates that are not there, of another type, or so large that int32 overflows."""
    coupled = "without the gate" in words
    with pytest.raises(ModelError, match=re.escape(words)):
        import_bytes(_normalized(REFUSED_NORM[words], coupled=coupled), "bad.tflite")


def test_verify_layer_normalization(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The built firmware equals LiteRT over calls in a row, with a projection."""
    path = tmp_path / "lstm.tflite"
    path.write_bytes(_normalized(outputs=3))
    capsys.readouterr()
    assert run(["verify", str(path), "--random", "6", "--sequence", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["equal"]
