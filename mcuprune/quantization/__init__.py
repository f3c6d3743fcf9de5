"""From a Keras model to an int8 `.tflite` whose zeros are the model's. Importing this package is cheap."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcuprune.quantization.accuracy import Accuracies, compare_accuracy
    from mcuprune.quantization.ptq import Quantized, quantize, quantize_file, quantize_on
    from mcuprune.quantization.zeros import LayerZeros

__all__ = [
    "Accuracies",
    "LayerZeros",
    "Quantized",
    "compare_accuracy",
    "quantize",
    "quantize_file",
    "quantize_on",
]

_HOMES = {
    "Accuracies": "accuracy",
    "LayerZeros": "zeros",
    "Quantized": "ptq",
    "compare_accuracy": "accuracy",
    "quantize": "ptq",
    "quantize_file": "ptq",
    "quantize_on": "ptq",
}
"""Modules of the names that need TensorFlow."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mcuprune.sparsity.runtime import require_tensorflow

    require_tensorflow("quantize")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
