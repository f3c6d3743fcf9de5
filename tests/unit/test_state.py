"""Models that keep state from call to call: variables of the file, the interpreter, the generated C."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.errors import ModelError
from mcuprune.importers.tflite import import_bytes
from mcuprune.ir import interpreter
from mcuprune.tflite.reference import ReferenceInterpreter
from tests.recurrent import lstm, svdf
from tests.tflite_builder import Builder, random_int8
from tests.variables import StateBuilder, delay_line

CALLS = 7


def calls_of(graph, rng, count=CALLS):
    """Inputs of calls in a row."""
    return [[random_int8(rng, graph.tensor(i).shape) for i in graph.inputs] for _ in range(count)]


def test_kept_values_equal_the_reference(rng):
    """Every layer of calls in a row equals LiteRT's; a reset begins again."""
    content = delay_line()
    graph = import_bytes(content, "line.tflite")
    assert [state.name for state in graph.states] == ["window", "sum"]
    calls, state = calls_of(graph, rng), interpreter.initial_state(graph)
    layers = [op.outputs[0] for op in graph.ops]
    with ReferenceInterpreter(content, layers=layers) as reference:
        seen = []
        for number, inputs in enumerate(calls):
            ours, state = interpreter.step(graph, inputs, state)
            theirs = reference.run_layers(inputs, calls[:number])
            assert all((ours[i] == theirs[i]).all() for i in layers)
            seen.append([ours[i].tobytes() for i in graph.outputs])
        replies = reference.stream([*calls, *calls], "outputs", CALLS)
        assert [[a.tobytes() for a in reply.outputs] for reply in replies] == seen + seen
        alone = [[a.tobytes() for a in reply.outputs] for reply in reference.stream(calls, "outputs")]
    results = [interpreter.run(graph, inputs) for inputs in calls]
    assert alone == [[found[i].tobytes() for i in graph.outputs] for found in results] != seen


