"""From a planned model to what the templates print: symbols, arrays, structs, calls, the banner's table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mcuprune.emit.c_text import array_body, float_literal, struct_body
from mcuprune.encodings import Array
from mcuprune.ir.graph import DType, Graph, Tensor
from mcuprune.kernels.choose import Choice
from mcuprune.kernels.kernel import Packed
from mcuprune.kernels.params import CONSTANT_INPUT, CTYPES, Value, constant_input
from mcuprune.plan.arena import Plan
from mcuprune.plan.strips import Move, Strips, row_workspace

MIN_SHARED_BYTES = 128
"""Of an array that layers share where its content is the same; smaller ones stay with their layers."""


class Constants:
    """Symbols of constant arrays: an unrolled recurrent layer has one copy of its weights, whatever its steps."""

    def __init__(self) -> None:
        self._symbols: dict[tuple[str, bytes], str] = {}

    def symbol(self, prefix: str, array: Array) -> str:
        """The array's own symbol, or that of an equal one before it."""
        own = c_symbol(prefix, array)
        if array.data.nbytes < MIN_SHARED_BYTES:
            return own
        return self._symbols.setdefault((array.ctype, array.data.tobytes()), own)

    def owned(self, prefix: str, arrays: Sequence[Array]) -> list[Array]:
        """Those that are no other's."""
        return [array for array in arrays if self.symbol(prefix, array) == c_symbol(prefix, array)]


def model_context(
    name: str, graph: Graph, choices: Sequence[Choice], plan: Plan, strips: Sequence[Strips] = ()
) -> dict[str, Any]:
    """The variable `m` of the templates."""
    by_step = {step: turns for turns in strips for step in (turns.step, turns.step + 1)}
    constants = Constants()
    layers = [
        _layer(name, graph, choice, step, plan, by_step.get(step), constants) for step, choice in enumerate(choices)
    ]
    for turns in strips:
        layers[turns.step]["calls"] = _turns(name, graph, choices, plan, turns, constants)
    return {
        "name": name,
        "upper": name.upper(),
        "source": graph.source,
        "sha256": graph.sha256,
        "sha256_body": array_body(np.frombuffer(bytes.fromhex(graph.sha256), np.uint8)),
        "arena_bytes": plan.arena_bytes,
        "inputs": [_io(graph.tensors[t], plan.tensors[t]) for t in graph.inputs],
        "outputs": [_io(graph.tensors[t], plan.tensors[t]) for t in graph.outputs],
        "layers": layers,
        "moves": any(isinstance(part, Move) for turns in strips for part in turns.schedule),
        "table": _table(layers),
        "state": _state(plan),
    }


def _state(plan: Plan) -> dict[str, Any]:
    """What is kept between calls; initial: empty where it is all zero."""
    initial = np.frombuffer(plan.state.initial, np.uint8)
    copies = [f"memcpy(s + {c.offset}, {_at(plan, c.tensor)}, {c.bytes}u);" for c in plan.state.copies]
    return {"bytes": plan.state.size, "initial": array_body(initial) if initial.any() else "", "copies": copies}


def _at(plan: Plan, tensor: int, offset: int = 0) -> str:
    """Where a tensor lies: in the arena, or among what is kept."""
    kept = plan.state.offsets.get(tensor)
    return f"a + {plan.tensors[tensor] + offset}" if kept is None else f"s + {kept + offset}"


def _io(tensor: Tensor, offset: int) -> dict[str, Any]:
    shape = "x".join(map(str, tensor.shape))
    about = f"{tensor.dtype.value} {shape}"
    quantized = tensor.quant is not None and tensor.dtype in (DType.INT8, DType.UINT8, DType.INT16)
    if quantized and tensor.quant is not None:
        about += f", real = {tensor.quant.scale:.9g} * (q - ({tensor.quant.zero_point}))"
    return {
        "ctype": CTYPES[tensor.dtype],
        "offset": offset,
        "bytes": tensor.nbytes,
        "about": about,
        "quantized": quantized,
        "scale": float_literal(tensor.quant.scale) if tensor.quant else "",
        "zero_point": tensor.quant.zero_point if tensor.quant else 0,
    }


