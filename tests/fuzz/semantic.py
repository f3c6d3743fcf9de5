"""Edits of a model's meaning through the schema's object API; each says what it did."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as generated

INTS = (-(2**31), -(2**31) + 1, -129, -128, -2, -1, 0, 1, 2, 3, 4, 5, 7, 8, 16, 127, 128, 255, 256, 32767, 32768, 65535,
        65536, 2**20, 2**24, 2**30, 2**31 - 1)  # fmt: skip
FLOATS = (
    0.0,
    -0.0,
    -1.0,
    1.0,
    math.nan,
    math.inf,
    -math.inf,
    1e-45,
    1e-38,
    3e38,
    1e-30,
    1e-12,
    1e12,
    0.5,
    1 / 256,
    255.0,
)
NAMES = (b"", b"*/ #error x /*", b"\xff\xfe\x00bad", b"a\nb\r\t", b"x" * 3000, b'"quoted\\"', "größe".encode(), b"int",
         b"main", b"%s%n{{7*7}}", b"../../etc")  # fmt: skip


def _number(r: random.Random, old: float) -> float:
    """Another number, near or wild."""
    if isinstance(old, float):
        return r.choice((r.choice(FLOATS), old * 10 ** r.uniform(-5, 5), old * r.choice((0.5, 2.0, 1 + 2**-20)), -old))
    return r.choice((r.choice(INTS), int(old) + r.choice((-1, 1)), r.randrange(-128, 128), r.randrange(0, 12)))


def _listed(vector: Any) -> list[Any]:
    return [] if vector is None else [x.item() if hasattr(x, "item") else x for x in vector]


def _vector(r: random.Random, old: Any) -> list[Any]:
    """Another vector of numbers: one element changed, cut, grown, in another order, or all equal."""
    values = _listed(old)
    how = r.choice(("one", "one", "one", "cut", "grow", "order", "empty", "equal"))
    if how == "one" and values:
        i = r.randrange(len(values))
        values[i] = _number(r, values[i])
    elif how == "cut":
        values = values[: r.randrange(len(values) + 1)]
    elif how == "grow":
        values = values + [r.choice(values or [0])] * r.choice((1, 1, 2, 9))
    elif how == "order":
        r.shuffle(values)
    elif how == "equal" and values:
        values = [r.choice(values)] * len(values)
    elif how == "empty":
        values = []
    return values


def _attribute(r: random.Random, thing: Any, names: list[str]) -> str:
    """One attribute of an object becomes another value of its type, or is gone."""
    name = r.choice(names)
    old = getattr(thing, name)
    if old is None:
        new: Any = r.choice((None, [r.choice(INTS)], [r.randrange(0, 5) for _ in range(r.randrange(6))]))
    elif isinstance(old, bool):
        new = not old
    elif isinstance(old, int | float):
        new = _number(r, old)
    elif isinstance(old, bytes | str):
        new = r.choice(NAMES)
    elif isinstance(old, list | np.ndarray) and (len(old) == 0 or isinstance(old[0], int | float | np.number)):
        new = r.choice((_vector(r, old), _vector(r, old), _vector(r, old), None))
    else:
        new = None
    setattr(thing, name, new)
    return f"{type(thing).__name__}.{name} = {str(new)[:60]}"


def _graph(model: Any) -> Any:
    return model.subgraphs[0]


def _tensor(r: random.Random, model: Any) -> tuple[int, Any]:
    """A tensor that an operator refers to, and its index."""
    used = sorted(
        {int(i) for o in _graph(model).operators for i in (*_listed(o.inputs), *_listed(o.outputs)) if i >= 0}
    )
    index = r.choice(used)
    return index, _graph(model).tensors[index]


def _operator(r: random.Random, model: Any) -> tuple[int, Any]:
    index = r.randrange(len(_graph(model).operators))
    return index, _graph(model).operators[index]


def edit_shape(r: random.Random, model: Any) -> str:
    index, tensor = _tensor(r, model)
    return f"tensor {index}: " + _attribute(r, tensor, ["shape", "shape", "shape", "shapeSignature", "hasRank"])


def edit_tensor(r: random.Random, model: Any) -> str:
    index, tensor = _tensor(r, model)
    names = ["type", "buffer", "name", "isVariable", "externalBuffer", "quantization", "variantTensors"]
    return f"tensor {index}: " + _attribute(r, tensor, [n for n in names if hasattr(tensor, n)])


def edit_dynamic(r: random.Random, model: Any) -> str:
    """A shape signature with open dimensions: most often the batch alone."""
    index, tensor = _tensor(r, model)
    signature = _listed(tensor.shape)
    signature[0 if r.random() < 0.6 else r.randrange(len(signature))] = -1
    tensor.shapeSignature = signature
    if r.random() < 0.2:
        tensor.shape = signature
    return f"tensor {index}: signature {signature}, shape {_listed(tensor.shape)}"


def edit_sparsity(r: random.Random, model: Any) -> str:
    index, tensor = _tensor(r, model)
    tensor.sparsity = generated.SparsityParametersT()
    tensor.sparsity.traversalOrder = [r.choice(INTS) for _ in range(r.randrange(4))]
    return f"tensor {index} is sparse"


def edit_quant(r: random.Random, model: Any) -> str:
    """Scales, zero points, their counts and their dimension."""
    index, tensor = _tensor(r, model)
    names = ["scale", "scale", "scale", "zeroPoint", "zeroPoint", "quantizedDimension", "quantizedDimension", "min"]
    return f"tensor {index}: " + _attribute(r, tensor.quantization, names)


def edit_scales(r: random.Random, model: Any) -> str:
    """Scales that stay positive numbers, over ten orders of magnitude, and zero points up to both ends."""
    index, tensor = _tensor(r, model)
    quant = tensor.quantization
    factor = 10 ** r.uniform(-5, 5)
    quant.scale = [s * factor for s in _listed(quant.scale)]
    zero_point = r.choice((-128, -127, -1, 0, 1, 126, 127, r.randrange(-128, 128)))
    if len(quant.scale) == 1 and r.random() < 0.7:
        quant.zeroPoint = [zero_point]
    return f"tensor {index}: scales times {factor:.3g}, zero points {_listed(quant.zeroPoint)[:3]}"


def edit_all_scales(r: random.Random, model: Any) -> str:
    """Every activation gets another scale and zero point."""
    for tensor in _graph(model).tensors:
        quant = tensor.quantization
        if quant is not None and len(_listed(quant.scale)) == 1:
            quant.scale = [_listed(quant.scale)[0] * 10 ** r.uniform(-1, 1)]
            quant.zeroPoint = [r.randrange(-128, 128) if tensor.type == 9 and not _constant(model, tensor) else 0]
    return "other scales and zero points everywhere"


def _constant(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def edit_operator(r: random.Random, model: Any) -> str:
    index, operator = _operator(r, model)
    names = ["opcodeIndex", "inputs", "inputs", "inputs", "outputs", "outputs", "builtinOptionsType", "builtinOptions",
             "intermediates", "mutatingVariableInputs", "customOptions", "largeCustomOptionsOffset",
             "builtinOptions2Type", "debugMetadataIndex"]  # fmt: skip
    return f"op {index}: " + _attribute(r, operator, [n for n in names if hasattr(operator, n)])


def edit_wires(r: random.Random, model: Any) -> str:
    """An operator reads or writes another tensor of the model: cycles, aliases, outputs written twice."""
    index, operator = _operator(r, model)
    name = r.choice(("inputs", "inputs", "outputs"))
    wires = _listed(getattr(operator, name))
    i = r.randrange(len(wires))
    wires[i] = r.randrange(-1, len(_graph(model).tensors))
    setattr(operator, name, wires)
    return f"op {index}: {name} {wires}"


def edit_options(r: random.Random, model: Any) -> str:
    index, operator = _operator(r, model)
    options = operator.builtinOptions
    names = [name for name, value in vars(options).items() if isinstance(value, int | float | list | np.ndarray)]
    return f"op {index}: " + _attribute(r, options, names)


def edit_foreign_options(r: random.Random, model: Any) -> str:
    """An operator gets another's options, fresh or of the same model, or none."""
    index, operator = _operator(r, model)
    names = ("Conv2DOptions", "Pool2DOptions", "AddOptions", "SoftmaxOptions", "ReshapeOptions",
             "DepthwiseConv2DOptions", "FullyConnectedOptions", "NONE", "CallOptions", "StridedSliceOptions",
             "LSTMOptions")  # fmt: skip
    name = r.choice(names)
    operator.builtinOptionsType = getattr(generated.BuiltinOptions, name)
    operator.builtinOptions = None if name == "NONE" else getattr(generated, f"{name}T")()
    return f"op {index}: options {name}"


