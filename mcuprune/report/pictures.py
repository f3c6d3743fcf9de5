"""The pictures of a report as inline SVG; colours come from the page's style, so that they follow light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from mcuprune.report.text import fitted, kilobytes, millions, percent
from mcuprune.report.treemap import Box, treemap

WIDTH = 1120
CLASSES: Mapping[str, str] = {
    "CONV_2D": "conv",
    "DEPTHWISE_CONV_2D": "depthwise",
    "FULLY_CONNECTED": "full",
    "code": "code",
    "runtime": "runtime",
    "tables": "tables",
}
"""Style of what a stretch of flash holds; other operators have one together."""


def svg(identity: str, title: str, about: str, height: int, body: Sequence[str], width: int = WIDTH) -> str:
    """A picture with a name and a description that are read out in its place."""
    head = (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="{identity}-title {identity}-about" '
        f'xmlns="http://www.w3.org/2000/svg">'
    )
    names = f'<title id="{identity}-title">{escape(title)}</title><desc id="{identity}-about">{escape(about)}</desc>'
    return "\n".join([head, names, *body, "</svg>"])


def flash_picture(parts: Sequence[Mapping[str, Any]], total: int) -> str:
    """A treemap. parts: {label, bytes, kind, about}, any order."""
    shown = sorted((p for p in parts if p["bytes"] > 0), key=lambda p: (-p["bytes"], p["label"]))
    body = []
    for part, box in zip(shown, treemap([p["bytes"] for p in shown], Box(0, 0, WIDTH, 340)), strict=True):
        body.append(_tile(part, box, total))
    largest = ", ".join(f"{p['label']} {percent(p['bytes'], total)}" for p in shown[:5])
    return svg("flash", "Flash by what lies in it", f"Areas in proportion to bytes. Largest: {largest}.", 340, body)


def _tile(part: Mapping[str, Any], box: Box, total: int) -> str:
    share = f"{kilobytes(part['bytes'])}, {percent(part['bytes'], total)}"
    name = fitted(part["label"], box.width - 14)
    texts = ""
    if name and box.height >= 20:
        texts += f'<text x="{box.x + 8:.1f}" y="{box.y + 17:.1f}">{escape(name)}</text>'
        size = fitted(share, box.width - 14)
        if size and box.height >= 38:
            texts += f'<text x="{box.x + 8:.1f}" y="{box.y + 33:.1f}" class="dim">{escape(size)}</text>'
    return (
        f"<g><title>{escape(part['label'])}: {escape(share)}. {escape(part['about'])}</title>"
        f'<rect class="{CLASSES.get(part["kind"], "other")}" x="{box.x + 1:.1f}" y="{box.y + 1:.1f}" '
        f'width="{max(box.width - 2, 0.5):.1f}" height="{max(box.height - 2, 0.5):.1f}" rx="3"/>{texts}</g>'
    )


def candidates_picture(layer: Mapping[str, Any]) -> str:
    """The candidates of a layer: flash to the right, effort upwards; the chosen one is filled.

    Args:
        layer: {index, name, candidates [{label, flash_bytes, effort, chosen}], unit}.
    """
    width, height, left, bottom, top = 268, 190, 46, 150, 14
    found = layer["candidates"]
    most_flash = max(c["flash_bytes"] for c in found) or 1
    most_effort = max(c["effort"] for c in found) or 1
    body = [
        f'<line class="axis" x1="{left}" x2="{width - 8}" y1="{bottom}" y2="{bottom}"/>',
        f'<line class="axis" x1="{left}" x2="{left}" y1="{top}" y2="{bottom}"/>',
        f'<text class="dim" x="{width - 8}" y="{bottom + 16}" text-anchor="end">{kilobytes(most_flash)}</text>',
        f'<text class="dim" x="{left}" y="{bottom + 16}">0</text>',
        f'<text class="dim" x="{(width + left) / 2}" y="{bottom + 32}" text-anchor="middle">flash</text>',
        f'<text class="dim" x="{left - 6}" y="{top + 8}" text-anchor="end">{millions(most_effort)}</text>',
        f'<text class="dim" x="14" y="{(top + bottom) / 2}" text-anchor="middle" '
        f'transform="rotate(-90 14 {(top + bottom) / 2})">{escape(layer["unit"])}</text>',
    ]
    points = [
        (
            left + c["flash_bytes"] / most_flash * (width - left - 16),
            bottom - c["effort"] / most_effort * (bottom - top - 6),
            c,
        )
        for c in sorted(found, key=lambda c: not c["chosen"])
    ]
    for x, y, c in points:
        about = f"{c['label']}: {kilobytes(c['flash_bytes'])}, {millions(c['effort'])} {layer['unit']}"
        style, radius = ("chosen", 6) if c["chosen"] else ("rival", 4)
        body.append(
            f'<g><title>{escape(about)}</title><circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/></g>'
        )
    body += _labels(points, width)
    chosen = next(c for c in found if c["chosen"])
    about = f"{len(found)} candidates; chosen is {chosen['label']} with {kilobytes(chosen['flash_bytes'])} of flash."
    title = f"Candidates of layer {layer['index']}, {layer['name']}"
    return svg(f"layer-{layer['index']}", title, about, height, body, width)


def _labels(points: Sequence[tuple[float, float, Mapping[str, Any]]], width: float) -> list[str]:
    """Names of points, right or left of them, where they cover neither points nor other names."""
    taken = [(x - 5, x + 5, y) for x, y, _ in points]
    texts = []
    for x, y, c in points:
        long = 6.0 * len(c["label"])
        for start, end, anchor in ((x + 9, x + 9 + long, "start"), (x - 9 - long, x - 9, "end")):
            free = all(end < a or start > b or abs(y - at) > 11 for a, b, at in taken)
            if free and start > 46 and end < width:
                taken.append((start, end, y))
                style = "" if c["chosen"] else ' class="dim"'
                place = start if anchor == "start" else end
                texts.append(
                    f'<text{style} x="{place:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">{escape(c["label"])}</text>'
                )
                break
    return texts
