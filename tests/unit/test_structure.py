"""The form of a `.tflite` file: offsets, vectors and texts stay inside, small files do not fill the memory."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as s

from mcuprune.errors import ModelError
from mcuprune.tflite.schema import parse_model
from mcuprune.tflite.structure import LAYOUTS, check_structure, fields_of, places
from tests.models import every_operator
from tests.tflite_builder import Builder, random_int8


@pytest.fixture(scope="module")
def content() -> bytes:
    """A small model with options, names, scales and constants."""
    b = Builder()
    rng = np.random.default_rng(1)
    y = b.conv_2d(b.input((1, 3, 3, 2), 0.1), random_int8(rng, (2, 1, 1, 2)), weight_scales=[0.1, 0.2])
    return b.build([b.reshape(y, (1, 18))])


def test_sound_files(content):
    """A model passes; the walk meets its tensors and options."""
    for model in (content, every_operator()):
        check_structure(model)
    paths = {place.path for place in places(content)}
    assert {"subgraphs[0].tensors[2].quantization.scale", "subgraphs[0].operators[0].builtinOptions.StrideW"} <= paths
    assert "subgraphs[0].operators[1].builtinOptions.NewShape" in paths


def test_cut_anywhere(content):
    """A file that ends too early is one error, wherever it ends."""
    last = max(place.start + place.width * place.items for place in places(content))
    for size in range(8, last):
        with pytest.raises(ModelError, match=f"file of {size} bytes is (broken|cut)") as caught:
            parse_model(content[:size], "x.tflite")
        assert caught.value.where == "x.tflite" and "copied whole" in caught.value.hint


@pytest.mark.parametrize("word", [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_wild_words_anywhere(content, word):
    """Any word of the file replaced by a wild one is an error, or a file that unpacks."""
    refused = 0
    for start in range(8, len(content) - 3):
        changed = content[:start] + word.to_bytes(4, "little") + content[start + 4 :]
        try:
            parse_model(changed, "x.tflite")
        except ModelError as error:
            refused += 1
            assert error.where == "x.tflite"
    assert refused > len(content) // 4


def field(content: bytes, path: str, what: str) -> int:
    """Where a field lies."""
    return next(place.start for place in places(content) if (place.path, place.what) == (path, what))


def broken(content: bytes, start: int, value: int, width: int = 4) -> bytes:
    return content[:start] + (value % 256**width).to_bytes(width, "little") + content[start + width :]


@pytest.mark.parametrize(
    ("path", "what", "value", "width", "words"),
    [
        ("subgraphs[0].tensors", "length", 2**31, 4, "subgraphs[0].tensors lies at"),
        ("subgraphs[0].tensors[1].shape", "length", 2**30, 4, "subgraphs[0].tensors[1].shape lies at"),
        ("subgraphs[0].tensors[1].name", "offset", 0, 4, "the offset of subgraphs[0].tensors[1].name"),
        ("subgraphs[0].tensors[1].name", "vector", 0x74747474, 4, "the text subgraphs[0].tensors[1].name"),
        ("subgraphs[0].operators[0]", "table", 2**30, 4, "subgraphs[0].operators[0] lies at"),
        ("subgraphs[0].operators[0]", "vtable", 7, 2, "subgraphs[0].operators[0] has a vtable of 7 bytes"),
        ("buffers[1].data", "length", 2**20, 4, "buffers[1].data lies at"),
    ],
)
def test_places_are_named(content, path, what, value, width, words):
    """The error names the table or field and where it lies."""
    with pytest.raises(ModelError) as caught:
        parse_model(broken(content, field(content, path, what), value, width), "x.tflite")
    assert words in caught.value.what


def test_misaligned(content):
    """An offset to a place that C++ readers could not read is refused, as LiteRT does."""
    start = field(content, "subgraphs[0].tensors[1].shape", "offset")
    old = int.from_bytes(content[start : start + 4], "little")
    with pytest.raises(ModelError, match="not at a multiple of 4"):
        parse_model(broken(content, start, old - 1), "x.tflite")


def repeated(b: flatbuffers.Builder, item: int, count: int) -> int:
    """A vector of one offset, many times."""
    b.StartVector(4, count, 4)
    for _ in range(count):
        b.PrependUOffsetTRelative(item)
    return b.EndVector()


def bomb(tensor: s.TensorT, tensors: int, subgraphs: int) -> bytes:
    """A file that refers to one tensor so many times from one subgraph, and to that so many times."""
    b = flatbuffers.Builder(0)
    vector = repeated(b, tensor.Pack(b), tensors)
    s.SubGraphStart(b)
    s.SubGraphAddTensors(b, vector)
    vector = repeated(b, s.SubGraphEnd(b), subgraphs)
    s.ModelStart(b)
    s.ModelAddVersion(b, 3)
    s.ModelAddSubgraphs(b, vector)
    b.Finish(s.ModelEnd(b), b"TFL3")
    return bytes(b.Output())


@pytest.mark.parametrize(
    ("tensor", "tensors", "subgraphs", "words"),
    [
        (s.TensorT(), 20_000, 20_000, "more than 50000 tables"),
        (s.TensorT(shape=[1] * 100_000), 1000, 1, "more than 4194304 numbers"),
        (s.TensorT(name="x" * 100_000), 1000, 1, "more than 4194304 numbers"),
    ],
)
def test_bombs(tensor, tensors, subgraphs, words):
    """A small file that would unpack to gigabytes is refused in a moment, with little memory."""
    made = bomb(tensor, tensors, subgraphs)
    assert len(made) < 500_000
    began = time.process_time()
    with pytest.raises(ModelError, match=words):
        parse_model(made, "x.tflite")
    assert time.process_time() - began < 5
    tracemalloc.start()
    with pytest.raises(ModelError, match=words):
        parse_model(made, "x.tflite")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_largest_file():
    """A file of as many tables as are allowed is read in a moment."""
    began = time.process_time()
    assert len(parse_model(bomb(s.TensorT(), 49_000, 1), "x.tflite").subgraphs[0].tensors) == 49_000
    assert time.process_time() - began < 5


class Recorder:
    """Stands for a builder: what a function of the schema adds."""

    def __init__(self) -> None:
        self.added: list[tuple[str, int]] = []

    def __getattr__(self, method: str) -> Any:
        return lambda slot, *_: self.added.append((method, slot))


@pytest.mark.parametrize("table", LAYOUTS)
def test_layouts_follow_the_schema(table):
    """Slots and widths of the tables that are listed are those of the schema's module."""
    listed = {field.slot: field for field in fields_of(table)}
    found = {}
    for name, add in vars(s).items():
        if name.startswith(f"{table}Add"):
            recorder = Recorder()
            add(recorder, 0)
            ((method, slot),) = recorder.added
            found[slot] = (name.removeprefix(f"{table}Add").lower(), method)
    assert {slot: field.name.lower() for slot, field in listed.items()} == {n: name for n, (name, _) in found.items()}
    for slot, (_, method) in found.items():
        digits = "".join(c for c in method if c.isdigit()) or "8"
        width = 0 if "UOffset" in method else int(digits) // 8
        assert width == (listed[slot].width if listed[slot].kind == "scalar" else 0)
