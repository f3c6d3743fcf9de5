"""Board against reference: what is equal, and the first place that differs."""

from __future__ import annotations

import dataclasses
import json
import zlib
from contextlib import contextmanager

import numpy as np
import pytest
from tiny import tiny_graph

from mcuprune.check import score, verify
from mcuprune.check.compare import compare
from mcuprune.check.session import require_model
from mcuprune.data import Dataset
from mcuprune.errors import CheckError, DataError, LinkError
from mcuprune.inputs import as_tensors, random_inputs
from mcuprune.ir import interpreter
from mcuprune.link.client import InferResult
from mcuprune.link.protocol import Counter, Hello, Stats
from mcuprune.tflite.reference import Reply

GRAPH = tiny_graph()
ROWS = random_inputs(GRAPH, 6, 1)
HELLO = Hello(
    1, 1024, 4096, b"\x11" * 20, bytes.fromhex(GRAPH.sha256), 105, 4, 999, 7, Counter.CYCLES, 25_000_000, "toy", "tiny"
)


class FakeReference:
    """The numpy interpreter in the place of LiteRT."""

    def __init__(self, path=None, kept=None) -> None:
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def run_layers(self, inputs, earlier=()):
        return interpreter.run(GRAPH, inputs)

    def layer_crcs(self, inputs, earlier=()):
        layers = self.run_layers(inputs)
        return [zlib.crc32(layers[op.outputs[0]].tobytes()) for op in GRAPH.ops]

    def stream(self, samples, want="outputs+crcs", sequence=1):
        for sample in samples:
            outputs = [self.run_layers(sample)[i] for i in GRAPH.outputs]
            yield Reply(outputs, self.layer_crcs(sample) if "crcs" in want else [])


class FakeClient:
    """A board that computes rightly but for one spoiled element; `times` inferences are spoiled."""

    board = HELLO

    def __init__(self, sample=None, layer=0, element=0, times=10**9) -> None:
        self.sample, self.layer, self.element, self.times = sample, layer, element, times
        self.stopped = b""
        self.reads = 0

    def infer(self, data, *, layers=False, stop_layer=None, keep_state=False, again=False):
        outputs = [
            np.array(interpreter.run(GRAPH, as_tensors(np.frombuffer(data, np.uint8), GRAPH))[i])
            for i in (op.outputs[0] for op in GRAPH.ops)
        ]
        if self.sample is not None and data == ROWS[self.sample].tobytes() and self.times > 0:
            self.times -= 1
            for i in {self.layer, len(outputs) - 1}:
                flat = outputs[i].reshape(-1)
                flat[self.element if i == self.layer else -1] ^= 1
        run = len(outputs) if stop_layer is None else stop_layer + 1
        self.stopped = outputs[run - 1].tobytes()
        crcs = tuple(zlib.crc32(output.tobytes()) for output in outputs[:run])
        return InferResult(7 + data[0], run, b"" if stop_layer else self.stopped, crcs if layers else None)

    def read_layer(self, size):
        self.reads += 1
        return self.stopped[:size]

    def stats(self):
        return Stats(8192, 700, 999)


@pytest.mark.parametrize("layers", [False, True])
def test_equal(layers):
    """Equal bytes: nothing is fetched, progress counts up."""
    client, seen = FakeClient(), []
    found = compare(client, FakeReference(), GRAPH, ROWS, layers=layers, progress=lambda *at: seen.append(at))
    assert found.equal and found.bit_exact == 6 and found.first_difference is None and client.reads == 0
    assert found.layer_equal == ((True,) * 7 if layers else None)
    assert seen == [(i + 1, 6) for i in range(6)]


@pytest.mark.parametrize("layers", [False, True])
@pytest.mark.parametrize(("layer", "element"), [(0, 0), (2, 100), (5, 2), (6, 1)])
def test_first_difference(layers, layer, element):
    """The first layer that differs is found, with its first element and both values."""
    found = compare(FakeClient(3, layer, element), FakeReference(), GRAPH, ROWS, layers=layers)
    first, op = found.first_difference, GRAPH.ops[layer]
    value = interpreter.run(GRAPH, as_tensors(ROWS[3], GRAPH))[op.outputs[0]].reshape(-1)[element]
    assert (first.sample, first.layer, first.op, first.name, first.element) == (3, layer, op.kind, op.name, element)
    assert (first.expected, first.got) == (value, value ^ 1) and first.repeated
    assert first.different == 1 and first.size == GRAPH.output_of(op).size
    assert not found.equal and found.bit_exact == 5
    if layers:
        assert [i for i, same in enumerate(found.layer_equal) if not same] == sorted({layer, 6})


@pytest.mark.parametrize("layers", [False, True])
def test_a_difference_that_does_not_come_back(layers):
    """A board that differs once is still reported, from the output of the first run."""
    found = compare(FakeClient(2, 0, 5, times=1), FakeReference(), GRAPH, ROWS, layers=layers)
    first = found.first_difference
    assert not found.equal and not first.repeated
    assert (first.sample, first.layer, first.name, first.element) == (2, 6, "probabilities", 3)