def edit_order(r: random.Random, model: Any) -> str:
    """Operators in another order, one twice, or one gone."""
    operators = _graph(model).operators
    how = r.choice(("swap", "twice", "gone", "reversed"))
    i, j = r.randrange(len(operators)), r.randrange(len(operators))
    if how == "swap":
        operators[i], operators[j] = operators[j], operators[i]
    elif how == "twice":
        operators.insert(j, operators[i])
    elif how == "gone":
        del operators[i]
    else:
        operators.reverse()
    return f"operators: {how} {i} {j}"


def edit_code(r: random.Random, model: Any) -> str:
    code = r.choice(model.operatorCodes)
    if r.random() < 0.5:
        kinds = [n for n in vars(generated.BuiltinOperator).values() if isinstance(n, int)]
        code.builtinCode = r.choice(kinds)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        return f"operator code becomes {code.builtinCode}"
    return _attribute(r, code, ["builtinCode", "deprecatedBuiltinCode", "version", "version", "customCode"])


def edit_graph(r: random.Random, model: Any) -> str:
    graph = _graph(model)
    how = r.choice(("inputs", "outputs", "name", "more", "none", "twice", "tensors"))
    if how in ("inputs", "outputs", "name"):
        return "graph: " + _attribute(r, graph, [how])
    if how == "more":
        model.subgraphs.append(generated.SubGraphT())
    elif how == "none":
        model.subgraphs = r.choice((None, []))
    elif how == "twice":
        model.subgraphs.append(graph)
    else:
        graph.tensors = graph.tensors[: r.randrange(len(graph.tensors))]
    return f"graph: {how}"


