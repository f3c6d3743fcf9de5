"""Reading `.tflite` files: what is accepted, how layers are named, and one clear error for everything else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as s

from mcuprune.errors import ModelError, UsageError
from mcuprune.importers.names import NamedOp, short_names
from mcuprune.importers.tflite import import_bytes, import_tflite
from mcuprune.ir.attributes import Activation, ConvAttrs, Padding
from mcuprune.ir.dump import dump
from mcuprune.ir.select import select_ops
from mcuprune.ir.shapes import explicit_pads, reduction_walk
from tests.tflite_builder import RELU, SAME, VALID, Builder, random_int8
from tests.unit.one_conv import conv_model, relu_before, set_buffer, set_op, set_options, set_quant, set_tensor


def test_attributes_and_constants(rng):
    """What the file says is what the graph holds."""
    model, y = conv_model(rng, stride=(2, 1), padding=SAME, activation=RELU, name="stem/BiasAdd")
    graph = import_bytes(model.build([y]), "one.tflite")
    (op,) = graph.ops
    assert (op.kind, op.name, op.attrs) == (
        "CONV_2D", "stem", ConvAttrs((2, 1), (1, 1), Padding.SAME, Activation.RELU)
    )  # fmt: skip
    weights = graph.tensor(op.inputs[1])
    assert weights.quant.axis == 0 and weights.data.shape == (4, 3, 3, 3) and not weights.data.flags.writeable
    assert graph.tensor(0).quant.zero_point == -3
    assert graph.output_of(op).shape == (1, 3, 5, 4)
    assert "CONV_2D            stem" in dump(graph)


def test_optional_bias(rng):
    """A bias may be absent or -1."""
    model = Builder()
    y = model.conv_2d(model.input((1, 4, 4, 3), 0.1), random_int8(rng, (2, 1, 1, 3)))
    model.graph.operators[0].inputs.append(-1)
    graph = import_bytes(model.build([y]), "one.tflite")
    assert graph.input_of(graph.ops[0], 2) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"hello", "TFL3"),
        (b"\xff\xff\xff\x7fTFL3", "broken"),
        (b"\x10\0\0\0TFL3" + bytes(40), "schema version"),
    ],
)
def test_not_a_model(content, words):
    """Empty and foreign files are errors that say so."""
    with pytest.raises(ModelError, match=words) as caught:
        import_bytes(content, "x.tflite")
    assert caught.value.where == "x.tflite"


def test_missing_file(tmp_path):
    """A path that is not there is named."""
    with pytest.raises(ModelError, match="no such model file"):
        import_tflite(tmp_path / "none.tflite")


BROKEN: dict[str, tuple[Callable[[Builder], object], str]] = {
    "tensor index": (lambda m: set_op(m, inputs=[0, 2, 99]), "name tensor 99"),
    "operator code": (lambda m: set_op(m, opcodeIndex=7), "operator code 7"),
    "too few inputs": (lambda m: set_op(m, inputs=[0]), "1 inputs"),
    "output is a constant": (lambda m: set_op(m, outputs=[2]), "tensor 2 't2' is written, but is constant"),
    "output is the input": (lambda m: set_op(m, outputs=[0]), "tensor 0 't0' is written, but is an input of the model"),
    "reads its own output": (lambda m: set_op(m, inputs=[1, 2, 3]), "before any operator writes it"),
    "no options": (lambda m: set_op(m, builtinOptions=None, builtinOptionsType=0), "Conv2DOptions are missing"),
    "stride 0": (lambda m: set_options(m, strideH=0), "stride"),
    "dilation 0": (lambda m: set_options(m, dilationWFactor=0), "dilation"),
    "padding": (lambda m: set_options(m, padding=5), "padding 5"),
    "activation": (lambda m: set_options(m, fusedActivationFunction=4), "activation 4"),
    "window too large": (
        lambda m: set_options(m, dilationHFactor=9, padding=VALID),
        "does not fit",
    ),
    "shape 0": (lambda m: set_tensor(m, 0, shape=[1, 0, 5, 3]), "not positive"),
    "shape too large": (lambda m: set_tensor(m, 1, shape=[1, 65536, 65536, 4]), "too large"),
    "batch 2": (lambda m: (set_tensor(m, 0, shape=[2, 6, 5, 3]), set_tensor(m, 1, shape=[2, 6, 5, 4])), "batch 1"),
    "output shape": (lambda m: set_tensor(m, 1, shape=[1, 6, 6, 4]), r"gives \(1, 6, 5, 4\)"),
    "weights too short": (lambda m: setattr(m.model.buffers[1], "data", m.model.buffers[1].data[:-1]), "needs 108"),
    "weights not constant": (lambda m: set_tensor(m, 2, buffer=0), "before any operator writes it"),
    "buffer index": (lambda m: set_tensor(m, 2, buffer=77), "buffer 77"),
    "groups": (lambda m: set_tensor(m, 0, shape=[1, 6, 5, 7]), "divide into groups"),
    "type": (lambda m: set_tensor(m, 0, type=s.TensorType.INT32), "int32, only int8, int16"),
    "variable": (lambda m: set_tensor(m, 0, isVariable=True), "variable tensor 0 .* is no operator's state"),
    "sparse activation": (lambda m: set_tensor(m, 1, sparsity=s.SparsityParametersT()), "sparse, but has no data"),
    "sparse": (lambda m: set_tensor(m, 2, sparsity=s.SparsityParametersT()), "sparsity of order"),
    "scale 0": (lambda m: set_quant(m, 0, scale=[0.0]), "scale 0.0"),
    "scale nan": (lambda m: set_quant(m, 0, scale=[float("nan")]), "scale nan"),
    "scale inf": (lambda m: set_quant(m, 1, scale=[float("inf")]), "scale inf"),
    "zero point": (lambda m: set_quant(m, 0, zeroPoint=[128]), "zero point 128"),
    "zero points missing": (lambda m: set_quant(m, 2, zeroPoint=[0]), "4 scales but 1 zero points"),
    "weights' zero point": (lambda m: set_quant(m, 2, zeroPoint=[0, 1, 0, 0]), "weights with a zero point"),
    "bias' zero point": (lambda m: set_quant(m, 3, zeroPoint=[0, 1, 0, 0]), "bias with a zero point"),
    "scales along another axis": (lambda m: set_quant(m, 2, quantizedDimension=3), "4 scales along dimension 3"),
    "axis out of range": (
        lambda m: (set_quant(m, 2, quantizedDimension=9), set_quant(m, 2, scale=[0.1] * 3, zeroPoint=[0] * 3)),
        "3 scales along dimension 9",
    ),
    "no quantization": (lambda m: set_tensor(m, 0, quantization=None), "has no quantization"),
    "bias of other size": (lambda m: set_tensor(m, 3, shape=[2, 2], quantization=None), "the bias must be"),
    "accumulator overflow": (
        lambda m: setattr(m.model.buffers[2], "data", np.full(4, 2**31 - 5, np.int32).view(np.uint8)),
        "int32 overflows",
    ),
    "scale too large": (lambda m: set_quant(m, 1, scale=[1e-12]), "overflow|below"),
    "no outputs": (lambda m: setattr(m.graph, "outputs", []), "no outputs"),
    "version": (lambda m: setattr(m.model.operatorCodes[0], "version", 99), "version 99 of CONV_2D"),
    "version 0": (lambda m: setattr(m.model.operatorCodes[0], "version", 0), "version 0 of CONV_2D"),
    "custom": (lambda m: setattr(m.model.operatorCodes[0], "customCode", b"a\nb"), "CUSTOM 'a.b' is not supported"),
    "schema version": (lambda m: setattr(m.model, "version", 2), "schema version 2"),
    "no operators": (lambda m: setattr(m.graph, "operators", []), "no operators"),
    "no tensors": (lambda m: setattr(m.graph, "tensors", None), "subgraph 0 has no tensors"),
    "another subgraph without tensors": (
        lambda m: m.model.subgraphs.append(s.SubGraphT()),
        "subgraph 1 has no tensors",
    ),
    "no buffers": (lambda m: setattr(m.model, "buffers", None), "buffer 0 is not in the file's 0"),
    "an output twice": (lambda m: setattr(m.graph, "outputs", [1, 1]), "outputs of the model name tensor 1 't1' twice"),
    "an input is an output": (lambda m: setattr(m.graph, "outputs", [0]), "not written by any operator"),
    "an input is constant": (lambda m: setattr(m.graph, "inputs", [0, 2]), "an input of the model is constant"),
    "input absent": (lambda m: set_op(m, inputs=[-1, 2, 3]), "input 0 must be there, it is absent"),
    "intermediates": (lambda m: set_op(m, intermediates=[1]), "CONV_2D with intermediate tensors"),
    "written twice": (
        lambda m: m.graph.operators.append(m.graph.operators[0]),
        "tensor 1 't1' is written, but op 0 writes it, too",
    ),
    "out of order": (lambda m: relu_before(m), "tensor 1 't1' is read before any operator writes it: op 1 does"),
    "dynamic": (lambda m: set_tensor(m, 0, shape=[1, -1, 5, 3]), r"the shape \(1, -1, 5, 3\) is dynamic"),
    "dynamic by signature": (
        lambda m: set_tensor(m, 0, shapeSignature=[-1, -1, 5, 3]),
        r"the shape \(-1, -1, 5, 3\) is dynamic",
    ),
    "signature of another shape": (lambda m: set_tensor(m, 0, shapeSignature=[1, 5]), "contradict each other"),
    "rank": (lambda m: set_tensor(m, 0, shape=[1] * 9), "9 dimensions, at most 8"),
    "shape overflows": (lambda m: set_tensor(m, 0, shape=[2**31 - 1] * 8), "too large"),
    "type that is none": (lambda m: set_tensor(m, 0, type=77), "element type number 77"),
    "data behind the end": (
        lambda m: set_buffer(m, 1, data=None, offset=2**40, size=108),
        "108 bytes long, of a file of",
    ),
    "data in two places": (lambda m: set_buffer(m, 1, offset=8, size=108), "in the buffer, too"),
    "data in another file": (lambda m: set_tensor(m, 2, externalBuffer=1), "data in another file"),
    "weights too long": (
        lambda m: set_buffer(m, 1, data=np.zeros(109, np.uint8)),
        r"109 bytes of data, int8 \(4, 3, 3, 3\) needs 108",
    ),
    "unused tensor's buffer": (lambda m: m.graph.tensors[m.tensor((2,))].__setattr__("buffer", 9), "buffer 9"),
    "unused tensor's data": (
        lambda m: set_tensor(m, m.tensor((5,), data=np.zeros(5)), type=s.TensorType.FLOAT16),
        r"5 bytes of data, float16 \(5,\) needs 10",
    ),
    "unused tensor's type": (lambda m: set_tensor(m, m.tensor((2,)), type=99), "element type number 99"),
    "scales beyond the shape": (lambda m: set_quant(m, 1, scale=[0.1] * 7, zeroPoint=[0] * 7), "7 scales of a tensor"),
    "scale negative": (lambda m: set_quant(m, 2, scale=[0.1, 0.1, -0.1, 0.1]), "scale -0.1"),
    "zero point of the bias": (lambda m: set_quant(m, 3, zeroPoint=[0, 0, 0, 2**40]), "zero point 1099511627776"),
    "custom quantization": (
        lambda m: set_quant(m, 1, details=s.CustomQuantizationT(), detailsType=1),
        "custom quantization",
    ),
    "bias type": (lambda m: set_options(m, quantizedBiasType=58), "bias type 58 does not exist"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_model(fault, rng):
    """Each fault is one error that names it and the file."""
    model, y = conv_model(rng)
    content_of = model.build
    model.graph.outputs = [y]
    change, words = BROKEN[fault]
    change(model)
    with pytest.raises(ModelError, match=words) as caught:
        import_bytes(content_of(model.graph.outputs), "bad.tflite")
    assert caught.value.where.startswith("bad.tflite") and caught.value.hint
    assert caught.value.exit_code == 3


def test_reshape_options_too_long():
    """A shape of nine dimensions is refused, also where an input holds the one that counts."""
    model = Builder()
    y = model.reshape(model.input((1, 4), 0.1), (4,))
    set_options(model, newShape=[1] * 9)
    with pytest.raises(ModelError, match="new shape has 9 dimensions"):
        import_bytes(model.build([y]), "x.tflite")


def test_too_many_loops():
    """Operands that repeat along dimensions in turn are refused where four loops do not reach them."""
    model = Builder()
    x, y = model.input((1, 2, 1, 2, 1, 2), 0.1), model.input((1, 1, 3, 2, 3, 1), 0.1)
    with pytest.raises(ModelError, match="at most 4 loops") as caught:
        import_bytes(model.build([model.add(x, y, 0.2)]), "loops.tflite")
    assert "op 0 ADD" in caught.value.where


@pytest.mark.parametrize(
    ("scale", "source", "output", "complaint"),
    [
        (1.0, np.int8, np.bool_, "scales below 1"),
        (0.1, np.int32, np.int8, "below half"),
        (0.1, np.uint8, np.int32, "from uint8 to int32"),
        (0.1, np.int8, np.float32, "from int8 to float32"),
    ],
)
def test_edges_that_the_reference_does_not_define(scale, source, output, complaint):
    """Comparisons and conversions that abort in the reference, overflow there, or are none of its forms."""
    model = Builder()
    x = model.input((1, 4), scale, 0, source)
    if output is np.bool_:
        y = model.op("LESS", [x, model.input((1, 4), 0.5)], [model.tensor((1, 4), np.bool_)])
    else:
        y = model.op("QUANTIZE", [x], [model.tensor((1, 4), output, 0.1)])
    with pytest.raises(ModelError, match=complaint):
        import_bytes(model.build([y]), "edge.tflite")


def test_softmax_output_scale():
    """A softmax whose output is not 1/256 and -128 is refused, as LiteRT does."""
    model = Builder()
    y = model.softmax(model.input((1, 4), 0.1))
    set_quant(model, y, scale=[1 / 128])
    with pytest.raises(ModelError, match="1/256"):
        import_bytes(model.build([y]), "x.tflite")


def test_reduction_walk():
    """Neighbouring dimensions of one sort are one, those of size 1 none."""
    assert reduction_walk((1, 4, 5, 6), (1, 2)) == (((6,), (1,)), ((20,), (6,)))
    assert reduction_walk((1, 4, 1, 6), (1, 3)) == (((), ()), ((24,), (1,)))
    assert reduction_walk((2, 4, 5, 6), (0, 2)) == (((4, 6), (30, 1)), ((2, 5), (120, 6)))


@pytest.mark.parametrize(
    ("size", "taps", "stride", "dilation", "padding", "expected"),
    [
        (49, 10, 2, 1, Padding.SAME, (4, 5)),
        (10, 4, 1, 1, Padding.SAME, (1, 2)),
        (10, 3, 2, 1, Padding.SAME, (0, 1)),
        (10, 3, 1, 2, Padding.SAME, (2, 2)),
        (10, 3, 2, 1, Padding.VALID, (0, 0)),
        (3, 1, 2, 1, Padding.SAME, (0, 0)),
    ],
)
def test_explicit_pads(size, taps, stride, dilation, padding, expected):
    """SAME puts the odd row after; VALID pads nothing."""
    pads = explicit_pads((size, size), (taps, taps), (stride, stride), (dilation, dilation), padding)
    assert (pads[0], pads[2]) == expected and (pads[1], pads[3]) == expected


FUSED = "functional_1/re_lu_2/Relu;functional_1/bn/FusedBatchNormV3;functional_1/{0}/BiasAdd;functional_1/x/Conv2D"


@pytest.mark.parametrize(
    ("kind", "tensor_name", "expected"),
    [
        ("CONV_2D", FUSED.format("stem_conv"), "stem_conv"),
        ("CONV_2D", FUSED.format("conv2d_7"), "conv_1"),
        ("CONV_2D", "model/conv_2/pointwise/BiasAdd", "conv_2_pw"),
        ("DEPTHWISE_CONV_2D", "model/conv_2/depthwise/BiasAdd", "conv_2_dw"),
        ("DEPTHWISE_CONV_2D", "sequential/block_3_depthwise/depthwise", "block_3_dw"),
        ("DEPTHWISE_CONV_2D", "depthwise_conv2d_3/depthwise", "ds_1_dw"),
        ("FULLY_CONNECTED", "StatefulPartitionedCall/sequential/Logits/MatMul;x/BiasAdd", "logits"),
        ("FULLY_CONNECTED", "model/dense/BiasAdd", "fc"),
        ("SOFTMAX", "Identity_int8", "softmax"),
        ("SOFTMAX", "StatefulPartitionedCall:0", "softmax"),
        ("RESHAPE", "functional_1/flatten/Reshape", "reshape"),
        ("ADD", "model/activation_2/Relu;model/add/add", "add"),
        ("CONV_2D", "", "conv_1"),
    ],
)
def test_short_name(kind, tensor_name, expected):
    """The telling part of a converter's name, else the kind and place."""
    assert short_names([NamedOp(kind, tensor_name)]) == [expected]


