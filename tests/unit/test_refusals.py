"""Models that are refused as a whole: what is said, where, and the way out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as s

from mcuprune.errors import ModelError
from mcuprune.importers.tflite import import_bytes
from tests.tflite_builder import Builder


def refused(model: Builder, output: int) -> ModelError:
    with pytest.raises(ModelError) as caught:
        import_bytes(model.build([output]), "x.tflite")
    return caught.value


def of_kinds(kinds: Sequence[str]) -> tuple[Builder, int]:
    """RELU, and behind it operators of these kinds."""
    model = Builder()
    y = model.relu(model.input((1, 4), 0.1), 0.1)
    for kind in kinds:
        y = model.op(kind, [y], [model.tensor((1, 4), np.int8, 0.1)])
    return model, y


def test_operator():
    """The first one that is not supported is named with its place, and where to look the others up."""
    error = refused(*of_kinds(["LOCAL_RESPONSE_NORMALIZATION"]))
    assert error.what == "operator LOCAL_RESPONSE_NORMALIZATION is not supported"
    assert error.where == "x.tflite, op 1 that writes tensor 2 't2'"
    assert "`mcuprune ops`" in error.hint


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        (["RANK", "COS", "RANK"], "operators RANK, COS are not supported"),
        (["RANK", "COS", "SIN", "CEIL", "ELU"], "operators RANK, COS, SIN, CEIL, ELU are not supported"),
        (["RANK", "COS", "SIN", "CEIL", "ELU", "ROUND"], "RANK, COS, SIN, CEIL, ELU and 1 more kind are not supported"),
        (["RANK", "COS", "SIN", "CEIL", "ELU", "ROUND", "WHERE"], "ELU and 2 more kinds are not supported"),
    ],
)
def test_several_operators(kinds, said):
    """Up to five kinds are named, each once, in their order."""
    assert refused(*of_kinds(kinds)).what.endswith(said)


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        (b"ethos-u", "went into the compiler for the Ethos-U"),
        (b"edgetpu-custom-op", "went into the compiler for the Edge TPU"),
        (b"FlexErf", "without SELECT_TF_OPS"),
        (b"SignalWindow", "begin the model behind the features"),
        (b"TFLite_Detection_PostProcess", "end the model before it"),
    ],
)
def test_custom_operator(name, way_out):
    """It is named as the file does, with what to do about those that are met in practice."""
    model, y = of_kinds(["CUSTOM"])
    model.model.operatorCodes[1].customCode = name
    error = refused(model, y)
    assert error.what == f"operator CUSTOM '{name.decode()}' is not supported"
    assert way_out in error.hint


def layer(activation: type, weights: type, scale: float | None) -> tuple[Builder, int]:
    """A fully-connected layer of these element types."""
    model = Builder()
    x = model.input((1, 4), scale, 0, activation)
    w = model.tensor((2, 4), weights, 0.1, data=np.ones((2, 4), weights))
    y = model.tensor((1, 2), activation, scale)
    return model, model.op("FULLY_CONNECTED", [x, w], [y], s.FullyConnectedOptionsT())


@pytest.mark.parametrize(
    ("activation", "weights", "scale", "said", "way_out"),
    [
        (np.float32, np.float32, None, "this is a float model: FULLY_CONNECTED computes", "mcuprune quantize"),
        (np.float32, np.int8, None, "int8 weights but float activations", "mcuprune quantize"),
        (np.uint8, np.uint8, 0.1, "FULLY_CONNECTED computes in uint8", "convert the model again"),
    ],
)
def test_element_types(activation, weights, scale, said, way_out):
    """A model of other types than integers is told how to become one."""
    error = refused(*layer(activation, weights, scale))
    assert said in error.what
    assert error.where.startswith("x.tflite, op 0 FULLY_CONNECTED that writes tensor 2")
    assert way_out in error.hint


def test_float_operator_in_a_model_of_int8():
    """Float behind DEQUANTIZE, as converters of other frameworks leave it: the operator is named, not the model."""
    model, y = of_kinds([])
    z = model.op("LOG_SOFTMAX", [model.dequantize(y)], [model.tensor((1, 4), np.float32)])
    error = refused(model, z)
    assert error.what == "LOG_SOFTMAX computes in float32, in a model of int8"
    assert "op 2 LOG_SOFTMAX" in error.where
    assert "end the model before it" in error.hint


def test_shape_that_is_an_input():
    """TRANSPOSE_CONV whose output's shape is an input of the model, as cut-out layers of streaming models have it."""
    model = Builder()
    x = model.input((1, 2, 2, 3), 0.1)
    y = model.transpose_conv(x, np.ones((4, 3, 3, 3), np.int8), out_hw=(2, 2))
    shape = int(model.graph.operators[0].inputs[0])
    model.graph.tensors[shape].buffer = 0
    model.graph.inputs.append(shape)
    error = refused(model, y)
    assert error.what == "the output's shape must be a constant int32 tensor"
    assert "with fixed shapes" in error.hint
