"""Short layer names: C identifiers that tell what a layer is, out of the names that converters leave in a file.

A name that a person chose is kept (`stem_conv`); a name that Keras made up (`conv2d_4`, `depthwise_conv2d`, `dense`)
says only what kind of layer it is, so such layers are numbered by their place: `conv_1`, `ds_1_dw`, `ds_1_pw`, `fc`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

MAX_LENGTH = 40

_GENERATED = re.compile(
    r"^(?:conv2d|depthwise_conv2d|separable_conv2d|dense|average_pooling2d|global_average_pooling2d|max_pooling2d|flatten"
    r"|reshape|re_lu|relu|activation|batch_normalization|softmax|add|zero_padding2d|dropout|input|identity|quantize"
    r"|dequantize|mean|pad|tf_op_layer_\w+|q_?conv2d|q_?dense|keras_tensor|arg|serving_default\w*|tfl\w*|output|x|call"
    r"|statefulpartitionedcall\w*|partitionedcall\w*|tensor|conv_2d|depthwise_conv_2d|fully_connected|average_pool_2d"
    r"|xq|fake_quant|fuse_(?:attr|transform)|\w+_te_transform|(?:op|input|x|y)_\d+_transform)"
    r"(?:_?\d+)*$"
)
_WRAPPER = re.compile(
    r"^(?:model|sequential|functional|statefulpartitionedcall|partitionedcall|quant|main|serving_default|tfl\.?\w*)(?:_?\d+)*$"
)
_OPERATION = re.compile(
    r"^(?:biasadd|bias_add|relu6?|conv2d|convolution|depthwise|depthwise_conv2d|separable_conv2d|matmul|add(?:v2)?|avgpool"
    r"|mean|pad|softmax|reshape|fusedbatchnormv3|batch_normalization|batch_norm|batchnorm|bn|readvariableop|resource|identity"
    r"|quantize|dequantize|fakequant\w*|lastvaluequant|movingavgquantize|add_fold|mul_fold|kernel|bias|clip_by_value"
    r"|activation|re_lu|flatten|squeeze|tensordot|batchnorm_fold\w*)(?:_?\d+)*$"
)
_WEIGHTED = re.compile(r"^(?:conv2d|convolution|depthwise|separable_conv2d|matmul|tensordot)(?:_?\d+)*$")
_SUFFIX = re.compile(r"(?:_?(?:int8|quantized|requantized|dequantize))+$")
_CALL_NUMBER = re.compile(r"_\d+$")
_NOISE = re.compile(r"readvariableop|fusedbatchnorm|batch_?norm|/resource|fakequant", re.IGNORECASE)

_KIND_NAMES = {
    "AVERAGE_POOL_2D": "avg_pool",
    "BATCH_MATMUL": "matmul",
    "FULLY_CONNECTED": "fc",
    "L2_NORMALIZATION": "l2_norm",
    "MAX_POOL_2D": "max_pool",
    "RESIZE_BILINEAR": "resize",
    "RESIZE_NEAREST_NEIGHBOR": "resize",
    "SPLIT_V": "split",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "lstm",
}
"""Of operators that are not called by the small letters of their kind."""
_LAYERS = (
    "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM"
)  # fmt: skip
"""Operators with weights, which are what a person named; others under the same name serve them."""
_KIND_WORDS = {"CONV_2D": ("conv2d", "biasadd"), "DEPTHWISE_CONV_2D": ("depthwise", "biasadd")}


@dataclass(frozen=True, slots=True)
class NamedOp:
    """What a name is made from: the operator, its output tensor's name, and whether a CONV_2D is pointwise (1x1).

    kind is what the file calls the operator. follows is the position of the operator that makes its input, None for a
    model input. weights_name tells where the output's name does not: converters give the model's last tensor the name
    of the model's output.
    """

    kind: str
    tensor_name: str
    pointwise: bool = False
    follows: int | None = None
    weights_name: str = ""


def short_names(ops: Sequence[NamedOp]) -> list[str]:
    """Unique names of the operators, in their order.

    Rules: `;` joins the names of fused operators, of which the one with the layer's own bias or operation tells most;
    wrappers, operation words, batch norm and quantization suffixes are dropped, and the number of the call that Keras 3
    adds to each layer; a depthwise convolution ends in `_dw` and a 1x1 convolution under the same name in `_pw`; what
    Keras numbered is numbered anew by place, as is what converters of PyTorch models made up. Of operators under
    one name the one with weights has it, the others add their kind.
    """
    if _is_keras_3(ops):
        ops = [
            replace(op, tensor_name=_without_calls(op.tensor_name), weights_name=_without_calls(op.weights_name))
            for op in ops
        ]
    chosen = [meaningful_part(op) or meaningful_part(replace(op, tensor_name=op.weights_name)) for op in ops]
    for i, op in enumerate(ops):
        if op.kind == "SOFTMAX" and chosen[i] in chosen[:i]:
            chosen[i] = None  # the end of a layer that is an operator already
    chosen = _by_kind(ops, chosen)
    places = _places(ops, chosen)
    taken: set[str] = set()
    names = []
    for i, own in enumerate(chosen):
        name = own or places[i] or f"op_{i}"
        names.append(_unique(name, taken))
    return names


def path_names(tensor_names: Sequence[str]) -> list[str]:
    """Short unique names of tensors, in their order, out of the paths in their own names.

    Of the names that `;` joins, the one with an operation of weights tells most; of its path the last word that is no
    operation, with as many words before it as make it unique.
    """
    paths = [_path(name) for name in tensor_names]
    taken: set[str] = set()
    names = []
    for path in paths:
        tails = ((path[-length:], [other[-length:] for other in paths]) for length in range(1, len(path) + 1))
        found = next((tail for tail, all_tails in tails if all_tails.count(tail) == 1), path)
        names.append(_unique("/".join(found), taken))
    return names


def _path(tensor_name: str) -> tuple[str, ...]:
    """The words of a tensor's name down to its layer."""
    parts = [part for part in tensor_name.split(";") if part and not _NOISE.search(part)] or [tensor_name]
    words = min(parts, key=lambda part: not _WEIGHTED.match(_last_word(part))).split("/")
    if len(words) > 1 and _OPERATION.match(_last_word(words[-1])):
        words.pop()
    while len(words) > 1 and _OPERATION.match(_last_word(words[-1])) and not _GENERATED.match(_last_word(words[-1])):
        words.pop()
    return tuple(words)