def test_short_names_by_the_operator_of_the_file():
    """An operator without a name of its own is called by what the file has, not by what it is in the graph."""
    model = Builder()
    x = model.input((1, 2, 2, 3), 0.1)
    y = model.op(
        "RESIZE_NEAREST_NEIGHBOR",
        [x, model.constant([4, 4])],
        [model.tensor((1, 4, 4, 3), np.int8, 0.1)],
        s.ResizeNearestNeighborOptionsT(),
    )
    model.graph.tensors[y].name = b"StatefulPartitionedCall:0"
    (op,) = import_bytes(model.build([y]), "x.tflite").ops
    assert (op.name, op.kind) == ("resize", "GATHER")


def test_short_names_of_one_scope():
    """The layer with weights has the name, wherever it stands among what serves it."""
    ops = [
        NamedOp("RESHAPE", "net/fc1/Tensordot/Reshape"),
        NamedOp("FULLY_CONNECTED", "net/fc1/Tensordot/MatMul"),
        NamedOp("RELU", "net/fc1/Relu"),
        NamedOp("RESHAPE", "net/fc1/Tensordot"),
    ]
    assert short_names(ops) == ["fc1_reshape", "fc1", "fc1_relu", "fc1_reshape_2"]


def test_short_names_of_pytorch_converters():
    """Numbers that a converter gave every value say nothing about layers."""
    names = ["input.9_te_transform_1_te_transform_2", "1346_te_transform", "fuse_transform_10", "833_transform", "Xq.1"]
    kinds = ["PAD", "DEPTHWISE_CONV_2D", "CONV_2D", "RESIZE_BILINEAR", "FULLY_CONNECTED"]
    ops = [NamedOp(kind, name) for kind, name in zip(kinds, names, strict=True)]
    assert short_names(ops) == ["pad", "ds_1_dw", "conv_1", "resize", "fc"]


