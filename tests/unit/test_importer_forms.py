"""Odd forms of `.tflite` files that are read, and the notes that say how."""

from __future__ import annotations

import time

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as s

from mcuprune.cli import run as run_cli
from mcuprune.errors import ModelError
from mcuprune.importers.tflite import SUPPORTED, import_bytes
from mcuprune.importers.versions import LATEST
from mcuprune.ir.interpreter import run
from mcuprune.tflite.reference import ReferenceInterpreter
from mcuprune.tflite.writer import replace_constants
from tests.tflite_builder import Builder, random_int8
from tests.unit.one_conv import conv_model, set_buffer, set_quant, set_tensor


def test_data_behind_the_flatbuffer(rng):
    """Weights that lie behind the flatbuffer are read from there, as LiteRT does."""
    model, y = conv_model(rng)
    inside = import_bytes(model.build([y]), "in.tflite")
    data = bytes(model.model.buffers[1].data)
    set_buffer(model, 1, data=None, offset=1, size=len(data))
    start = -(-len(model.build([y])) // 16) * 16
    set_buffer(model, 1, offset=start)
    content = model.build([y]).ljust(start, b"\0") + data
    graph = import_bytes(content, "behind.tflite")
    assert graph.tensor(2).data.tobytes() == inside.tensor(2).data.tobytes() == data
    x = random_int8(rng, (1, 6, 5, 3))
    with ReferenceInterpreter(content) as reference:
        assert run(graph, [x])[y].tobytes() == reference.run([x])[0].tobytes()
    pruned = replace_constants(content, "behind.tflite", {2: np.zeros((4, 3, 3, 3), np.int8)})
    assert not import_bytes(pruned, "pruned.tflite").tensor(2).data.any()


def test_dynamic_batch(rng):
    """A model whose batch alone is left open is one of batch 1; other dimensions are refused (see BROKEN)."""
    model, y = conv_model(rng)
    for index in (0, 1):
        set_tensor(model, index, shapeSignature=[-1, *model.shape(index)[1:]])
    graph = import_bytes(model.build([y]), "x.tflite")
    assert graph.tensor(0).shape == (1, 6, 5, 3) and not graph.notes


@pytest.mark.parametrize(
    ("index", "words"), [(0, "is read as one for all of it"), (2, "are read as along dimension 0")]
)
def test_dimension_of_scales_out_of_range(rng, index, words):
    """Where only one dimension can be meant, the model is read, and a note names the tensor."""
    model, y = conv_model(rng)
    sound = import_bytes(model.build([y]), "x.tflite")
    set_quant(model, index, quantizedDimension=9)
    graph = import_bytes(model.build([y]), "x.tflite")
    (note,) = graph.notes
    assert words in note and f"tensor {index} 't{index}'" in note
    assert graph.tensor(index).quant == sound.tensor(index).quant


def test_constants_read_again_and_again():
    """Operators that share large weights are bounded, too: 300 layers of 640,000 weights are refused at once."""
    model = Builder()
    x = model.input((1, 800), 0.01)
    y = model.fully_connected(x, np.ones((800, 800), np.int8), scale=10.0)
    inputs, options = model.graph.operators[0].inputs, model.graph.operators[0].builtinOptions
    for _ in range(300):
        y = model.op("FULLY_CONNECTED", inputs, [model.tensor((1, 800), scale=10.0)], options)
    began = time.process_time()
    with pytest.raises(ModelError, match="the operators read more than 134217728 elements of constants"):
        import_bytes(model.build([y]), "x.tflite")
    assert time.process_time() - began < 5


def test_empty_buffers(rng):
    """Old converters wrote empty buffers for tensors without data: noted, since LiteRT refuses them today."""
    model, y = conv_model(rng)
    model.model.buffers.append(s.BufferT(data=np.zeros(0, np.uint8)))
    set_tensor(model, 1, buffer=3)
    assert "empty buffer" in import_bytes(model.build([y]), "x.tflite").notes[0]


def test_buffer_0_holds_nothing(rng):
    """Buffer 0 stands for no data, whatever the file has there, as in LiteRT."""
    model, y = conv_model(rng)
    set_buffer(model, 0, data=np.zeros(90, np.uint8))
    assert import_bytes(model.build([y]), "x.tflite").tensor(0).data is None


def test_notes_are_shown(rng, tmp_path, capfd):
    """generate says what was read differently from what the file says."""
    model, y = conv_model(rng)
    set_quant(model, 0, quantizedDimension=9)
    path = tmp_path / "m.tflite"
    path.write_bytes(model.build([y]))
    assert run_cli(["generate", str(path), "--board", "host", "-o", str(tmp_path / "out")]) == 0
    assert "one scale along dimension 9" in capfd.readouterr().err


def test_verify_mends_what_litert_refuses(rng, tmp_path, capfd):
    """Scales along no dimension, an empty buffer, an unknown operator that nobody uses: LiteRT gets a copy without."""
    model, y = conv_model(rng)
    set_quant(model, 2, quantizedDimension=9)
    set_quant(model, 3, quantizedDimension=4)
    model.model.buffers.append(s.BufferT(data=np.zeros(0, np.uint8)))
    set_tensor(model, y, buffer=len(model.model.buffers) - 1)
    model.model.operatorCodes.append(s.OperatorCodeT(deprecatedBuiltinCode=127, builtinCode=250, version=9))
    path = tmp_path / "m.tflite"
    path.write_bytes(model.build([y]))
    notes = import_bytes(path.read_bytes(), "m.tflite").notes
    assert all(word in str(notes) for word in ("and so in 1 more tensor", "empty buffer", "operator code 1"))
    with pytest.raises(ModelError, match="LiteRT refuses the model"):
        ReferenceInterpreter(path)
    assert run_cli(["verify", str(path), "--random", "3"]) == 0
    assert "all layers equal" in capfd.readouterr().out


def test_notes_count(rng):
    """The first tensor of a sort is named, the others are counted."""
    model, y = conv_model(rng)
    for index in (2, 3):
        set_quant(model, index, quantizedDimension=4)
    (note,) = import_bytes(model.build([y]), "x.tflite").notes
    assert "tensor 2 't2'" in note and note.endswith("dimension 0, and so in 1 more tensor")


@pytest.mark.parametrize("options", [s.CastOptionsT, s.ShapeOptionsT])
def test_types_that_options_name(options):
    """The tensors' own types count, but one that does not exist is refused, as runtimes do."""

    def named(number):
        model, given = Builder(), options()
        x = model.input((1, 3), 0.1)
        for name in ("inDataType", "outDataType", "outType"):
            if hasattr(given, name):
                setattr(given, name, number)
        if options is s.CastOptionsT:
            return model.build([model.op("CAST", [x], [model.tensor((1, 3), np.int32)], given)])
        model.op("SHAPE", [x], [model.tensor((2,), np.int32)], given)
        return model.build([model.relu(x, 0.1)])

    assert import_bytes(named(s.TensorType.FLOAT32), "named.tflite").ops
    with pytest.raises(ModelError, match="type -1 does not exist"):
        import_bytes(named(-1), "named.tflite")


def test_a_shape_that_is_named_as_absent():
    """RESHAPE with -1 for the input that says the shape crashes runtimes."""
    model = Builder()
    y = model.reshape(model.input((1, 12), 0.1), (3, 4))
    model.graph.operators[0].inputs[1] = -1
    with pytest.raises(ModelError, match="named, but absent"):
        import_bytes(model.build([y]), "reshape.tflite")


@pytest.mark.parametrize(
    ("begin", "end", "strides", "masks"),
    [
        ((0, 1), (1, 2), (1, 1), {}),
        ((0, 1, 0), (1, 2, 6), (1, 1, 1), {"beginMask": 1}),
        ((0, 1, 0), (1, 2, 6), (1, 1, 1), {"endMask": 4}),
        ((0, -4, 0), (1, 2, 6), (1, 1, 1), {}),
        ((0, 4, 0), (1, 2, 6), (1, 1, 1), {}),
        ((0, 4, 0), (1, -2, 6), (1, -1, 1), {}),
    ],
)
def test_ends_that_count_from_begins(begin, end, strides, masks):
    """LiteRT's STRIDED_SLICE with `offset` reads garbage or crashes but for plain counts (which the grid has)."""
    model, options = Builder(), s.StridedSliceOptionsT()
    for name, value in {"offset": True, **masks}.items():
        setattr(options, name, value)
    inputs = [model.input((1, 5, 6), 0.1), *(model.constant(values) for values in (begin, end, strides))]
    y = model.op("STRIDED_SLICE", inputs, [model.tensor((1, 2, 6), np.int8, 0.1)], options)
    with pytest.raises(ModelError, match="offset, which counts ends"):
        import_bytes(model.build([y]), "slice.tflite")


def test_versions_of_operators():
    """Every operator that is read has a latest version."""
    assert set(SUPPORTED) <= set(LATEST)