def _last_word(path: str) -> str:
    return _identifier(path.rsplit("/", 1)[-1])


def _is_keras_3(ops: Sequence[NamedOp]) -> bool:
    """Whether the names are `MODEL_1/LAYER_1/...`: every scope ends in a number, under one model.

    Keras 3 enters the scope of each layer twice, to build it and to call it, so TensorFlow numbers the second.
    """
    paths = [part.split("/")[:-1] for op in ops for part in op.tensor_name.split(";") if "/" in part]
    scopes = {scope for path in paths for scope in path} - {"batchnorm"}
    return len(scopes) > 1 and len({path[0] for path in paths}) == 1 and all(map(_CALL_NUMBER.search, scopes))


def _without_calls(tensor_name: str) -> str:
    """A tensor's name without the model's scope and the numbers of the calls."""
    parts = [part.split("/") for part in tensor_name.split(";")]
    return ";".join("/".join([*(_CALL_NUMBER.sub("", scope) for scope in part[1:-1]), part[-1]]) for part in parts)


def meaningful_part(op: NamedOp) -> str | None:
    """The part of a tensor's name that a person chose, as an identifier; None where everything is generated."""
    parts = [part for part in op.tensor_name.split(";") if part and not _NOISE.search(part)]
    for part in sorted(parts, key=lambda p: _rank(p, op.kind)):
        words = [_identifier(word) for word in part.split("/")]
        words = [w for w in words if w and not _WRAPPER.match(w)]
        role = _role(words, op)
        while words and (_OPERATION.match(words[-1]) or words[-1] in ("depthwise", "pointwise")):
            words.pop()
        if not words or _GENERATED.match(words[-1]):
            continue
        return _identifier(_with_role(words[-1], role)[-MAX_LENGTH:])
    return None


