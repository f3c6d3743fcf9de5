"""A profile as a picture: one bar a layer, self-contained SVG."""

from __future__ import annotations

from html import escape

from mcuprune.profile.result import LayerProfile, Profile

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW, _BAR = 980, 210, 190, 92, 24, 15  # pixels
_COLOURS = {
    "CONV_2D": "#2f6db3",
    "DEPTHWISE_CONV_2D": "#e08a1e",
    "FULLY_CONNECTED": "#3f9b58",
}
_OTHER, _FAINT, _INK, _GREY = "#8a8f98", "#d9dde3", "#1f2429", "#6b727b"
_STEPS = (1, 2, 2.5, 5, 10)


def svg(profile: Profile, title: str) -> str:
    """Bars as long as each layer's cycles (instructions where there are no cycles), a baseline's behind them.

    Where the baseline is the shorter one, a line across the bar shows where it ends.
    """
    costs = [layer.cost or 0 for layer in profile.layers]
    behind = [_baseline(profile, layer) or 0 for layer in profile.layers]
    most = max([*costs, *behind, 1])
    scale = (_WIDTH - _LEFT - _RIGHT) / most
    bottom = _TOP + _ROW * len(costs)
    unit = f"{profile.cycles} cycles" if profile.cycles else "executed instructions"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + 46}" width="{_WIDTH}" '
        f'height="{bottom + 46}" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="{_INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{bottom + 46}" fill="#ffffff"/>',
        f'<text x="16" y="28" font-size="17" font-weight="bold">{escape(title)}</text>',
        f'<text x="16" y="48" fill="{_GREY}">{escape(_subtitle(profile, unit))}</text>',
        *_legend(profile),
        *_grid(most, scale, bottom),
    ]
    for row, layer in enumerate(profile.layers):
        parts += _row(profile, layer, _TOP + _ROW * row, scale)
    parts.append(f'<text x="{_LEFT}" y="{bottom + 36}" fill="{_GREY}">{unit} in one inference</text>')
    return "\n".join([*parts, "</svg>", ""])


def _baseline(profile: Profile, layer: LayerProfile) -> int | None:
    if layer.baseline is None:
        return None
    return layer.baseline.cycles if profile.cycles else layer.baseline.instructions


def _subtitle(profile: Profile, unit: str) -> str:
    text = f"{profile.board} ({profile.core}): {_short(profile.cost)} {unit}, {_short(profile.nnz_macs)} nonzero MACs"
    if profile.baseline is not None:
        ours = profile.compared()[1 if profile.cycles else 0]
        theirs = profile.baseline.cycles if profile.cycles else profile.baseline.instructions
        if ours and theirs:
            text += f"; {profile.against}: {_short(theirs)}, {theirs / ours:.2f} times as many"
    return text


def _legend(profile: Profile) -> list[str]:
    entries = [(op.replace("_", " ").lower(), colour) for op, colour in _COLOURS.items()]
    entries = [e for e, op in zip(entries, _COLOURS, strict=True) if any(layer.op == op for layer in profile.layers)]
    if any(layer.op not in _COLOURS for layer in profile.layers):
        entries.append(("other", _OTHER))
    if profile.against:
        entries.append((profile.against, _FAINT))
    parts, x = [], 16
    for text, colour in entries:
        parts.append(f'<rect x="{x}" y="62" width="10" height="10" rx="2" fill="{colour}"/>')
        parts.append(f'<text x="{x + 15}" y="71">{escape(text)}</text>')
        x += 34 + 7 * len(text)
    return parts


def _grid(most: int, scale: float, bottom: int) -> list[str]:
    step = next(s * 10**e for e in range(20) for s in _STEPS if most / (s * 10**e) <= 6)
    parts = []
    for n in range(int(most / step) + 1):
        x = _LEFT + n * step * scale
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP - 6}" x2="{x:.1f}" y2="{bottom}" stroke="#e7eaee"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle" fill="{_GREY}">{_short(n * step)}</text>'
        )
    return parts


def _row(profile: Profile, layer: LayerProfile, y: int, scale: float) -> list[str]:
    cost, theirs = layer.cost or 0, _baseline(profile, layer)
    middle, top = y + _BAR - 3, y
    colour = _COLOURS.get(layer.op, _OTHER)
    share = cost / profile.cost if profile.cost else 0.0
    label = f"{_short(cost)} · {share:.1%}" + (f" · {theirs / cost:.2f}x" if theirs and cost else "")
    tip = f"{layer.index} {layer.op} {layer.name}, {layer.encoding}, {layer.kernel}: {cost}"
    parts = [f"<g><title>{escape(tip)}</title>"]
    parts.append(f'<text x="{_LEFT - 10}" y="{middle}" text-anchor="end">{escape(_cut(layer.name))}</text>')
    if theirs:
        parts.append(
            f'<rect x="{_LEFT}" y="{top}" width="{theirs * scale:.1f}" height="{_BAR}" rx="2" fill="{_FAINT}"/>'
        )
    parts.append(
        f'<rect x="{_LEFT}" y="{top}" width="{max(cost * scale, 1):.1f}" height="{_BAR}" rx="2" fill="{colour}"/>'
    )
    if theirs and theirs < cost:  # it would be hidden
        x = _LEFT + theirs * scale
        parts.append(f'<line x1="{x:.1f}" y1="{top - 2}" x2="{x:.1f}" y2="{top + _BAR + 2}" stroke="{_INK}"/>')
    end = _LEFT + max(cost, theirs or 0) * scale + 8
    parts.append(f'<text x="{end:.1f}" y="{middle}">{escape(label)}</text></g>')
    return parts


def _cut(name: str) -> str:
    return name if len(name) <= 28 else name[:13] + "…" + name[-14:]


def _short(value: float) -> str:
    for limit, suffix in ((1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:.3g}{suffix}"
    return f"{value:g}"
