"""What operators that move values refuse, because the reference does or because it reads what is not there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as s

from mcuprune.errors import ModelError
from mcuprune.importers.tflite import import_bytes
from mcuprune.ir.walk import Walk, index_pattern
from mcuprune.kernels.lowering import lower
from tests.tflite_builder import RELU, Builder


def _refused(kind: str, shape: Any, out: Any, options: Any, *constants: Any, scale: float = 0.1) -> ModelError:
    model = Builder()
    x = model.input(shape, 0.1, 3)
    y = model.tensor(out, np.int8, scale, 3)
    model.op(kind, [x, *(model.constant(c) for c in constants)], [y], options)
    with pytest.raises(ModelError) as error:
        import_bytes(model.build([y]), "test.tflite")
    return error.value


def _with(options: Any, **values: Any) -> Any:
    for name, value in values.items():
        setattr(options, name, value)
    return options


REFUSALS = [
    ("TRANSPOSE", (1, 3), (3, 1), s.TransposeOptionsT(), [[1, 1]], "order"),
    ("GATHER", (1, 3), (1, 2), _with(s.GatherOptionsT(), axis=1), [[0, 3]], "positions up to 3 of a dimension of 3"),
    ("GATHER", (1, 3), (1, 1), _with(s.GatherOptionsT(), axis=1, batchDims=1), [[[3]]], "positions 3 to 3"),
    ("GATHER", (1, 3), (1, 1), _with(s.GatherOptionsT(), axis=1, batchDims=2), [[[0]]], "of their own for 2"),
    ("MIRROR_PAD", (1, 3), (1, 6), s.MirrorPadOptionsT(), [[(0, 0), (3, 0)]], "more than a mirror holds"),
    ("PAD", (1, 3), (1, 2), s.PadOptionsT(), [[(0, 0), (-1, 0)]], "are not in 0"),
    ("SLICE", (1, 3), (1, 3), s.SliceOptionsT(), [[0, 1], [1, 3]], "3 elements from 1 of a dimension of 3"),
    ("STRIDED_SLICE", (1, 3), (1, 1), s.StridedSliceOptionsT(), [[0, 2], [1, 2], [1, 1]], "takes nothing"),
    ("STRIDED_SLICE", (1, 3), (1, 1), s.StridedSliceOptionsT(), [[0, 2], [1, 3], [1, 0]], "takes nothing"),
    ("TILE", (1, 3), (1, 3), s.TileOptionsT(), [[1, 0]], "repetitions"),
    ("BROADCAST_TO", (1, 3), (1, 6), s.BroadcastToOptionsT(), [[1, 6]], "does not repeat"),
    ("SPACE_TO_DEPTH", (1, 3, 2, 1), (1, 1, 1, 4), _with(s.SpaceToDepthOptionsT(), blockSize=2), [], "do not divide"),
    ("EXPAND_DIMS", (1, 3), (1, 3, 1, 1), s.ExpandDimsOptionsT(), [2], r"the operator gives \(1, 3, 1\)"),
    ("SQUEEZE", (1, 3), (3,), _with(s.SqueezeOptionsT(), squeezeDims=[1]), [], "not all of size 1"),
    (
        "CONCATENATION", (1, 3), (1, 3), _with(s.ConcatenationOptionsT(), axis=1, fusedActivationFunction=RELU), [],
        "fused activation",
    ),
    ("BROADCAST_TO", (1, 1), (1, 2**25), s.BroadcastToOptionsT(), [[1, 2**25]], "more than 1048576 indices"),
    (
        "RESIZE_BILINEAR", (1, 2, 1, 1), (1, 2049, 1, 1), _with(s.ResizeBilinearOptionsT(), alignCorners=True),
        [[2049, 1]], "reads behind the image",
    ),
    (
        "RESIZE_BILINEAR", (1, 2, 1, 1), (1, 4, 1, 1),
        _with(s.ResizeBilinearOptionsT(), alignCorners=True, halfPixelCenters=True), [[4, 1]], "only one can be",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "shape", "out", "options", "constants", "words"), REFUSALS)
def test_refused(kind, shape, out, options, constants, words):
    """Parameters that have no meaning are told with the operator and the numbers."""
    error = _refused(kind, shape, out, options, *constants)
    assert kind in str(error.where)
    with pytest.raises(ModelError, match=words):
        raise error


def test_parts_of_another_scale_are_refused():
    """UNPACK, alone of the operators that take parts, demands one scale."""
    options = _with(s.UnpackOptionsT(), num=1, axis=0)
    assert "one scale" in _refused("UNPACK", (1, 3), (3,), options, scale=0.2).what


@pytest.mark.parametrize("kind", ["RESHAPE", "CONCATENATION"])
def test_another_scale_is_refused(kind):
    """Values that move keep their scale: the reference would not rescale them."""
    options = s.ReshapeOptionsT() if kind == "RESHAPE" else _with(s.ConcatenationOptionsT(), axis=1)
    constants = [[3, 1]] if kind == "RESHAPE" else []
    error = _refused(kind, (1, 3), (3, 1) if constants else (1, 3), options, *constants, scale=0.2)
    assert "scale" in error.what


def test_codes_that_get_another_scale_are_told():
    """A reversed sequence whose output has another scale than its input is read, with a note."""
    for scale, count in ((0.1, 0), (0.11, 1)):
        model = Builder()
        x, y = model.input((1, 3), 0.1, 3), model.tensor((1, 3), np.int8, scale, 3)
        model.op("REVERSE_V2", [x, model.constant([1])], [y], s.ReverseV2OptionsT())
        notes = import_bytes(model.build([y]), "test.tflite").notes
        assert len(notes) == count and all("REVERSE_V2 copies codes of scale 0.1" in note for note in notes)


def test_constants_of_bool_are_bytes():
    """A constant part of bool lies in flash as 0 and 1."""
    model = Builder()
    x, part = model.input((1, 3), None, 0, np.bool_), model.constant([[True, False]], np.bool_)
    y = model.tensor((1, 5), np.bool_)
    model.op("CONCATENATION", [x, part], [y], _with(s.ConcatenationOptionsT(), axis=1))
    graph = import_bytes(model.build([y]), "test.tflite")
    params = lower(graph, graph.ops[0])
    assert params is not None and params.arrays[0].data.tolist() == [1, 0]
    assert params.arrays[0].ctype == "uint8_t" and params.arrays[0].data.dtype == np.uint8


@pytest.mark.parametrize(
    ("indices", "walk"),
    [
        ((4,), Walk(4, ((1, 0),))),
        ((4, 2, 0), Walk(4, ((3, -2),))),
        ((0, 0, 0), Walk(0, ((3, 0),))),
        ((0, 1, 2, 0, 1, 2), Walk(0, ((2, 0), (3, 1)))),
        ((0, 0, 1, 1, 2, 2), Walk(0, ((3, 1), (2, 0)))),
        ((0, 1, 3), None),
        ((2, 1, 0, 1, 2), None),
    ],
)
def test_patterns_of_indices(indices, walk):
    """Equal steps are one loop, repetitions two, others none."""
    assert index_pattern(indices) == walk
