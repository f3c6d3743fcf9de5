"""Numbers and names as people read them."""

from __future__ import annotations

from collections.abc import Sequence


def grouped(value: int) -> str:
    """Digits in groups of three, with narrow spaces that do not break."""
    return f"{value:,}".replace(",", "\u202f")


def millions(value: float) -> str:
    """Three digits of a large number."""
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}\u202f{suffix}"
    return f"{value:g}"


def kilobytes(size: int) -> str:
    """Bytes: exact below 10 000, else in kB (1000 bytes) with one decimal, or in MB."""
    if size >= 1_000_000:
        return f"{size / 1e6:.2f}\u202fMB"
    return f"{grouped(size)}\u202fB" if size < 10_000 else f"{size / 1000:.1f}\u202fkB"


def percent(part: float, whole: float, digits: int = 1) -> str:
    return f"{part / whole:.{digits}%}" if whole else "–"


def signed(share: float) -> str:
    """A difference in percent with its sign: +12.5%, −3.0%, ±0.0%."""
    text = f"{share:+.1%}"
    return "±0.0%" if text in ("-0.0%", "+0.0%") else text.replace("-", "−")


def shape(sizes: Sequence[int] | None) -> str:
    """Without the batch of one: 25×5×64."""
    if sizes is None:
        return "–"
    return "×".join(map(str, sizes[1:] if len(sizes) > 1 and sizes[0] == 1 else sizes))


def fitted(name: str, width: float, per_character: float = 6.3) -> str:
    """A name cut to a width in pixels; "" where not even a bit of it fits."""
    room = int(width / per_character)
    if len(name) <= room:
        return name
    return name[: room - 1] + "…" if room >= 5 else ""