def _layer(
    name: str, graph: Graph, choice: Choice, step: int, plan: Plan, turns: Strips | None, constants: Constants
) -> dict[str, Any]:
    """One layer: its constants, its structs (one for each shape that its calls have), and the calls that run it."""
    op, params, kernel = choice.op, choice.params, choice.kernel
    output = graph.output_of(op)
    layer: dict[str, Any] = {
        "index": step,
        "op": op.kind,
        "name": op.name,
        "shapes": f"{_shape(graph.input_of(op))} -> {_shape(output)}",
        "out": _at(plan, op.outputs[0]),
        "out_bytes": output.nbytes,
        "flash_bytes": choice.flash_bytes,
        "workspace_bytes": choice.workspace_bytes,
        "encoding": choice.encoding or "-",
        "kernel": kernel.symbol if kernel else "-",
        "why": choice.why,
        "weights": int(params.rows.size) if params and params.rows is not None else 0,
        "nnz": int(np.count_nonzero(params.rows)) if params and params.rows is not None else 0,
        "macs": params.macs if params else 0,
        "rows_shape": "-",
        "arrays": [],
        "structs": [],
        "calls": [],
        "streamed": turns is not None and turns.step == step,
        "symbols": [],
        "remark": _remark(graph, choice, step, plan, turns),
    }
    if params is None or kernel is None or choice.packed is None:
        return layer
    prefix = f"{name}_{op.name}"
    owned = constants.owned(prefix, choice.packed.arrays)
    layer["arrays"] = [c_array(prefix, array) for array in owned]
    layer["flash_bytes"] = sum(array.flash_bytes for array in owned)
    for symbol, packed in _structs(prefix, step, choice.packed, turns).items():
        body = struct_body(struct_members(prefix, packed, constants.symbol))
        layer["structs"].append({"ctype": kernel.ctype, "symbol": symbol, "body": body})
    layer["symbols"] = [part["symbol"] for part in (*layer["structs"], *layer["arrays"])]
    if turns is None:
        layer["calls"] = [_call(graph, choice, step, plan, prefix, prefix, constants)]
    else:
        layer["workspace_bytes"] = row_workspace(choice, turns, step)
    if layer["streamed"] and turns is not None:
        layer["out_bytes"] = 0
    weights = graph.input_of(op, 1)
    if weights is not None and params.rows is not None:
        layer["rows_shape"] = _shape(weights)
    return layer


def _remark(graph: Graph, choice: Choice, step: int, plan: Plan, turns: Strips | None) -> str:
    """What a layer's comment says of its memory, and where the file has it if that is elsewhere."""
    text = ""
    if choice.kernel is None:
        text = ", the same memory"
    elif turns is not None and turns.step == step:
        text = ", by turns with the next layer, some rows at a time"
    elif step in plan.in_place:
        text = ", over its input"
    elif any(made == step for made, _ in plan.inside):
        text = f", {_listed(sorted(place for made, place in plan.inside if made == step))} already in its place"
    function = f", subgraph {graph.subgraph}" if graph.subgraph else ""
    return text + (f"; operator {choice.op.index} of the file{function}" if choice.op.index != step else "")


def _listed(places: Sequence[int]) -> str:
    """Numbers of inputs, counted from 0."""
    many = "inputs" if len(places) > 1 else "input"
    return f"{many} {', '.join(map(str, places))}"


def _structs(prefix: str, step: int, whole: Packed, turns: Strips | None) -> dict[str, Packed]:
    """Symbols of a layer's structs: one, or one for each shape of its calls."""
    if turns is None:
        return {prefix: whole}
    calls = [call for call in turns.packed if call.step == step]
    packed = list(dict.fromkeys(turns.packed[call] for call in calls))
    return {prefix if len(packed) == 1 else f"{prefix}_rows{i}": part for i, part in enumerate(packed)}


