"""Operators on constants and operators that nobody reads leave the graph while a file is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as s

from mcuprune.errors import ModelError
from mcuprune.importers import folding
from mcuprune.importers.tflite import import_bytes
from mcuprune.ir.interpreter import run
from mcuprune.tflite.reference import ReferenceInterpreter
from tests.tflite_builder import Builder, random_int8


def _options(kind: type, **values: Any) -> Any:
    options = kind()
    for name, value in values.items():
        setattr(options, name, value)
    return options


def _shape_of(model: Builder, x: int) -> int:
    """SHAPE."""
    out = model.tensor((len(model.shape(x)),), np.int32)
    return model.op("SHAPE", [x], [out], _options(s.ShapeOptionsT, outType=s.TensorType.INT32))


def _element(model: Builder, x: int, index: int) -> int:
    """STRIDED_SLICE of one element of a vector, as a scalar."""
    places = [model.constant([n]) for n in (index, index + 1, 1)]
    out = model.tensor((), np.int32)
    return model.op("STRIDED_SLICE", [x, *places], [out], _options(s.StridedSliceOptionsT, shrinkAxisMask=1))


def _packed(model: Builder, parts: list[int]) -> int:
    """PACK of scalars."""
    out = model.tensor((len(parts),), np.int32)
    return model.op("PACK", parts, [out], _options(s.PackOptionsT, axis=0, valuesCount=len(parts)), 2)


def _reshaped_by(model: Builder, x: int, shape: int, out_shape: tuple[int, ...]) -> int:
    out = model.tensor(out_shape, np.int8, 0.1, 3)
    return model.op("RESHAPE", [x, shape], [out], s.ReshapeOptionsT())


def shapes_in_the_graph() -> tuple[Builder, list[int]]:
    """What a converter leaves of a batch size: the shape of a RESHAPE out of SHAPE, STRIDED_SLICE and PACK, a state of
    zeros made by FILL and QUANTIZE, and a sum that nobody reads."""
    model = Builder()
    x = model.input((1, 4, 6), 0.1, 3)
    batch = _element(model, _shape_of(model, x), 0)
    y = _reshaped_by(model, x, _packed(model, [batch, model.constant(-1)]), (1, 24))
    zero = model.constant(0.0, np.float32)
    filled = model.tensor((1, 24), np.float32)
    model.op("FILL", [_packed(model, [batch, model.constant(24)]), zero], [filled], s.FillOptionsT())
    state = model.quantize(filled, 0.2, -5)
    model.add(y, y, 0.3)
    return model, [model.add(y, state, 0.2, 1)]


def test_shapes_and_states_fold(rng):
    """Of ten operators, RESHAPE and ADD are left; they are the reference's."""
    model, outputs = shapes_in_the_graph()
    content = model.build(outputs)
    graph = import_bytes(content, "test.tflite")
    assert [op.kind for op in graph.ops] == ["RESHAPE", "ADD"]
    state = graph.tensor(graph.ops[1].inputs[1])
    assert state.data is not None and (state.data == -5).all()
    layers = [op.outputs[0] for op in graph.ops]
    with ReferenceInterpreter(content, layers=layers) as reference:
        for _ in range(5):
            sample = [random_int8(rng, (1, 4, 6))]
            ours, theirs = run(graph, sample), reference.run_layers(sample)
            assert all(np.array_equal(ours[i], theirs[i]) for i in layers)


def test_shapes_in_int64(rng):
    """SHAPE gives what its output's type says."""
    model = Builder()
    x = model.input((1, 5, 2), 0.1, 3)
    out = model.tensor((3,), np.int64)
    shape = model.op("SHAPE", [x], [out], _options(s.ShapeOptionsT, outType=s.TensorType.INT64))
    tiled = model.tensor((1, 25, 4), np.int8, 0.1, 3)
    model.op("TILE", [x, shape], [tiled], s.TileOptionsT())
    graph = import_bytes(model.build([tiled]), "test.tflite")
    assert [op.kind for op in graph.ops] == ["GATHER"]


def test_a_shape_that_is_computed_is_refused():
    """A shape out of the model's inputs is no constant; the hint says what to do."""
    model = Builder()
    x, wanted = model.input((1, 6), 0.1, 3), model.input((1,), None, 0, np.int32)
    shape = _packed(model, [_element(model, wanted, 0), model.constant(2)])
    with pytest.raises(ModelError, match="must be constant") as error:
        import_bytes(model.build([_reshaped_by(model, x, shape, (3, 2))]), "test.tflite")
    assert "fixed shapes" in str(error.value.hint)


def test_an_output_of_constants_stays(rng):
    """What makes an output of the model runs, though it is constant."""
    model = Builder()
    x = model.input((1, 3), 0.1, 3)
    a, b = (model.tensor((1, 2), np.int8, 0.1, 3, data=random_int8(rng, (1, 2))) for _ in range(2))
    out = model.tensor((1, 4), np.int8, 0.1, 3)
    model.op("CONCATENATION", [a, b], [out], _options(s.ConcatenationOptionsT, axis=1), 2)
    content = model.build([out, model.relu(x, 0.1, 3)])
    graph = import_bytes(content, "test.tflite")
    assert [op.kind for op in graph.ops] == ["CONCATENATION", "RELU"]
    sample = [random_int8(rng, (1, 3))]
    with ReferenceInterpreter(content) as reference:
        assert np.array_equal(run(graph, sample)[out], reference.run_layers(sample)[out])


def test_constants_that_fill_the_memory_are_refused(monkeypatch):
    """A file of a few bytes cannot make constants of gigabytes."""
    model, outputs = shapes_in_the_graph()
    monkeypatch.setattr(folding, "MAX_FOLDED_BYTES", 100)
    with pytest.raises(ModelError, match="more than 100 bytes of constants"):
        import_bytes(model.build(outputs), "test.tflite")
