"""From a planned model to what the templates print: symbols, arrays, structs, calls, the banner's table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcuprune.emit.c_text import array_body, struct_body
from mcuprune.encodings import Array
from mcuprune.ir.graph import DType, Graph, Tensor
from mcuprune.kernels.choose import Choice
from mcuprune.kernels.kernel import Packed
from mcuprune.kernels.params import CONSTANT_INPUT, Value
from mcuprune.plan.arena import Plan

CTYPES = {DType.INT8: "int8_t", DType.INT32: "int32_t", DType.FLOAT32: "float"}


def model_context(name: str, graph: Graph, choices: Sequence[Choice], plan: Plan) -> dict[str, Any]:
    """The variable `m` of the templates."""
    layers = [_layer(name, graph, choice, step, plan) for step, choice in enumerate(choices)]
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
        "table": _table(layers),
    }


def _io(tensor: Tensor, offset: int) -> dict[str, Any]:
    shape = "x".join(map(str, tensor.shape))
    about = f"{tensor.dtype.value} {shape}"
    quantized = tensor.quant is not None and tensor.dtype is DType.INT8
    if quantized and tensor.quant is not None:
        about += f", real = {tensor.quant.scale:.9g} * (q - ({tensor.quant.zero_point}))"
    return {
        "ctype": CTYPES[tensor.dtype],
        "offset": offset,
        "bytes": tensor.nbytes,
        "about": about,
        "quantized": quantized,
        "scale": f"{tensor.quant.scale:.9g}f" if tensor.quant else "",
        "zero_point": tensor.quant.zero_point if tensor.quant else 0,
    }


def _layer(name: str, graph: Graph, choice: Choice, step: int, plan: Plan) -> dict[str, Any]:
    """One layer: its constants, its struct, and the call that runs it."""
    op, params, kernel = choice.op, choice.params, choice.kernel
    output = graph.output_of(op)
    layer: dict[str, Any] = {
        "index": step,
        "op": op.kind,
        "name": op.name,
        "shapes": f"{_shape(graph.input_of(op))} -> {_shape(output)}",
        "out_offset": plan.tensors[op.outputs[0]],
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
        "struct": None,
        "call": None,
        "symbols": [],
        "remark": ", the same memory" if kernel is None else ", over its input" if step in plan.in_place else "",
    }
    if params is None or kernel is None or choice.packed is None:
        return layer
    prefix = f"{name}_{op.name}"
    layer["arrays"] = [c_array(prefix, array) for array in choice.packed.arrays]
    layer["struct"] = {
        "ctype": kernel.ctype,
        "symbol": prefix,
        "body": struct_body(struct_members(prefix, choice.packed)),
    }
    layer["symbols"] = [prefix, *(array["symbol"] for array in layer["arrays"])]
    layer["call"] = _call(graph, choice, step, plan, prefix)
    weights = graph.input_of(op, 1)
    if weights is not None and params.rows is not None:
        layer["rows_shape"] = _shape(weights)
    return layer


def struct_members(prefix: str, packed: Packed) -> dict[str, Value]:
    """Members of a layer's struct, with pointers to its arrays put in."""
    fields: dict[str, Value] = {k: dict(v) if isinstance(v, dict) else v for k, v in packed.fields.items()}
    for array in packed.arrays:
        if array.member == CONSTANT_INPUT:
            continue
        *path, member = array.member.split(".")
        target = fields
        for part in path:
            target = target[part]  # type: ignore[assignment]
        target[member] = _symbol(prefix, array)
    return fields


def _symbol(prefix: str, array: Array) -> str:
    return f"{prefix}_{array.member.rpartition('.')[2]}"


def c_array(prefix: str, array: Array) -> dict[str, Any]:
    """A constant array for the templates: ctype, symbol, length, body."""
    return {
        "ctype": array.ctype,
        "symbol": _symbol(prefix, array),
        "length": max(array.data.size, 1),
        "body": array_body(array.data),
    }


def _call(graph: Graph, choice: Choice, step: int, plan: Plan, prefix: str) -> str:
    assert choice.params is not None and choice.kernel is not None
    arguments = [f"&{prefix}"]
    for tensor in choice.params.inputs:
        ctype = CTYPES[graph.tensors[tensor].dtype]
        if graph.tensors[tensor].data is not None:
            arguments.append(f"{prefix}_{CONSTANT_INPUT}")
            continue
        arguments.append(f"(const {ctype} *)(a + {plan.tensors[tensor]})")
    ctype = CTYPES[graph.tensors[choice.params.output].dtype]
    arguments.append(f"({ctype} *)(a + {plan.tensors[choice.params.output]})")
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