def test_short_names_are_unique_identifiers():
    """Equal names get a number; every name is a C identifier."""
    names = short_names(
        [NamedOp("CONV_2D", "head/BiasAdd"), NamedOp("CONV_2D", "head/Conv2D"), NamedOp("ADD", "3 x/y-z")]
    )
    assert names == ["head", "head_2", "y_z"]
    assert all(name.isidentifier() for name in names)


def test_names_of_keras_3():
    """Keras 3 numbers every scope for its call; the last tensor has the name of the model's output."""
    ops = [
        NamedOp("CONV_2D", "kws_1/stem_3_relu_1/Relu;kws_1/stem_3_1/BiasAdd;kws_1/stem_3_bn_1/batchnorm/sub1"),
        NamedOp("DEPTHWISE_CONV_2D", "kws_1/ds_1_dw_1/depthwise", follows=0),
        NamedOp("FULLY_CONNECTED", "StatefulPartitionedCall_1:0", follows=1, weights_name="kws_1/classes_1/MatMul"),
    ]
    assert short_names(ops) == ["stem_3", "ds_1_dw", "classes"]
    inside = [NamedOp("FULLY_CONNECTED", "kws_1/classes_1/MatMul1"), NamedOp("SOFTMAX", "kws_1/classes_1/Softmax")]
    assert short_names(inside) == ["classes", "softmax"]
    other = [NamedOp("CONV_2D", "model/stem_1/BiasAdd"), NamedOp("CONV_2D", "model/stem_2/BiasAdd")]
    assert short_names(other) == ["stem_1", "stem_2"]


@pytest.mark.shared
def test_names_of_real_models(shared):
    """The keyword models read as their architecture."""
    graph = import_tflite(shared / "models" / "kws_ref_model_int8.tflite")
    blocks = [f"ds_{i}_{part}" for i in range(1, 5) for part in ("dw", "pw")]
    assert [op.name for op in graph.ops] == ["conv_1", *blocks, "avg_pool", "reshape", "fc", "softmax"]
    assert [op.name for op in select_ops(graph, "ds_*_pw")] == blocks[1::2]
    assert [op.name for op in select_ops(graph, "2")] == ["ds_1_pw"]
    with pytest.raises(UsageError, match="no layer matches 'ds_9'") as caught:
        select_ops(graph, "ds_9")
    assert "0=conv_1" in caught.value.hint


def test_import_needs_no_tensorflow():
    """Importer, interpreter and reference import neither TensorFlow nor Keras."""
    code = (
        "import sys, mcuprune.importers.tflite, mcuprune.ir.interpreter, mcuprune.tflite.reference;"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
