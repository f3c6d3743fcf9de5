"""Another implementation's figures beside ours: a file of baselines, matched by the sequence of layers.

The file is JSON: models{NAME: {layers[{op, shape, instr{CORE: N}, m4_cycles}], totals}}. Shapes are written as
`KHxKWsSYxSX HxWxC->HxWxC` for convolutions, `INPUTS->OUTPUTS` for fully-connected layers, else the input's `HxWxC`.
Operators that only move or convert data have no entry.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mcuprune.errors import DataError
from mcuprune.ir.attributes import ConvAttrs
from mcuprune.ir.graph import Graph, Op
from mcuprune.profile.result import Baseline, LayerProfile, Profile, total

EXCLUDED = ("QUANTIZE", "DEQUANTIZE", "RESHAPE")

_FORM = "it needs models{NAME: {layers[{op, shape, instr{CORE: N}}]}}; docs/profile.md says more"
_CORES = {"cortex-m4f": "m4", "cortex-m0plus": "m0"}  # others lose their "cortex-"


def compare(profile: Profile, graph: Graph, path: Path) -> Profile:
    """The profile with the file's figures for the same layers.

    Args:
        graph: the model as it was imported, before any pass.
    Raises:
        DataError: the file cannot be read, or holds no model with these layers.
    """
    models = _models(path)
    wanted = [(op.name, op.kind, shape_of(graph, op)) for op in graph.ops if op.kind not in EXCLUDED]
    key = [(kind, shape) for _, kind, shape in wanted]
    same = [name for name, entries in models.items() if [(e["op"], e["shape"]) for e in entries] == key]
    if not same:
        raise _no_match(key, models, graph, path)
    name, entries = same[0], models[same[0]]
    core = _CORES.get(profile.core, profile.core.removeprefix("cortex-"))
    found = {layer: _baseline(entry, core) for (layer, _, _), entry in zip(wanted, entries, strict=True)}
    layers = [_with(layer, found) for layer in profile.layers]
    figures = list(found.values())
    whole = Baseline(total([b.instructions for b in figures]), total([b.cycles for b in figures]))
    return replace(profile, layers=tuple(layers), against=f"{path.stem}, {name}", baseline=whole)


def shape_of(graph: Graph, op: Op) -> str:
    """An operator's shape in the words of the file."""
    source, result = graph.input_of(op), graph.output_of(op)
    assert source is not None
    if op.kind == "FULLY_CONNECTED":
        weights = graph.input_of(op, 1)
        assert weights is not None
        return f"{weights.shape[1]}->{weights.shape[0]}"
    if isinstance(op.attrs, ConvAttrs):
        weights = graph.input_of(op, 1)
        assert weights is not None
        kernel, stride = _by(weights.shape[1:3]), _by(op.attrs.stride)
        return f"{kernel}s{stride} {_by(source.shape[1:])}->{_by(result.shape[1:])}"
    return _by(source.shape[1:])


def _by(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def _models(path: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise DataError(
            f"the baselines cannot be read: {fault.strerror}",
            where=f"--against {path}",
            hint="name a file of baselines",
        ) from None
    except ValueError:
        raise DataError("the file is no JSON", where=f"--against {path}", hint=_FORM) from None
    try:
        found = {name: list(model["layers"]) for name, model in content["models"].items()}
        for entries in found.values():
            for entry in entries:
                _ = entry["op"], entry["shape"]
                if not all(isinstance(n, int | None) for n in (*entry["instr"].values(), entry.get("m4_cycles"))):
                    raise TypeError
    except (KeyError, TypeError, AttributeError):
        raise DataError("the file holds no baselines", where=f"--against {path}", hint=_FORM) from None
    return found


def _baseline(entry: dict[str, Any], core: str) -> Baseline:
    return Baseline(entry["instr"].get(core), entry.get("m4_cycles") if core == "m4" else None)


def _with(layer: LayerProfile, found: dict[str, Baseline]) -> LayerProfile:
    return replace(layer, baseline=found.get(layer.name))


def _no_match(
    key: list[tuple[str, str]], models: dict[str, list[dict[str, Any]]], graph: Graph, path: Path
) -> DataError:
    """Says how far the most similar model goes along."""

    def common(entries: list[dict[str, Any]]) -> int:
        pairs = zip(entries, key, strict=False)
        return next((i for i, (e, k) in enumerate(pairs) if (e["op"], e["shape"]) != k), min(len(entries), len(key)))

    names = ", ".join(models) or "nothing"
    best = max(models, key=lambda name: common(models[name]), default=None)
    where = f"--against {path}"
    what = f"none of its models has the layers of {graph.source}; it holds {names}"
    if best is not None and common(models[best]) > 0:
        at = common(models[best])
        ours = " ".join(key[at]) if at < len(key) else "nothing"
        theirs = f"{models[best][at]['op']} {models[best][at]['shape']}" if at < len(models[best]) else "nothing"
        what += f". {best} agrees for {at} layers, then has {theirs} where the model has {ours}"
    return DataError(what, where=where, hint="leave --against out, or name a file with this model's baselines")
