"""The table of layers beside their float models, of `quantize --report` and `verify --float`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcuprune.cli.common import out, table

if TYPE_CHECKING:
    from mcuprune.quantization import QuantizationReport


def show_errors(report: QuantizationReport) -> None:
    """A row for each layer that was compared."""
    errors = ("clipped", "rms", "max", "SQNR", "cosine")
    columns = ("layer", "op", "weight scales", "scale", "zero point", "range", *errors)
    right = ("", "scale", "zero point", *errors)
    rows = table(f"\nthe file against float on {report.samples} samples", "", *columns, right=right)
    for layer in report.layers:
        scales = "-"
        if layer.weight_scale is not None:
            low, high = layer.weight_scale
            scales = f"{low:.3g}" if layer.channels == 1 else f"{layer.channels}: {low:.3g} .. {high:.3g}"
        rows.add_row(
            "-" if layer.index is None else str(layer.index),
            layer.name,
            layer.op,
            scales,
            f"{layer.scale:.4g}",
            str(layer.zero_point),
            f"{layer.low:.4g} .. {layer.high:.4g}",
            f"{layer.clipped:.3%}",
            f"{layer.rms_lsb:.2f} LSB",
            f"{layer.max_lsb:.1f} LSB",
            "-" if layer.sqnr_db is None else f"{layer.sqnr_db:.1f} dB",
            "-" if layer.cosine is None else f"{layer.cosine:.5f}",
        )
    out.print(rows)
    for note in report.notes:
        out.print(note)
