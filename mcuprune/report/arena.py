"""The arena over time, as a picture and as text: who lies where in it while the layers run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from string import ascii_letters
from typing import Any

from mcuprune.plan.blocks import covered
from mcuprune.report.pictures import WIDTH, svg
from mcuprune.report.text import fitted, kilobytes

Json = Mapping[str, Any]

_STYLE = """<style>
svg { font: 11px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; background: #fff; }
text { fill: #1c2127; } .dim { fill: #5b6470; } rect { stroke: #00000030; }
.live { fill: #a9c9ee; } .scratch { fill: #f6cf9b; } .grid { stroke: #dde2e8; }
.peak { stroke: #2f6db3; stroke-dasharray: 5 4; }
</style>"""
"""Of a picture in a file of its own; in a report the page has the colours."""

ROWS = 20
"""Lines of the text picture."""

COLUMNS = 120
"""And its width; longer models have several steps in a column."""


def arena_file(manifest: Json) -> str:
    """The picture as a file of its own."""
    return arena_picture(manifest).replace("\n", f"\n{_STYLE}\n", 1) + "\n"


def live_bytes(buffers: Sequence[Json], layers: int) -> list[int]:
    """By step from -1 (before the first layer) to the number of layers (after the last), the addresses in use."""
    return [covered(sorted((b["offset"], b["offset"] + b["bytes"]) for b in now)) for now in _by_step(buffers, layers)]


def _by_step(buffers: Sequence[Json], layers: int) -> Iterator[list[Json]]:
    for step in range(-1, layers + 1):
        yield [b for b in buffers if b["first"] <= step <= b["last"]]


def arena_text(manifest: Json) -> list[str]:
    """The picture in letters: steps to the right, offsets upwards, one letter a buffer.

    A place shows what covers most of it, of buffers that share it the one that begins. Steps that need the most are
    marked below.
    """
    buffers, layers = manifest["buffers"], len(manifest["layers"])
    size = max(manifest["totals"]["arena_bytes"], 1)
    letters = {i: ascii_letters[i % len(ascii_letters)] for i in range(len(buffers))}
    together = -(-(layers + 2) // COLUMNS)
    steps = list(range(-1, layers + 1, together))
    wide = 2 if len(steps) * 2 <= COLUMNS else 1
    rows = min(ROWS, -(-size // 4))
    margin = len(str(size))
    lines = []
    for row in reversed(range(rows)):
        low, high = row * size // rows, (row + 1) * size // rows
        cells = (_cell(buffers, letters, range(step, step + together), low, high) for step in steps)
        lines.append(f"{low:>{margin}} |" + "".join(cell * wide for cell in cells).rstrip())
    lines.append(" " * margin + " +" + "-" * (wide * len(steps)))
    live = live_bytes(buffers, layers)
    full = [any(live[i + 1] == max(live) for i in range(s, min(s + together, layers + 1))) for s in steps]
    lines.append(" " * margin + "  " + "".join(("^" if mark else " ") * wide for mark in full).rstrip())
    return [*lines, *_ticks(steps, wide, margin)]


def _cell(buffers: Sequence[Json], letters: Mapping[int, str], steps: range, low: int, high: int) -> str:
    """The letter of what covers most of a stretch of addresses; a dot where at most half of it is in use."""
    found, most = ".", (high - low) / 2
    for i, b in enumerate(buffers):
        if b["first"] < steps.stop and steps.start <= b["last"]:
            covered = min(high, b["offset"] + b["bytes"]) - max(low, b["offset"])
            if covered >= most and covered > 0:
                found, most = letters[i], covered
    return found


def _ticks(steps: Sequence[int], wide: int, margin: int) -> list[str]:
    """Numbers of steps under every tenth layer."""
    line = ""
    for place, step in enumerate(steps):
        if step >= 0 and step % 10 == 0 and len(line) <= place * wide:
            line = line.ljust(place * wide) + str(step)
    return [" " * margin + "  " + line]


def buffer_rows(manifest: Json) -> list[tuple[str, ...]]:
    """Letter, the layer that fills it, bytes, offset and life of each buffer, for a table."""
    return [
        (
            ascii_letters[i % len(ascii_letters)],
            str(b["label"] if b["workspace"] else b["layer"] or "input"),
            str(b["bytes"]),
            str(b["offset"]),
            f"{b['first']}..{b['last']}",
        )
        for i, b in enumerate(manifest["buffers"])
    ]


def peak_layers(manifest: Json) -> list[str]:
    """Names of the layers that need the most."""
    layers = manifest["layers"]
    live = live_bytes(manifest["buffers"], len(layers))
    return [layer["name"] for step, layer in enumerate(layers) if live[step + 1] == max(live)]


def arena_picture(manifest: Json) -> str:
    """Buffers as rectangles: steps to the right, offsets upwards.

    A column for the input stands before the layers', one for the output behind them.
    """
    buffers, totals = manifest["buffers"], manifest["totals"]
    layers = [layer["name"] for layer in manifest["layers"]]
    arena_bytes, bound = totals["arena_bytes"], totals["arena_lower_bound_bytes"]
    left, right, top, height, names = 70, 14, 26, 300, 120
    columns = ["input", *layers, "output"]
    step = (WIDTH - left - right) / len(columns)
    scale = height / max(arena_bytes, 1)
    bottom = top + height
    body = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - share * height
        body.append(f'<line class="grid" x1="{left}" x2="{WIDTH - right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        size = kilobytes(round(share * arena_bytes))
        body.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end" class="dim">{size}</text>')
    for buffer in buffers:
        body.append(_buffer(buffer, buffers, left, bottom, step, scale))
    body.append(f'<line class="peak" x1="{left}" x2="{WIDTH - right}" y1="{top}" y2="{top}"/>')
    body.append(f'<text x="{left}" y="{top - 8}">arena {kilobytes(arena_bytes)}, lower bound {kilobytes(bound)}</text>')
    for place, name in enumerate(columns):
        x = left + (place + 0.5) * step + 4
        body.append(
            f'<text x="{x:.1f}" y="{bottom + 12}" text-anchor="end" transform="rotate(-45 {x:.1f} {bottom + 12})" '
            f'class="dim">{escape(fitted(name, names))}</text>'
        )
    about = f"{len(buffers)} buffers over {len(layers)} steps in {arena_bytes} bytes; the table below lists them."
    return svg("arena", "The arena over time", about, bottom + 98, body)


def _buffer(
    buffer: Mapping[str, Any],
    buffers: Sequence[Mapping[str, Any]],
    left: float,
    bottom: float,
    step: float,
    scale: float,
) -> str:
    """Where a buffer lies in one that dies at the step it begins with, or around it, they share that step."""
    over = [b for b in buffers if _meet(buffer, b)]
    first = buffer["first"] + 1 + 0.5 * any(b["last"] == buffer["first"] and b["first"] < buffer["first"] for b in over)
    last = buffer["last"] + 2 - 0.5 * any(b["first"] == buffer["last"] and b["last"] > buffer["last"] for b in over)
    x, width = left + first * step + 1, (last - first) * step - 2
    height = buffer["bytes"] * scale
    y = bottom - (buffer["offset"] + buffer["bytes"]) * scale
    scratch = buffer["workspace"]
    name = "workspace" if scratch else str(buffer["layer"] or "input")
    size = fitted(kilobytes(buffer["bytes"]), width - 8)
    lines = [line for line in (fitted(name, width - 8), size if height >= 30 else "") if line and height >= 14]
    text = "".join(
        f'<text class="{"dim" if i else "name"}" x="{x + width / 2:.1f}" '
        f'y="{y + height / 2 + 11 - 7 * len(lines) + 14 * i:.1f}" text-anchor="middle">{escape(line)}</text>'
        for i, line in enumerate(lines)
    )
    about = f"{buffer['label']}: {kilobytes(buffer['bytes'])} at {buffer['offset']}"
    return (
        f"<g><title>{escape(about)}</title>"
        f'<rect class="{"scratch" if scratch else "live"}" x="{x:.1f}" y="{y + 0.5:.1f}" width="{width:.1f}" '
        f'height="{max(height - 1, 0.8):.1f}" rx="2"/>{text}</g>'
    )


def _meet(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether two buffers share addresses."""
    return a is not b and a["offset"] < b["offset"] + b["bytes"] and b["offset"] < a["offset"] + a["bytes"]