@pytest.mark.parametrize("sequence", [1, 3])
def test_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str], sequence: int) -> None:
    """The built firmware keeps what LiteRT keeps, over calls in a row and from the first state."""
    path = tmp_path / "line.tflite"
    path.write_bytes(delay_line())
    assert run(["verify", str(path), "--random", "8", "--sequence", str(sequence), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["inputs"] == 8


def test_a_difference_in_the_middle_of_calls(tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What differs only because of earlier calls is found with its values: both sides take those calls again."""
    from mcuprune.emit import context

    path = tmp_path / "line.tflite"
    path.write_bytes(delay_line())
    real = context._state

    def forgetful(plan):
        found = real(plan)
        return {**found, "copies": [copy for copy in found["copies"] if "s + 0," in copy]}

    monkeypatch.setattr(context, "_state", forgetful)  # the running sum stays as it was at first
    assert run(["verify", str(path), "--random", "8", "--sequence", "4", "--json"]) == 1
    first = json.loads(capsys.readouterr().out)["first_difference"]
    assert (first["sample"], first["op"], first["repeated"]) == (1, "ADD", True)
    assert first["expected"] != first["got"]


def test_generated_c(tmp_path: Path) -> None:
    """One buffer outside of the arena, its first values, a function that brings them back."""
    path, folder = tmp_path / "line.tflite", tmp_path / "made"
    path.write_bytes(delay_line())
    assert run(["generate", str(path), "--board", "host", "-o", str(folder)]) == 0
    code, header = ((folder / "model" / name).read_text() for name in ("line.c", "line.h"))
    assert "#define LINE_STATE_BYTES 24u" in header and "void line_reset(void);" in header
    assert "static _Alignas(8) uint8_t line_state[LINE_STATE_BYTES];" in code
    assert "    3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 0, 0, 0,\n    5, 249, 0," in code
    assert "(const int8_t *)(s + 0)" in code and "    /* Kept for the next call. */\n    memcpy(s + 0, a + " in code


def variable_model(change) -> bytes:
    """x goes through a variable as `change` makes it: gets model and input, returns the output."""
    model = StateBuilder()
    x = model.input((1, 4), 0.1, 1)
    return model.build([change(model, x)])


def test_read_after_assignment_is_the_value(rng):
    """A variable that is assigned before it is read keeps nothing."""

    def change(model, x):
        model.variable("v", np.zeros((1, 4), np.int8))
        model.call_once()
        model.assign("v", x)
        return model.relu(model.read("v", x), 0.1, 1)

    graph = import_bytes(variable_model(change), "after.tflite")
    assert graph.states == () and graph.ops[0].inputs == graph.inputs


def test_a_variable_that_nothing_assigns_is_a_constant(rng):
    """Its first value is folded into the graph."""

    def change(model, x):
        model.variable("v", np.array([[1, 2, 3, 4]], np.int8))
        model.call_once()
        return model.add(x, model.read("v", x), 0.2, 0)

    content = variable_model(change)
    graph = import_bytes(content, "constant.tflite")
    assert graph.states == () and graph.tensor(graph.ops[0].inputs[1]).data is not None
    inputs = calls_of(graph, rng, 1)[0]
    with ReferenceInterpreter(content) as reference:
        assert (reference.run(inputs)[0] == interpreter.run(graph, inputs)[graph.outputs[0]]).all()


def two_states(crossed: bool) -> bytes:
    """x goes into a, a into b; the output is their sum. Crossed: b into a, too."""

    def change(model, x):
        model.variable("b", np.full((1, 4), 9, np.int8))
        model.variable("a", np.full((1, 4), 5, np.int8))
        model.call_once()
        b, a = model.read("b", x), model.read("a", x)
        model.assign("a", b if crossed else x)
        model.assign("b", a)
        return model.add(model.add(a, b, 0.2, 0), x, 0.3, 0)

    return variable_model(change)


def test_a_kept_value_becomes_another(tmp_path: Path) -> None:
    """b is what a was: it is copied before a changes."""
    path = tmp_path / "two.tflite"
    path.write_bytes(two_states(crossed=False))
    assert run(["verify", str(path), "--random", "8", "--sequence", "8"]) == 0


def test_kept_values_that_exchange_places_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One clear sentence."""
    path = tmp_path / "two.tflite"
    path.write_bytes(two_states(crossed=True))
    assert run(["generate", str(path), "--board", "host", "-o", str(tmp_path / "made")]) == 3
    assert "kept values exchange their places" in capsys.readouterr().err


FAULTS = {
    "read before it has a value": lambda m, x: (m.variable("v", None), m.relu(m.read("v", x), 0.1))[1],
    "is no handle of a variable": lambda m, x: (m.handles.update(v=x), m.relu(m.read("v", x), 0.1))[1],
    "its value as it is read, written and at first differ": lambda m, x: (
        m.variable("v", np.zeros((1, 3), np.int8)),
        m.call_once(),
        m.add(m.read("v", x), x, 0.1),
        m.assign("v", x),
    )[2],
    "its new value is a constant": lambda m, x: (
        m.variable("v", np.zeros((1, 4), np.int8)),
        m.call_once(),
        m.add(m.read("v", x), x, 0.1),
        m.assign("v", m.tensor((1, 4), np.int8, 0.1, 1, data=np.ones((1, 4), np.int8))),
    )[2],
}


@pytest.mark.parametrize("words", FAULTS)
def test_broken_variables(words):
    """Each is one error of the model's."""
    with pytest.raises(ModelError, match=words):
        import_bytes(variable_model(FAULTS[words]), "bad.tflite")


def test_a_slice_of_all_of_a_kept_value_is_a_copy(tmp_path: Path) -> None:
    """It is what the value was before the call: as an output, and where two values exchange their places."""

    def whole(model, x):
        ends = model.constant((0, 0)), model.constant((1, -1))
        return model.op("SLICE", [x, *ends], [model.tensor((1, 4), np.int8, 0.1, 1)])

    def exchanged(model, x):
        model.variable("b", np.full((1, 4), 9, np.int8))
        model.variable("a", np.full((1, 4), 5, np.int8))
        model.call_once()
        b, a = model.read("b", x), model.read("a", x)
        model.assign("a", whole(model, b))
        model.assign("b", whole(model, model.reshape(a, (1, 4))))
        return model.add(model.add(a, b, 0.2, 0), x, 0.3, 0)

    path = tmp_path / "whole.tflite"
    path.write_bytes(variable_model(exchanged))
    assert run(["verify", str(path), "--random", "8", "--sequence", "8"]) == 0

    def shown(model, x):
        model.variable("v", np.zeros((1, 4), np.int8))
        model.call_once()
        old = model.read("v", x)
        model.assign("v", model.add(old, x, 0.1, 1))
        return whole(model, old)

    path.write_bytes(variable_model(shown))
    assert run(["verify", str(path), "--random", "8", "--sequence", "8"]) == 0


def test_a_kept_value_as_output_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The value of before the call lies outside of the arena."""

    def change(model, x):
        model.variable("v", np.zeros((1, 4), np.int8))
        model.call_once()
        old = model.read("v", x)
        model.assign("v", model.add(old, x, 0.1))
        return model.reshape(old, (1, 2, 2))

    path = tmp_path / "out.tflite"
    path.write_bytes(variable_model(change))
    assert run(["generate", str(path), "--board", "host", "-o", str(tmp_path / "made")]) == 3
    assert "is a kept value as it was before the call" in capsys.readouterr().err


def two_signatures(named: tuple[str, ...]) -> bytes:
    """Subgraph 0 adds x to itself, subgraph 1 keeps the sum of its inputs; names for them in this order."""
    model = StateBuilder()
    x = model.input((1, 4), 0.1, 1)
    model.graph.outputs = [model.add(x, x, 0.2, 0)]
    model.subgraph("second")
    x = model.input((1, 6), 0.1, 1)
    model.variable("total", np.full((1, 6), -3, np.int8))
    model.call_once()
    total = model.add(model.read("total", x), x, 0.1, 1)
    model.assign("total", total)
    model.graph.outputs = [model.relu(total, 0.1, 1)]
    for number, key in enumerate(named):
        graph = model.model.subgraphs[number % 2]
        model.signature(key, number % 2, {"x": graph.inputs[0]}, {"y": graph.outputs[0]})
    return model.pack()


def test_signatures_name_functions(rng):
    """Each by its name; without one, serving_default; files without signatures have the first subgraph."""
    content = two_signatures(("serving_default", "sum"))
    assert import_bytes(content, "s").tensor(0).shape == (1, 4)
    graph = import_bytes(content, "s", "sum")
    assert graph.tensor(graph.inputs[0]).shape == (1, 6) and (graph.subgraph, graph.signature) == (1, "sum")
    assert import_bytes(two_signatures(()), "s").signature == ""
    for names, asked, words in [
        (("one", "two"), None, "2 signatures: one, two"),
        (("one", "two"), "three", "no signature 'three'"),
        ((), "one", "no signature 'one'"),
    ]:
        with pytest.raises(ModelError, match=words):
            import_bytes(two_signatures(names), "s", asked)


@pytest.mark.parametrize("name", ["double", "sum"])
def test_verify_a_signature(tmp_path: Path, name: str) -> None:
    """The function that a signature names is generated and compared, a second subgraph with state, too."""
    path = tmp_path / "signed.tflite"
    path.write_bytes(two_signatures(("double", "sum")))
    assert run(["verify", str(path), "--random", "6", "--sequence", "3", "--signature", name]) == 0


def test_a_folder_remembers_its_signature(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """check and profile take the function that was generated."""
    path, folder = tmp_path / "signed.tflite", tmp_path / "made"
    path.write_bytes(two_signatures(("double", "sum")))
    assert run(["generate", str(path), "--board", "host", "-o", str(folder), "--signature", "sum"]) == 0
    assert run(["build", str(folder)]) == 0
    np.savez(tmp_path / "d.npz", x=np.zeros((3, 6), np.int8), y=np.arange(3))
    capsys.readouterr()
    assert run(["check", str(folder), "--data", str(tmp_path / "d.npz"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["results"]["bit_exact"] == 3


def recurrent_model(kind: str) -> bytes:
    """A float input, quantized, a recurrent layer, and what makes scores of it."""
    rng, model = np.random.default_rng(3), Builder()
    if kind == "svdf":
        x = model.quantize(model.input((1, 6), dtype=np.float32), 0.05, 4)
        y = svdf(model, svdf(model, x, rng, 8, 2, 5, reach=3000), rng, 6, 1, 3, scales=(0.01, 1e-3, 1e-4, 0.05))
    else:
        x = model.quantize(model.input((1, 2, 4), dtype=np.float32), 0.03, 4)
        y = lstm(model, lstm(model, x, rng, 6, 3, peephole=True), rng, 5, coupled=True)
    return model.build([y])


@pytest.mark.parametrize("kind", ["svdf", "lstm"])
def test_verify_recurrent_layers(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Two layers one after the other, calls in a row: every layer equals LiteRT's."""
    path = tmp_path / f"{kind}.tflite"
    path.write_bytes(recurrent_model(kind))
    assert run(["verify", str(path), "--random", "12", "--sequence", "6", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["equal"]


def test_states_of_recurrent_layers_begin_at_zero(rng):
    """int16 at 0, int8 at the zero point."""
    graph = import_bytes(recurrent_model("lstm"), "lstm.tflite")
    assert [(s.initial.dtype.name, s.initial.min(), s.initial.max()) for s in graph.states] == [
        ("int8", 3, 3),
        ("int16", 0, 0),
    ] * 2
    assert [len(op.outputs) for op in graph.ops] == [1, 3, 3]


def _spoil(change) -> bytes:
    """An LSTM model with something changed: gets the builder and its operator."""
    model = Builder()
    x = model.input((1, 2, 4), 0.03, 4)
    y = lstm(model, x, np.random.default_rng(3), 5)
    change(model, model.graph.operators[0])
    return model.build([y])


def _set(tensor_of, **values):
    """Change fields of a tensor, or of its quantization."""

    def change(model, op):
        tensor = model.graph.tensors[tensor_of(op)]
        for name, value in values.items():
            setattr(tensor if hasattr(tensor, name) else tensor.quantization, name, value)

    return change


LSTM_FAULTS = {
    "must be a variable tensor of its own": _set(lambda op: op.inputs[18], isVariable=False),
    "must be a power of two": _set(lambda op: op.inputs[19], scale=[0.0003]),
    "its state must be int16 of 5 elements": _set(lambda op: op.inputs[19], type=9),
    "weights must be constant int8 (5, 4)": _set(lambda op: op.inputs[2], shape=[4, 5]),
    "must have one scale and zero point 0": _set(lambda op: op.inputs[6], zeroPoint=[3]),
    "weights and biases of the input gate are there in part": lambda m, op: op.inputs.__setitem__(1, -1),
    "coefficients of layer normalization must be constant int16 (5,), they are absent": lambda m, op: (
        op.inputs.__setitem__(21, op.inputs[12])
    ),
    "4 intermediates: an LSTM has 5": lambda m, op: setattr(op, "intermediates", op.intermediates[:4]),
    "its hidden values have no quantization": lambda m, op: setattr(
        m.graph.tensors[op.intermediates[4]], "quantization", None
    ),
    "projection biases are there without projection weights": lambda m, op: op.inputs.__setitem__(17, op.inputs[12]),
    "clips -1.0 and 0.0": lambda m, op: setattr(op.builtinOptions, "cellClip", -1.0),
}


@pytest.mark.parametrize("words", LSTM_FAULTS)
def test_lstm_of_another_form_is_refused(words):
    """Each is one error that says what is wrong."""
    with pytest.raises(ModelError, match=re.escape(words)):
        import_bytes(_spoil(LSTM_FAULTS[words]), "bad.tflite")