def _turns(
    name: str, graph: Graph, choices: Sequence[Choice], plan: Plan, turns: Strips, constants: Constants
) -> list[str]:
    """The statements of two layers that run by turns."""
    symbols: dict[Packed, str] = {}
    for step in (turns.step, turns.step + 1):
        whole = choices[step].packed
        assert whole is not None
        named = _structs(f"{name}_{choices[step].op.name}", step, whole, turns)
        symbols |= {packed: symbol for symbol, packed in named.items()}
    lines = []
    for part in turns.schedule:
        if isinstance(part, Move):
            start = plan.tensors[turns.tensor]
            lines.append(f"memmove(a + {start}, a + {start + part.offset}, {part.bytes}u);")
        else:
            choice = choices[part.step]
            prefix = f"{name}_{choice.op.name}"
            offsets = (part.in_offset, part.out_offset)
            struct = symbols[turns.packed[part]]
            lines.append(_call(graph, choice, part.step, plan, struct, prefix, constants, offsets))
            output = plan.tensors[choice.op.outputs[0]] + part.out_offset
            lines.append(f"MP_LAYER_PART({part.step}u, a + {output}, {part.streamed_bytes}u);")
    return lines


def c_symbol(prefix: str, array: Array) -> str:
    return f"{prefix}_{array.member.rpartition('.')[2]}"


def struct_members(prefix: str, packed: Packed, symbol: Callable[[str, Array], str] = c_symbol) -> dict[str, Value]:
    """Members of a layer's struct, with pointers to its arrays put in."""
    fields: dict[str, Value] = {k: dict(v) if isinstance(v, dict) else v for k, v in packed.fields.items()}
    for array in packed.arrays:
        if array.member.startswith(CONSTANT_INPUT):
            continue
        *path, member = array.member.split(".")
        target = fields
        for part in path:
            target = target[part]  # type: ignore[assignment]
        target[member] = symbol(prefix, array)
    return fields


def c_array(prefix: str, array: Array) -> dict[str, Any]:
    """A constant array for the templates: ctype, symbol, length, body."""
    return {
        "ctype": array.ctype,
        "symbol": c_symbol(prefix, array),
        "length": max(array.data.size, 1),
        "body": array_body(array.data),
    }


def _call(
    graph: Graph,
    choice: Choice,
    step: int,
    plan: Plan,
    struct: str,
    prefix: str,
    constants: Constants,
    offsets: tuple[int, int] = (0, 0),
) -> str:
    """The call of a kernel; offsets: bytes behind the start of input and output."""
    assert choice.params is not None and choice.kernel is not None and choice.packed is not None
    given = {array.member: array for array in choice.packed.arrays}
    arguments = []
    for place, tensor in enumerate(choice.params.inputs):
        ctype = CTYPES[graph.tensors[tensor].dtype]
        if graph.tensors[tensor].data is not None:
            arguments.append(constants.symbol(prefix, given[constant_input(place)]))
            continue
        arguments.append(f"(const {ctype} *)({_at(plan, tensor, offsets[0])})")
    if choice.kernel.takes_list:
        arguments = ["(const void *const[]){" + ", ".join(arguments) + "}"]
    arguments.insert(0, f"&{struct}")
    for tensor in choice.params.states:
        arguments.append(f"({CTYPES[graph.tensors[tensor].dtype]} *)({_at(plan, tensor)})")
    ctype = CTYPES[graph.tensors[choice.params.output].dtype]
    arguments.append(f"({ctype} *)({_at(plan, choice.params.output, offsets[1])})")
    if choice.kernel.takes_workspace:
        arguments.append(f"a + {plan.workspaces[step]}" if step in plan.workspaces else "NULL")
    return f"{choice.kernel.symbol}({', '.join(arguments)});"


def _shape(tensor: Tensor | None) -> str:
    return "(" + ",".join(map(str, tensor.shape)) + ")" if tensor else "()"


def _table(layers: list[dict[str, Any]]) -> list[str]:
    """The table of layers in the banner of the model's C file."""
    head = ("layer", "weights OHWI", "encoding", "nnz", "flash_bytes", "kernel")
    rows = [
        (
            layer["name"],
            layer["rows_shape"],
            layer["encoding"],
            f"{layer['nnz']}/{layer['weights']}" if layer["weights"] else "-",
            str(layer["flash_bytes"]),
            layer["kernel"],
        )
        for layer in layers
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    ]