def edit_beside(r: random.Random, model: Any) -> str:
    """Another function beside the first, as it is or broken, and perhaps the one that is run."""
    model.subgraphs.append(copy.deepcopy(_graph(model)))
    how = "as it is"
    if r.random() < 0.7:
        model.subgraphs.reverse()
        how = r.choice(_OF_GRAPHS)(r, model)
        model.subgraphs.reverse()
    if r.random() < 0.3:
        signature = generated.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = b"other", len(model.subgraphs) - 1
        signature.inputs, signature.outputs = [], []
        model.signatureDefs = [signature]
        how += ", and that is run"
    return f"a function beside: {how}"


def edit_ends(r: random.Random, model: Any) -> str:
    """Inputs and outputs of the model become any tensors: constants, inner ones, one twice."""
    graph, name = _graph(model), r.choice(("inputs", "outputs"))
    ends = _listed(getattr(graph, name)) * r.choice((1, 1, 2)) + [r.randrange(len(graph.tensors))] * r.choice((0, 1))
    if r.random() < 0.5:
        ends[r.randrange(len(ends))] = r.randrange(len(graph.tensors))
    setattr(graph, name, ends)
    return f"{name} of the model: {ends}"


def edit_buffer(r: random.Random, model: Any) -> str:
    """Data cut, grown, gone, changed, or elsewhere in the file."""
    index = r.randrange(len(model.buffers))
    buffer = model.buffers[index]
    data = bytearray(b"" if buffer.data is None else bytes(buffer.data))
    how = r.choice(("cut", "grow", "gone", "values", "values", "wild", "offset", "offset"))
    if how == "cut":
        del data[r.randrange(len(data) + 1) :]
    elif how == "grow":
        data += r.randbytes(r.choice((1, 4, 100)))
    elif how == "values":
        for _ in range(r.choice((1, 4, 20))):
            data[r.randrange(len(data))] = r.choice((0, 1, 127, 128, 255, r.randrange(256)))
    elif how == "wild":
        data = bytearray(r.choice((b"\xff", b"\x80", b"\x7f", b"\x00", r.randbytes(1))) * len(data))
    elif how == "offset":
        buffer.offset, buffer.size = r.choice((0, 1, 2, 8, 1000, 2**40)), r.choice((0, 1, len(data), 2**62))
    gone = how == "gone" or (how == "offset" and r.random() < 0.7)
    buffer.data = None if gone else np.frombuffer(bytes(data), np.uint8)
    return f"buffer {index}: {how}"