def _rank(part: str, kind: str) -> int:
    """Which of the joined names tells most: the layer's own bias or operation first, activations last."""
    last = _identifier(part.rsplit("/", 1)[-1])
    words = _KIND_WORDS.get(kind, ("biasadd", "matmul"))
    if last.startswith("biasadd"):
        return 0
    if any(last.startswith(word) for word in words):
        return 1
    return 3 if "relu" in last or "activation" in last else 2


def _role(words: list[str], op: NamedOp) -> str:
    """`dw`, `pw` or nothing."""
    if op.kind == "DEPTHWISE_CONV_2D":
        return "dw"
    return "pw" if op.kind == "CONV_2D" and "pointwise" in words else ""


def _with_role(word: str, role: str) -> str:
    word = re.sub(r"_?(?:depthwise|dw)$", "", word) if role == "dw" else word
    word = re.sub(r"_?(?:pointwise|pw)$", "_pw", word) if not role else re.sub(r"_?pointwise$", "", word)
    return f"{word}_{role}" if role and not word.endswith(f"_{role}") and word else (word or role)


def _identifier(word: str) -> str:
    """A word as a lower-case C identifier without quantization suffixes."""
    clean = re.sub(r"[^0-9a-z]+", "_", word.split(":")[0].lower()).strip("_")
    clean = _SUFFIX.sub("", clean).strip("_")
    return f"op_{clean}" if clean and clean[0].isdigit() else clean


def _by_kind(ops: Sequence[NamedOp], chosen: Sequence[str | None]) -> list[str | None]:
    """The names with the kind of those that share theirs with a layer, but have no weights."""
    layers = {name for op, name in zip(ops, chosen, strict=True) if op.kind in _LAYERS}
    return [
        f"{name}_{_kind_name(op.kind)}" if name and name in layers and op.kind not in _LAYERS else name
        for op, name in zip(ops, chosen, strict=True)
    ]


def _kind_name(kind: str) -> str:
    return _KIND_NAMES.get(kind, kind.lower())


def _places(ops: Sequence[NamedOp], chosen: Sequence[str | None]) -> list[str | None]:
    """Names by kind and place for the operators that have none of their own."""
    places: list[str | None] = [None] * len(ops)
    convs = blocks = 0
    counts: dict[str, int] = {}
    pairs = _separable_pairs(ops, chosen)
    for i, op in enumerate(ops):
        if chosen[i] or places[i]:
            continue
        if op.kind == "DEPTHWISE_CONV_2D":
            blocks += 1
            places[i] = f"ds_{blocks}_dw"
            if i in pairs:
                places[pairs[i]] = f"ds_{blocks}_pw"
        elif op.kind == "CONV_2D":
            convs += 1
            places[i] = f"conv_{convs}"
        else:
            base = _kind_name(op.kind)
            counts[base] = counts.get(base, 0) + 1
            places[i] = base if counts[base] == 1 else f"{base}_{counts[base]}"
    return places


def _separable_pairs(ops: Sequence[NamedOp], chosen: Sequence[str | None]) -> dict[int, int]:
    """Positions of 1x1 convolutions that read a depthwise convolution, by the depthwise one's position."""
    pairs: dict[int, int] = {}
    for i, op in enumerate(ops):
        if op.kind != "CONV_2D" or not op.pointwise or op.follows is None:
            continue
        if ops[op.follows].kind == "DEPTHWISE_CONV_2D" and not chosen[i] and not chosen[op.follows]:
            pairs.setdefault(op.follows, i)
    return pairs


def _unique(name: str, taken: set[str]) -> str:
    """`name`, or `name` with the first free number."""
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}_{number}", number + 1
    taken.add(candidate)
    return candidate
