"""Options of changes of type or quantization: the tensors say it all."""

from __future__ import annotations

from collections.abc import Mapping

from mcuprune.importers.operators.reading import OpParser, no_options

PARSERS: Mapping[str, OpParser] = {
    "CAST": OpParser((1, 1), no_options, floats=True),
    "DEQUANTIZE": OpParser((1, 1), no_options, floats=True),
    "QUANTIZE": OpParser((1, 1), no_options, floats=True),
}
