"""What the manifest tells people of a choice and of the arena: rivals, sizes beside the bound, buffers."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcuprune.encodings.bound import bound_bytes
from mcuprune.ir.graph import Graph, Tensor
from mcuprune.kernels.choose import Choice
from mcuprune.plan.arena import WORKSPACE, Plan


def layer_shapes(graph: Graph, choice: Choice) -> dict[str, Any]:
    """Shapes of input, output and weights; null where there is none."""
    op = choice.op
    weights = graph.input_of(op, 1) if choice.params is not None and choice.params.rows is not None else None
    return {
        "input_shape": _shape(graph.input_of(op)),
        "output_shape": _shape(graph.output_of(op)),
        "weights_shape": _shape(weights),
    }


def storage(choice: Choice) -> dict[str, Any]:
    """Bytes a nonzero, and values and indices alone beside the least they could take; null without weights."""
    rows = choice.params.rows if choice.params is not None else None
    if rows is None or choice.packed is None:
        return dict.fromkeys(("bytes_per_nonzero", "stream_bytes", "bound_bytes", "over_bound"))
    nonzeros, stream, bound = int(np.count_nonzero(rows)), choice.packed.stream_bytes, bound_bytes(rows)
    return {
        "bytes_per_nonzero": round(choice.flash_bytes / nonzeros, 4) if nonzeros else None,
        "stream_bytes": stream,
        "bound_bytes": bound,
        "over_bound": round(stream / bound - 1, 4) if bound else None,
    }


def candidates(choice: Choice) -> list[dict[str, Any]]:
    """Everything that could have served the layer, with what was predicted of it; the chosen one is marked."""
    return [
        {
            "encoding": c.encoding or "-",
            "isa": c.kernel.isa,
            "kernel": c.kernel.symbol,
            "instructions": round(c.cost.instructions),
            "cycles": round(c.cost.cycles),
            "flash_bytes": c.flash_bytes,
            "chosen": c.kernel is choice.kernel and c.encoding == choice.encoding,
        }
        for c in choice.found
        if c.kernel is not None
    ]


def buffers(graph: Graph, plan: Plan) -> list[dict[str, Any]]:
    """Stretches of the arena: live in steps first..last, -1 being before the first layer.

    layer: the one that fills it, or whose workspace it is; null for inputs of the model.
    """
    made = {graph.tensors[tensor].name: op.name for op in graph.ops for tensor in op.outputs}
    names = {tensor.name for tensor in graph.tensors}
    found = []
    for b in sorted(plan.buffers, key=lambda b: (b.first, b.offset, b.label)):
        own = b.label.startswith(WORKSPACE) and b.label not in names
        layer = graph.ops[b.first].name if own else made.get(b.label)
        found.append(
            {
                "label": b.label,
                "layer": layer,
                "workspace": own,
                "bytes": b.bytes,
                "offset": b.offset,
                "first": b.first,
                "last": b.last,
            }
        )
    return found


def _shape(tensor: Tensor | None) -> list[int] | None:
    return list(tensor.shape) if tensor is not None else None
