"""A sensitivity as a picture: one line a layer over the sparsities, self-contained SVG."""

from __future__ import annotations

import math
from html import escape

from mcuprune.sparsity.curves import LayerSensitivity, Sensitivity

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 980, 520, 70, 250, 84, 60  # pixels
_LINES = ("#2f6db3", "#e08a1e", "#3f9b58", "#b3413a", "#7a56a8", "#2a9d9d", "#a3742c", "#c45b98")
_FAINT, _INK, _GREY = "#c3c8cf", "#1f2429", "#6b727b"
_STEPS = (1, 2, 5)
_GAP = 15  # pixels between two labels


def svg(found: Sensitivity, title: str) -> str:
    """Lines of the metric; those of the layers that cost most have colours and names, the others are grey."""
    ranked = sorted(found.layers, key=lambda layer: (-_cost(found, layer), layer.index))
    named = [layer for layer in ranked[: len(_LINES)] if _measured(layer)]
    values = [found.dense, *(v for layer in found.layers for v in layer.values if v is not None)]
    axes = _Axes(min(values), max(values), max(found.sparsities, default=1.0))
    what = "accuracy" if found.metric == "accuracy" else "loss (cross-entropy)"
    subtitle = f"{what} on {found.samples} samples with one layer alone pruned ({found.pattern}), without training"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="{_INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="16" y="28" font-size="17" font-weight="bold">{escape(title)}</text>',
        f'<text x="16" y="48" fill="{_GREY}">{escape(subtitle)}</text>',
        *_grid(found, axes),
    ]
    for layer in reversed(ranked[len(named) :]):
        parts += _line(found, layer, axes, _FAINT, 1.2)
    for layer, colour in reversed(list(zip(named, _LINES, strict=False))):
        parts += _line(found, layer, axes, colour, 2.2)
    parts += _labels(found, named, axes)
    others = sum(map(_measured, found.layers)) - len(named)
    if others:
        parts.append(f'<text x="16" y="66" fill="{_GREY}">grey: {others} layers that cost less</text>')
    return "\n".join([*parts, "</svg>", ""])


class _Axes:
    """Where values and sparsities lie on the page."""

    def __init__(self, low: float, high: float, most: float) -> None:
        room = max(high - low, 1e-3) * 0.06
        self.low, self.high, self.most = low - room, high + room, most

    def x(self, sparsity: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * sparsity / self.most

    def y(self, value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (self.high - value) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Some round values from low to high."""
        span = self.high - self.low
        step = next(s * 10.0**e for e in range(-6, 20) for s in _STEPS if span / (s * 10.0**e) <= 7)
        first = math.ceil(self.low / step)
        return [n * step for n in range(first, math.floor(self.high / step) + 1)]


def _grid(found: Sensitivity, axes: _Axes) -> list[str]:
    parts = []
    bottom = _HEIGHT - _BOTTOM
    for value in axes.ticks():
        y = axes.y(value)
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#e7eaee"/>')
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="{_GREY}">{_text(found, value)}</text>'
        )
    for sparsity in (0.0, *found.sparsities):
        x = axes.x(sparsity)
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#e7eaee"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle" fill="{_GREY}">{sparsity * 100:g}%</text>'
        )
    y = axes.y(found.dense)
    parts.append(
        f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="{_GREY}" stroke-dasharray="4 3"/>'
    )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text x="{middle:.1f}" y="{bottom + 40}" text-anchor="middle" fill="{_GREY}">zeros in the layer '
        f"(dashed: the model as it is, {_text(found, found.dense)})</text>"
    )
    return parts


def _line(found: Sensitivity, layer: LayerSensitivity, axes: _Axes, colour: str, width: float) -> list[str]:
    points = [
        (0.0, found.dense),
        *((s, v) for s, v in zip(found.sparsities, layer.values, strict=True) if v is not None),
    ]
    if len(points) < 2:
        return []
    path = " ".join(f"{axes.x(s):.1f},{axes.y(v):.1f}" for s, v in points)
    tip = f"{layer.index} {layer.op} {layer.name}: " + ", ".join(f"{s:g}: {_text(found, v)}" for s, v in points)
    return [
        f"<g><title>{escape(tip)}</title>",
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>',
        *(f'<circle cx="{axes.x(s):.1f}" cy="{axes.y(v):.1f}" r="2.5" fill="{colour}"/>' for s, v in points[1:]),
        "</g>",
    ]


def _labels(found: Sensitivity, named: list[LayerSensitivity], axes: _Axes) -> list[str]:
    """Names at the right ends of the lines, moved apart where they would meet."""
    ends = []
    for layer, colour in zip(named, _LINES, strict=False):
        sparsity, value = _points(found, layer)[-1]
        ends.append((axes.y(value), axes.x(sparsity), colour, f"{_cut(layer.name)}  {_text(found, value)}"))
    parts, free = [], float(_TOP - 10)
    for number, (y, x, colour, text) in enumerate(sorted(ends)):
        most = _HEIGHT - _BOTTOM - _GAP * (len(ends) - 1 - number)  # room for those below
        at = free = min(max(y, free + _GAP), max(most, free + _GAP))
        parts.append(
            f'<line x1="{x + 4:.1f}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT + 14}" y2="{at:.1f}" stroke="{colour}" '
            'stroke-width="0.7"/>'
        )
        parts.append(f'<text x="{_WIDTH - _RIGHT + 18}" y="{at + 4:.1f}" fill="{colour}">{escape(text)}</text>')
    return parts


def _points(found: Sensitivity, layer: LayerSensitivity) -> list[tuple[float, float]]:
    return [(s, v) for s, v in zip(found.sparsities, layer.values, strict=True) if v is not None]


def _measured(layer: LayerSensitivity) -> bool:
    return any(value is not None for value in layer.values)


def _cost(found: Sensitivity, layer: LayerSensitivity) -> float:
    return max((cost for cost in found.costs(layer) if cost is not None), default=float("-inf"))


def _text(found: Sensitivity, value: float) -> str:
    return f"{value:.1%}" if found.metric == "accuracy" else f"{value:.3g}"


def _cut(name: str) -> str:
    return name if len(name) <= 26 else name[:12] + "…" + name[-13:]