@pytest.mark.parametrize("layers", [False, True])
def test_streamed_layers_are_known_by_their_crc(layers):
    """Of a layer that never lies in memory as a whole, a difference is found, but no values are fetched."""
    found = compare(FakeClient(1, 2, 0), FakeReference(), GRAPH, ROWS, layers=layers, streamed=frozenset({2}))
    first = found.first_difference
    assert (first.sample, first.layer, first.expected, first.got, first.repeated) == (1, 2, "unknown", "unknown", True)
    assert "made some rows at a time: with --no-strips" in str(first)
    found = compare(FakeClient(1, 3, 0), FakeReference(), GRAPH, ROWS, layers=layers, streamed=frozenset({2}))
    assert found.first_difference.layer == 3 and found.first_difference.expected != "unknown"


def test_number_of_layers():
    """A board with fewer layers than the model is refused."""

    class Short(FakeClient):
        def infer(self, data, **options):
            result = super().infer(data, **options)
            return InferResult(1, 6, result.output, (result.layer_crcs or ())[:6])

    with pytest.raises(CheckError, match="6 layers, the reference 7, the model 7"):
        compare(Short(), FakeReference(), GRAPH, ROWS, layers=True)


@pytest.fixture
def board(monkeypatch):
    """Sessions give FakeClient(*board)."""
    arguments = []

    @contextmanager
    def session(opener, graph, options):
        yield FakeClient(*arguments)

    monkeypatch.setattr(score, "session", session)
    monkeypatch.setattr(verify, "session", session)
    return arguments


def labelled(labels) -> Dataset:
    return Dataset(ROWS.view(np.int8).reshape(6, 7, 5, 3), np.array(labels), None, None, "toy.npz", tuple("abcd"))


def test_verify(board):
    """verify's JSON has the stable keys, and names every layer."""
    result = verify.verify(GRAPH, None, None, ROWS, reference=FakeReference)
    assert result.to_json()["equal"] is True and result.to_json()["first_difference"] is None
    assert result.to_json()["layers"][1] == {"index": 1, "op": "DEPTHWISE_CONV_2D", "name": "ds_1_dw", "equal": True}
    board[:] = [0, 4, 1]
    result = json.loads(json.dumps(verify.verify(GRAPH, None, None, ROWS, reference=FakeReference).to_json()))
    assert not result["equal"] and result["inputs"] == 6 and result["first_difference"]["name"] == "flat"
    assert [layer["equal"] for layer in result["layers"]] == [True] * 4 + [False, True, False]


def test_check(board):
    """check scores both sides; equal runs give equal results."""
    chosen = [int(interpreter.run(GRAPH, as_tensors(r, GRAPH))[GRAPH.outputs[0]].argmax()) for r in ROWS]
    labels = [*chosen[:4], (chosen[4] + 1) % 4, chosen[5]]
    found = score.check(GRAPH, None, None, labelled(labels), layers=True, reference=FakeReference)
    again = score.check(GRAPH, None, None, labelled(labels), layers=True, reference=FakeReference)
    results = json.loads(json.dumps(found.to_json()))["results"]
    assert results == json.loads(json.dumps(again.to_json()))["results"]
    assert (results["samples"], results["accuracy"], results["reference_accuracy"]) == (6, 5 / 6, 5 / 6)
    assert results["bit_exact"] == results["agreement"] == 6 and results["first_difference"] is None
    assert np.trace(results["confusion"]) == 5 and results["class_names"] == list("abcd")
    assert found.to_json()["build_id"] == "11" * 20 and found.to_json()["model_sha256"] == "ab" * 32
    assert found.timing.min_ticks <= found.timing.median_ticks <= found.timing.max_ticks
    assert found.faults(0.8) == () and found.faults(0.9) == ("accuracy 0.8333 is under 0.9",)


def test_check_that_differs(board):
    """A byte that differs is a fault of its own."""
    board[:] = [1, 2, 0]
    found = score.check(GRAPH, None, None, labelled([0] * 6), samples=3, reference=FakeReference)
    assert found.faults() == ("1 of 3 outputs differ from the reference",) and not found.equal
    assert found.to_json()["results"]["first_difference"]["layer"] == 2


def test_check_refuses_data_first():
    """Data that do not fit are refused before any board is opened."""
    with pytest.raises(DataError, match="label 4 of sample 5"):
        score.check(GRAPH, None, None, labelled([0, 1, 2, 3, 0, 4]), reference=FakeReference)


@pytest.mark.parametrize(
    ("changes", "build_id", "words"),
    [
        ({}, b"\x22" * 20, "another build: 111111111111 of 'tiny', not 222222222222"),
        (
            {"model_sha256": bytes(32)},
            None,
            "another model: 'tiny' .sha256 none., not tiny.tflite .sha256 abababababab",
        ),
        ({"layers": 6}, None, r"\(105, 4, 6\) on the board and \(105, 4, 7\)"),
    ],
)
def test_wrong_board(changes, build_id, words):
    """A board with another build, model or shape is refused with both sides named."""
    require_model(HELLO, GRAPH, b"\x11" * 20, "port")
    with pytest.raises(LinkError, match=words):
        require_model(dataclasses.replace(HELLO, **changes), GRAPH, build_id, "port")
