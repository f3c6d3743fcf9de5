"""From a Keras model to an int8 `.tflite` whose zeros are the model's. Importing this package is cheap."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcuprune.quantization.ptq import Quantized, quantize
    from mcuprune.quantization.zeros import LayerZeros

__all__ = ["LayerZeros", "Quantized", "quantize"]

_HOMES = {"LayerZeros": "zeros", "Quantized": "ptq", "quantize": "ptq"}
"""Modules of the names that need TensorFlow."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mcuprune.sparsity.runtime import require_tensorflow

    require_tensorflow("quantize")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
