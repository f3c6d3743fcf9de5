"""Options of changes of type or quantization."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune.importers.operators.reading import OpParser, no_options

PARSERS: Mapping[str, OpParser] = {
    "DEQUANTIZE": OpParser((1, 1), no_options),
    "QUANTIZE": OpParser((1, 1), no_options),
}