def edit_parameters(r: random.Random, model: Any) -> str:
    """Values of a small constant: axes, paddings, shapes, biases."""
    constants = [(i, t) for i, t in enumerate(_graph(model).tensors) if t.type == 2 and _constant(model, t)]
    index, tensor = r.choice(constants)
    values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), "<i4").copy()
    at = r.randrange(len(values))
    values[at] = r.choice((r.choice(INTS), r.randrange(-3, 10)))
    model.buffers[tensor.buffer].data = values.view(np.uint8)
    return f"tensor {index}: value {at} = {values[at]}"


def edit_sharing(r: random.Random, model: Any) -> str:
    """Two tensors share a buffer; an activation becomes constant, or a constant is computed."""
    (index, tensor), (other, source) = _tensor(r, model), _tensor(r, model)
    tensor.buffer = source.buffer
    return f"tensor {index} has the buffer of tensor {other}"


def edit_unused(r: random.Random, model: Any) -> str:
    """What nothing refers to, whole or broken."""
    tensor = generated.TensorT()
    tensor.shape, tensor.type, tensor.buffer = _vector(r, [1, 4]), r.choice((0, 1, 9, 77)), r.choice((0, 0, 1, 10**6))
    tensor.name = r.choice(NAMES)
    _graph(model).tensors.append(tensor)
    model.buffers.append(generated.BufferT())
    return "an unused tensor and buffer"


def edit_around(r: random.Random, model: Any) -> str:
    """Version, description, signatures, metadata."""
    how = r.choice(("version", "description", "signatures", "metadata", "buffers"))
    if how == "signatures":
        signature = generated.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = r.choice(NAMES), r.choice((0, 1, 7))
        entry = generated.TensorMapT()
        entry.name, entry.tensorIndex = r.choice(NAMES), r.choice((0, 1, 10**6))
        signature.inputs, signature.outputs = [entry], r.choice(([], [entry]))
        model.signatureDefs = [signature] * r.choice((0, 1, 2))
    elif how == "metadata":
        entry = generated.MetadataT()
        entry.name, entry.buffer = r.choice((*NAMES, b"min_runtime_version")), r.choice((0, 1, 10**6))
        model.metadata = [*(model.metadata or []), entry]
    else:
        return "model: " + _attribute(r, model, [how])
    return f"model: {how}"


_OF_GRAPHS = (edit_shape, edit_tensor, edit_dynamic, edit_quant, edit_operator, edit_wires, edit_options,
              edit_foreign_options, edit_order, edit_code, edit_ends, edit_parameters, edit_sharing)  # fmt: skip
"""Edits of one subgraph."""

EDITS: dict[Callable[[random.Random, Any], str], int] = {
    edit_shape: 4,
    edit_tensor: 3,
    edit_dynamic: 2,
    edit_sparsity: 1,
    edit_quant: 6,
    edit_scales: 6,
    edit_all_scales: 4,
    edit_operator: 3,
    edit_wires: 4,
    edit_options: 5,
    edit_foreign_options: 2,
    edit_order: 2,
    edit_code: 2,
    edit_graph: 2,
    edit_beside: 2,
    edit_ends: 2,
    edit_buffer: 4,
    edit_parameters: 3,
    edit_sharing: 2,
    edit_unused: 1,
    edit_around: 2,
}
"""The edits and their weights in the draw."""
