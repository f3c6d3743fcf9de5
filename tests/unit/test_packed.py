"""Constants that the file packs: hostile sparsity is refused, DENSIFY is folded, int4 is read in constants alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as s

from mcuprune.errors import ModelError
from mcuprune.importers.tflite import import_bytes
from tests.packed_constants import CSR, DENSE, make_int4, make_sparse, through_densify
from tests.tflite_builder import Builder

WEIGHTS = np.zeros((6, 8), np.int8)
WEIGHTS_AT = 2  # tensor index in the models here
WEIGHTS[[0, 0, 2, 5], [1, 6, 3, 0]] = 3, -4, 5, 127


def sparse_model() -> tuple[Builder, int]:
    """A fully-connected layer with sparse weights in blocks of 2 columns, and its output."""
    model = Builder()
    y = model.fully_connected(model.input((1, 8), 0.1), WEIGHTS)
    make_sparse(model, WEIGHTS_AT, (0, 1, 2), {1: 2}, (DENSE, CSR))
    return model, y


@pytest.mark.parametrize("behind", [False, True])
def test_sparse_weights_are_read(behind):
    """Sparse weights are what they stand for, with DENSIFY between them and their layer and without."""
    model, y = sparse_model()
    if behind:
        through_densify(model, 0, 1)
    graph = import_bytes(model.build([y]), "sparse.tflite")
    assert [op.kind for op in graph.ops] == ["FULLY_CONNECTED"]
    np.testing.assert_array_equal(graph.tensors[graph.ops[0].inputs[1]].data, WEIGHTS)


def test_densify_of_what_is_not_sparse():
    """A DENSIFY that has nothing to do is an operator like any that is not supported."""
    model = Builder()
    y = model.fully_connected(model.input((1, 8), 0.1), WEIGHTS)
    through_densify(model, 0, 1)
    with pytest.raises(ModelError, match="DENSIFY"):
        import_bytes(model.build([y]), "x.tflite")


def _level(model: Builder, number: int, **values: Any) -> None:
    level = _sparsity(model).dimMetadata[number]
    for name, value in values.items():
        setattr(level, name, value)


def _sparsity(model: Builder, **values: Any) -> Any:
    sparsity = model.graph.tensors[WEIGHTS_AT].sparsity
    for name, value in values.items():
        setattr(sparsity, name, value)
    return sparsity


def _indices(model: Builder, name: str, place: int, value: int) -> None:
    getattr(_sparsity(model).dimMetadata[1], name).values[place] = value


def _buffer(model: Builder, change: Callable[[np.ndarray], np.ndarray]) -> None:
    buffer = model.model.buffers[model.graph.tensors[WEIGHTS_AT].buffer]
    buffer.data = change(buffer.data)


HOSTILE: dict[str, tuple[Callable[[Builder], object], str]] = {
    "index too large": (lambda m: _indices(m, "arrayIndices", 1, 4), "indices that do not rise"),
    "index negative": (lambda m: _indices(m, "arrayIndices", 0, -1), "indices that do not rise"),
    "index twice": (lambda m: _indices(m, "arrayIndices", 1, 0), "indices that do not rise"),
    "segments fall": (lambda m: _indices(m, "arraySegments", 1, 3), "segments"),
    "segments start late": (lambda m: _indices(m, "arraySegments", 0, 1), "segments"),
    "segments end late": (lambda m: _indices(m, "arraySegments", 6, 9), "segments"),
    "no segments": (lambda m: _level(m, 1, arraySegments=None, arraySegmentsType=0), "segments"),
    "no indices": (lambda m: _level(m, 1, arrayIndices=None, arrayIndicesType=0), "segments"),
    "dense size": (lambda m: _level(m, 0, denseSize=2**30), "1073741824 indices"),
    "block size": (lambda m: _level(m, 2, denseSize=3), "blocks of 3"),
    "block size 0": (lambda m: _level(m, 2, denseSize=0), "blocks of 0"),
    "sparse blocks": (lambda m: _level(m, 2, format=CSR), "blocks of 2"),
    "format": (lambda m: _level(m, 0, format=5), "format 5"),
    "order names a level twice": (lambda m: _sparsity(m, traversalOrder=[0, 0, 2]), "order"),
    "order too short": (lambda m: _sparsity(m, traversalOrder=[0, 1]), "order"),
    "order too large": (lambda m: _sparsity(m, traversalOrder=[0, 1, 77]), "order"),
    "no order": (lambda m: _sparsity(m, traversalOrder=None), "order"),
    "blocks along no dimension": (lambda m: _sparsity(m, blockMap=[2]), r"blocks along \[2\]"),
    "levels missing": (lambda m: _sparsity(m, dimMetadata=_sparsity(m).dimMetadata[:2]), "2 levels"),
    "no levels": (lambda m: _sparsity(m, dimMetadata=None), "0 levels"),
    "a value missing": (lambda m: _buffer(m, lambda data: data[:-1]), "sparse values"),
    "a value too many": (lambda m: _buffer(m, lambda data: np.append(data, data[:1])), "sparse values"),
    "shape too large": (lambda m: setattr(m.graph.tensors[WEIGHTS_AT], "shape", [2**13, 2**13]), "a sparse tensor of"),
    "int4": (lambda m: setattr(m.graph.tensors[WEIGHTS_AT], "type", s.TensorType.INT4), "sparse int4"),
}


@pytest.mark.parametrize("fault", HOSTILE)
def test_hostile_sparsity(fault):
    """Every index, segment and size of a sparse tensor is checked before it is used."""
    model, y = sparse_model()
    change, words = HOSTILE[fault]
    change(model)
    with pytest.raises(ModelError, match=words) as caught:
        import_bytes(model.build([y]), "bad.tflite")
    assert f"tensor {WEIGHTS_AT}" in caught.value.where


@pytest.mark.parametrize("seed", range(5))
def test_random_sparsity(seed):
    """Whatever numbers sparsity holds, the importer gives a model or a ModelError."""
    rng = np.random.default_rng(seed)
    for _ in range(40):
        model, y = sparse_model()
        level = _sparsity(model).dimMetadata[1]
        for vector in (level.arraySegments, level.arrayIndices):
            if rng.random() < 0.7:
                vector.values[rng.integers(len(vector.values))] = int(rng.integers(-(2**31), 2**31) >> rng.integers(32))
        if rng.random() < 0.3:
            _sparsity(model).traversalOrder[rng.integers(3)] = int(rng.integers(-3, 5))
        try:
            import_bytes(model.build([y]), "random.tflite")
        except ModelError:
            continue


def test_int4_is_for_constants():
    """Activations of int4 and int4 constants of other sizes are refused."""
    model = Builder()
    y = model.fully_connected(model.input((1, 8), 0.1), WEIGHTS % 8)
    model.graph.tensors[0].type = s.TensorType.INT4
    with pytest.raises(ModelError, match="int4 is supported in constants only"):
        import_bytes(model.build([y]), "x.tflite")
    model = Builder()
    y = model.fully_connected(model.input((1, 8), 0.1), (WEIGHTS % 8).astype(np.int8))
    make_int4(model, WEIGHTS_AT)
    _buffer(model, lambda data: data[:-1])
    with pytest.raises(ModelError, match="needs 24"):
        import_bytes(model.build([y]), "x.tflite")


def test_densify_into_no_buffer():
    """A constant behind DENSIFY must name a buffer that is there, though its own holds nothing."""
    model, y = sparse_model()
    through_densify(model, 0, 1)
    model.graph.tensors[model.graph.operators[1].inputs[1]].buffer = 99
    with pytest.raises(ModelError, match="buffer 99 is not in the file's"):
        import_bytes(model.build([y]), "sparse.tflite")
