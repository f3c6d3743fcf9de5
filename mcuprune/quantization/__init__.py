"""From a Keras model to an int8 `.tflite` whose zeros are the model's, after or by training. Importing it is cheap."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mcuprune.quantization.options import QatOptions

if TYPE_CHECKING:
    from mcuprune.quantization.accuracy import Accuracies, compare_accuracy
    from mcuprune.quantization.apply import (
        quantize_annotate_layer,
        quantize_annotate_model,
        quantize_apply,
        quantize_model,
        quantize_scope,
        strip_quantization,
    )
    from mcuprune.quantization.convert import calibrate, convert_qat, convert_qat_for_tflite
    from mcuprune.quantization.for_tflite import TFLiteFile, quantize_for_tflite
    from mcuprune.quantization.ptq import Quantized, quantize, quantize_file, quantize_on
    from mcuprune.quantization.report import LayerError, QuantizationReport, float_comparison, quantization_report
    from mcuprune.quantization.train import QatResult, qat
    from mcuprune.quantization.zeros import LayerZeros

__all__ = [
    "Accuracies",
    "LayerError",
    "LayerZeros",
    "QatOptions",
    "QatResult",
    "QuantizationReport",
    "Quantized",
    "TFLiteFile",
    "calibrate",
    "compare_accuracy",
    "convert_qat",
    "convert_qat_for_tflite",
    "float_comparison",
    "qat",
    "quantization_report",
    "quantize",
    "quantize_annotate_layer",
    "quantize_annotate_model",
    "quantize_apply",
    "quantize_file",
    "quantize_for_tflite",
    "quantize_model",
    "quantize_on",
    "quantize_scope",
    "strip_quantization",
]

_HOMES = {
    "Accuracies": "accuracy",
    "LayerError": "report",
    "LayerZeros": "zeros",
    "QatResult": "train",
    "QuantizationReport": "report",
    "Quantized": "ptq",
    "TFLiteFile": "for_tflite",
    "calibrate": "convert",
    "compare_accuracy": "accuracy",
    "convert_qat": "convert",
    "convert_qat_for_tflite": "convert",
    "qat": "train",
    "float_comparison": "report",
    "quantization_report": "report",
    "quantize": "ptq",
    "quantize_annotate_layer": "apply",
    "quantize_annotate_model": "apply",
    "quantize_apply": "apply",
    "quantize_file": "ptq",
    "quantize_for_tflite": "for_tflite",
    "quantize_model": "apply",
    "quantize_on": "ptq",
    "quantize_scope": "apply",
    "strip_quantization": "apply",
}
"""Modules of the names that need TensorFlow."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mcuprune.sparsity.runtime import require_tensorflow

    require_tensorflow("quantize")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
