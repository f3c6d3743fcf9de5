"""What a report says, worked out of a folder's manifest, its image, and what `profile` and `check` printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcuprune.build.folder import Folder
from mcuprune.build.sizes import Sizes
from mcuprune.report import pictures
from mcuprune.report.arena import arena_picture
from mcuprune.report.text import grouped, kilobytes, millions, percent, shape, signed

Json = Mapping[str, Any]


def report_view(folder: Folder, sizes: Sizes, profile: Json | None, check: Json | None) -> dict[str, Any]:
    """The variables of the template.

    Args:
        profile, check: what these verbs print with --json, of this very build (require_given()); None where they were
            not run.
    """
    manifest = folder.manifest
    longest = max((_cost(profile, entry) for entry in profile["layers"]), default=0) if profile is not None else 0
    layers = [_layer(layer, sizes, profile, longest) for layer in manifest["layers"]]
    return {
        "name": folder.name,
        "manifest": manifest,
        "board": folder.board,
        "sizes": sizes,
        "profile": profile,
        "unit": _unit(profile),
        "second": _unit(profile) == "modelled cycles",
        "against": any(layer["against"] for layer in layers),
        "check": check,
        "matrix": _matrix(check) if check is not None else None,
        "tiles": _tiles(folder, sizes, profile, check),
        "layers": layers,
        "totals": _totals(manifest, sizes, profile),
        "choices": [_choice(layer, sizes) for layer in manifest["layers"] if layer["weights"]],
        "flash_parts": (parts := _flash_parts(manifest, sizes)),
        "flash_picture": pictures.flash_picture(parts, sizes.flash_bytes),
        "flash_legend": [kind for kind in _LEGEND if any(part["style"] == kind[0] for part in parts)],
        "arena_picture": arena_picture(manifest),
        "strips": [_strip(strip, manifest) for strip in manifest["strips"]],
        "hashes": {
            "model": manifest["model"]["sha256"],
            "build": sizes.build_id,
        },
    }


_LEGEND = (
    ("conv", "convolution"),
    ("depthwise", "depthwise convolution"),
    ("full", "fully connected"),
    ("other", "other layers"),
    ("code", "kernels and model code"),
    ("runtime", "runtime, link and drivers"),
    ("tables", "tables, vectors, initial data"),
)


def _unit(profile: Json | None) -> str:
    """What the costs of layers are: the best figure that there is."""
    if profile is None:
        return ""
    kind = next((k for k in ("measured_cycles", "modelled_cycles") if profile["totals"].get(k)), "instructions")
    return kind.replace("_", " ")


def _cost(profile: Json | None, entry: Json) -> int:
    return int(entry.get(_unit(profile).replace(" ", "_")) or 0)


def _layer(layer: Json, sizes: Sizes, profile: Json | None, longest: int) -> dict[str, Any]:
    """A row of the table of layers. longest: cost of the dearest layer, which has the whole bar."""
    entry = next((e for e in profile["layers"] if e["name"] == layer["name"]), None) if profile else None
    whole = _cost(profile, profile["totals"]) if profile else 0
    cost = _cost(profile, entry) if entry else 0
    ratios = (entry.get("against") or {}) if entry else {}
    ratio = ratios.get("cycles_ratio") or ratios.get("instructions_ratio")
    nonzero = layer["macs"] * layer["nnz"] // layer["weights"] if layer["weights"] else layer["macs"]
    return {
        "index": layer["index"],
        "name": layer["name"],
        "op": layer["op"],
        "style": pictures.CLASSES.get(layer["op"], "other"),
        "shape": f"{shape(layer['input_shape'])} → {shape(layer['output_shape'])}",
        "macs": grouped(layer["macs"]) if layer["macs"] else "–",
        "nonzero": percent(nonzero, layer["macs"]) if layer["macs"] else "–",
        "encoding": layer["encoding"] if layer["encoding"] != "-" else "–",
        "kernel": layer["kernel"] if layer["kernel"] != "-" else "–",
        "flash": grouped(sizes.layers[layer["name"]]),
        "instructions": _number(entry, "instructions"),
        "cost": grouped(cost) if cost else "–",
        "per_mac": f"{cost / layer['macs']:.2f}" if cost and layer["macs"] else "–",
        "per_nonzero": f"{cost / nonzero:.2f}" if cost and nonzero and layer["macs"] else "–",
        "share": percent(cost, whole) if entry else "–",
        "bar": f"{100 * cost / longest:.2f}" if longest else "0",
        "against": f"{ratio:.2f}×" if ratio else "",
    }


def _number(entry: Json | None, key: str) -> str:
    return grouped(entry[key]) if entry is not None and entry.get(key) is not None else "–"


def _totals(manifest: Json, sizes: Sizes, profile: Json | None) -> dict[str, str]:
    """The last row of the table of layers."""
    macs = manifest["totals"]["macs"]
    nonzero = _nonzero_macs(manifest)
    cost = _cost(profile, profile["totals"]) if profile else 0
    ratios = (profile["totals"].get("against") or {}) if profile else {}
    ratio = ratios.get("cycles_ratio") or ratios.get("instructions_ratio")
    return {
        "macs": grouped(macs),
        "nonzero": percent(nonzero, macs),
        "flash": grouped(sizes.weight_flash_bytes),
        "instructions": _number(profile["totals"], "instructions") if profile else "–",
        "cost": grouped(cost) if cost else "–",
        "per_mac": f"{cost / macs:.2f}" if cost and macs else "–",
        "per_nonzero": f"{cost / nonzero:.2f}" if cost and nonzero else "–",
        "against": f"{ratio:.2f}×" if ratio else "",
    }


def _nonzero_macs(manifest: Json) -> int:
    return sum(
        layer["macs"] * layer["nnz"] // layer["weights"] if layer["weights"] else layer["macs"]
        for layer in manifest["layers"]
    )


def _tiles(folder: Folder, sizes: Sizes, profile: Json | None, check: Json | None) -> list[dict[str, str]]:
    """The few numbers that everybody asks for."""
    totals, board = folder.manifest["totals"], folder.board
    tiles = []
    if check is not None:
        results = check["results"]
        low, high = results["accuracy_interval"]
        exact = "every output byte exact" if results["bit_exact"] == results["samples"] else "outputs differ"
        about = f"{results['correct']} of {results['samples']} samples, 95% interval {low:.1%} to {high:.1%}; {exact}"
        tiles.append({"name": "accuracy on the board", "value": f"{results['accuracy']:.2%}", "about": about})
    if profile is not None:
        cost = _cost(profile, profile["totals"])
        about = f"one inference on {board.core.name}"
        instructions = profile["totals"]["instructions"]
        if _unit(profile) != "instructions":
            about += f", {cost / board.clock_hz * 1e3:.1f} ms at {board.clock_hz / 1e6:g} MHz"
            about += f"; {millions(instructions)} instructions" if instructions else ""
        tiles.append({"name": _unit(profile), "value": millions(cost), "about": about})
    nonzero = percent(_nonzero_macs(folder.manifest), totals["macs"])
    removed = totals["removed"]["macs"]
    about = f"{nonzero} by weights that are not zero" + (
        f"; {millions(removed)} removed with dead channels" * bool(removed)
    )
    tiles.append({"name": "multiplications", "value": millions(totals["macs"]), "about": about})
    free = f"{percent(sizes.flash_bytes, board.flash.bytes)} of the board's {kilobytes(board.flash.bytes)}"
    about = f"{kilobytes(sizes.weight_flash_bytes)} of it weights and parameters; {free}"
    tiles.append({"name": "flash", "value": kilobytes(sizes.flash_bytes), "about": about})
    about = (
        f"{kilobytes(sizes.arena_bytes)} of it the arena; {percent(sizes.ram_bytes, board.ram.bytes)} of the board's"
    )
    tiles.append({"name": "RAM", "value": kilobytes(sizes.ram_bytes), "about": about})
    if totals["bound_bytes"]:
        over = totals["stream_bytes"] / totals["bound_bytes"] - 1
        about = f"{signed(over)} of the bound, H(mask) + 8 bits a nonzero, {kilobytes(totals['bound_bytes'])}"
        tiles.append({"name": "values and indices", "value": kilobytes(totals["stream_bytes"]), "about": about})
    return tiles


def _choice(layer: Json, sizes: Sizes) -> dict[str, Any]:
    """A layer with weights: what was chosen, the next best, and all candidates."""
    found = [_candidate(c) for c in layer["candidates"]]
    dense = min(
        (c for c in found if c["encoding"] == "dense"), key=lambda c: (not c["effort"], c["effort"]), default=found[0]
    )
    for c in found:
        c["speed"] = f"{c['effort'] / dense['effort']:.2f}×" if c["effort"] and dense["effort"] else "–"
        c["size"] = f"{c['flash_bytes'] / dense['flash_bytes']:.2f}×" if dense["flash_bytes"] else "–"
    found.sort(key=lambda c: (not c["chosen"], c["effort"], c["flash_bytes"]))
    known = [c for c in found if c["effort"]]
    picture = {
        "index": layer["index"],
        "name": layer["name"],
        "candidates": known,
        "unit": found[0]["unit"],
    }
    return {
        "index": layer["index"],
        "name": layer["name"],
        "shape": shape(layer["weights_shape"]),
        "density": percent(layer["nnz"], layer["weights"]),
        "encoding": layer["encoding"],
        "why": layer["why"] or "the only candidate",
        "per_nonzero": f"{sizes.layers[layer['name']] / layer['nnz']:.2f}" if layer["nnz"] else "–",
        "stream": kilobytes(layer["stream_bytes"]),
        "bound": kilobytes(layer["bound_bytes"]),
        "over": "–" if layer["over_bound"] is None else signed(layer["over_bound"]),
        "candidates": found,
        "picture": pictures.candidates_picture(picture) if found[0] in known and len(known) > 2 else "",
    }


def _candidate(candidate: Json) -> dict[str, Any]:
    return {
        **candidate,
        "label": f"{candidate['encoding']}/{candidate['isa']}",
        "effort": candidate["cycles"] or candidate["instructions"],
        "unit": "cycles" if candidate["cycles"] else "instructions",
        "flash": grouped(candidate["flash_bytes"]),
    }


def _flash_parts(manifest: Json, sizes: Sizes) -> list[dict[str, Any]]:
    """Everything in flash: layers, functions, the rest."""
    parts: list[dict[str, Any]] = [
        {
            "label": layer["name"],
            "bytes": sizes.layers[layer["name"]],
            "kind": layer["op"],
            "about": f"{layer['encoding']}, {layer['kernel']}",
        }
        for layer in manifest["layers"]
    ]
    parts += [
        {"label": name, "bytes": size, "kind": "code", "about": "kernels and model code"}
        for name, size in sorted(sizes.functions.items())
    ]
    for name, kind in (("runtime, link and drivers", "runtime"), ("tables, vectors, initial data", "tables")):
        parts.append({"label": name, "bytes": sizes.flash[name], "kind": kind, "about": "the checking firmware"})
    for part in (kept := [part for part in parts if part["bytes"]]):
        part["style"] = pictures.CLASSES.get(part["kind"], "other")
        part["size"] = grouped(part["bytes"])
        part["share"] = percent(part["bytes"], sizes.flash_bytes)
    return sorted(kept, key=lambda p: (-p["bytes"], p["label"]))


def _strip(strip: Json, manifest: Json) -> str:
    """A tensor of which only some rows exist at a time."""
    turns = " and ".join(dict.fromkeys(manifest["layers"][step]["name"] for step in strip["calls"]))
    return (
        f"{turns} run by turns, {strip['rows']} output rows at a time: {kilobytes(strip['buffer_bytes'])} between them "
        f"where the whole would be {kilobytes(strip['whole_bytes'])}."
    )


def _matrix(check: Json) -> dict[str, Any]:
    """The confusion matrix, shaded by the share of a label's samples."""
    rows = []
    names = check["results"]["class_names"]
    for name, row in zip(names, check["results"]["confusion"], strict=True):
        whole = max(sum(row), 1)
        rows.append({"name": name, "cells": [{"n": n, "shade": f"{0.6 * n / whole:.2f}"} for n in row]})
    return {"names": names, "rows": rows}
