"""Which operators are supported, on which element types, and where they are faster than portable C."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcuprune.kernels.catalog import CATALOG

ISAS = ("ref", "armv6m", "armv7m", "dsp", "mve")
"""Instruction-set levels: portable C11, and what needs ARMv6-M, ARMv7-M, the DSP extension, Helium."""

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "ABS": ("lut_s8", "slopes_s16"),
    "ADD": ("add_s8", "add_s16", "add_pot_s16"),
    "ARG_MAX": ("arg_extreme_s8_s32", "arg_extreme_s8_s64"),
    "ARG_MIN": ("arg_extreme_s8_s32", "arg_extreme_s8_s64"),
    "AVERAGE_POOL_2D": ("average_pool_s8", "average_pool_s16"),
    "BATCH_MATMUL": ("batch_matmul_s8", "batch_matmul_s16"),
    "CAST": ("cast_any",),
    "CONCATENATION": ("concatenation",),
    "CONV_2D": ("conv2d_s8", "depthwise_conv2d_s8", "grouped_conv2d_s8", "conv2d_s16s8"),
    "DEPTHWISE_CONV_2D": ("depthwise_conv2d_s8", "depthwise_conv2d_s16s8"),
    "DEQUANTIZE": ("dequantize_s8_f32", "dequantize_s16_f32", "dequantize_u8_f32"),
    "DIV": ("div_s8",),
    "EQUAL": ("compare_s8", "compare_any", "compare_u8", "compare_s16"),
    "EXP": ("lut_s8", "lut_s16"),
    "FULLY_CONNECTED": ("fully_connected_s8", "fully_connected_s16s8", "batch_matmul_s8"),
    "GATHER": ("copy", "gather"),
    "GELU": ("lut_s8", "lut_s16"),
    "GREATER": ("compare_s8", "compare_u8", "compare_any"),
    "GREATER_EQUAL": ("compare_s8", "compare_u8", "compare_any"),
    "HARD_SWISH": ("lut_s8",),
    "L2_NORMALIZATION": ("l2_normalization_s8",),
    "LEAKY_RELU": ("lut_s8", "slopes_s16"),
    "LESS": ("compare_s8", "compare_u8", "compare_any"),
    "LESS_EQUAL": ("compare_s8", "compare_u8", "compare_any"),
    "LOG": ("lut_s8", "lut_s16"),
    "LOOKUP": ("lookup",),
    "LOGICAL_AND": ("logical_bool",),
    "LOGICAL_NOT": ("logical_bool",),
    "LOGICAL_OR": ("logical_bool",),
    "LOGISTIC": ("lut_s8", "sigmoid_s16"),
    "LOG_SOFTMAX": ("log_softmax_s8",),
    "MAXIMUM": ("maximum_s8", "maximum_s16"),
    "MAX_POOL_2D": ("max_pool_s8", "max_pool_s16"),
    "MEAN": ("mean_s8", "mean_s16"),
    "MINIMUM": ("minimum_s8", "minimum_s16"),
    "MUL": ("mul_s8", "mul_s16"),
    "NEG": ("lut_s8", "lut_s16"),
    "NOT_EQUAL": ("compare_s8", "compare_u8", "compare_s16", "compare_any"),
    "PAD": ("pad",),
    "PRELU": ("prelu_s8",),
    "QUANTIZE": ("quantize_f32_s8", "quantize_f32_s16", "quantize_f32_u8", "requantize_s8", "requantize_any", "lut_s8"),
    "REDUCE_MAX": ("reduce_extreme_s8", "reduce_extreme_s16"),
    "REDUCE_MIN": ("reduce_extreme_s8", "reduce_extreme_s16"),
    "REDUCE_PROD": ("reduce_prod_s8", "reduce_prod_s16"),
    "RELU": ("requantize_s8", "requantize_s16"),
    "RELU6": ("requantize_s8", "requantize_s16"),
    "RELU_0_TO_1": ("requantize_s8",),
    "RELU_N1_TO_1": ("requantize_s8",),
    "RESHAPE": (),
    "RESIZE_BILINEAR": ("resize_bilinear_s8", "resize_bilinear_s16"),
    "RSQRT": ("lut_s8", "lut_s16"),
    "SELECT": ("select_any",),
    "SELECT_V2": ("select_any",),
    "SHAPE": (),
    "SLICE": ("copy",),
    "SOFTMAX": ("softmax_s8", "softmax_s8_s16", "softmax_s16"),
    "SQRT": ("lut_s8",),
    "SQUARED_DIFFERENCE": ("squared_difference_s8",),
    "SUB": ("sub_s8", "sub_s16", "add_pot_s16"),
    "SUM": ("mean_s8",),
    "SVDF": ("svdf_s8",),
    "TANH": ("lut_s8", "sigmoid_s16"),
    "TRANSPOSE": ("copy",),
    "TRANSPOSE_CONV": ("transpose_conv_s8", "transpose_conv_s16s8"),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": ("lstm_s8", "lstm_norm_s8", "lstm_s16s8"),
}
"""Families of kernels that serve each kind of operator of the graph; none where no code is needed."""

_COMPUTED: Mapping[str, tuple[str, ...]] = {"GATHER": ("lookup",)}
"""Families that serve operators of the file where their parameters are computed."""

_TYPES = {
    "s8": "int8",
    "s16": "int16",
    "s16s8": "int16 x int8",
    "s32": "int32",
    "s64": "int64",
    "u8": "uint8",
    "b8": "bool",
    "f32": "float32",
}


@dataclass(frozen=True, slots=True)
class Support:
    """One operator of the file. kernel: name of a family, "" for no code; types: its elements, `int8` or `float32 ->
    int8`; isas: the levels that it has kernels for; encodings: how its weights may lie in flash."""

    operator: str
    kernel: str
    types: str
    isas: tuple[str, ...]
    encodings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "operator": self.operator,
            "kernel": self.kernel,
            "types": self.types,
            "isas": list(self.isas),
            "encodings": list(self.encodings),
        }


def supported(operators: Mapping[str, str]) -> list[Support]:
    """Every operator with each family that serves it.

    Args:
        operators: by TFLite's name of an operator, the name of the graph's that it becomes.
    """
    return [
        _support(name, family)
        for name, kind in sorted(operators.items())
        for family in (*(FAMILIES[kind] or ("",)), *_COMPUTED.get(name, ()))
    ]


def _support(operator: str, family: str) -> Support:
    kernels = [kernel for kernel in CATALOG if kernel.family == family]
    isas = tuple(isa for isa in ISAS if any(kernel.isa == isa for kernel in kernels))
    named = [kernel.encoding for isa in isas for kernel in kernels if kernel.isa == isa]
    encodings = tuple(dict.fromkeys(encoding for encoding in named if encoding))
    return Support(operator, family, _types(family), isas, encodings)


def _types(family: str) -> str:
    """Element types out of a family's name: `quantize_f32_s8` reads float32 and writes int8."""
    found = [_TYPES[part] for part in family.split("_") if part in _TYPES]
    return " -> ".join(found) or "any"


def markdown(rows: Sequence[Support]) -> str:
    """The rows as a table of a document."""
    lines = ["| operator | elements | kernels | levels | encodings |", "|---|---|---|---|---|"]
    for row in rows:
        kernel = f"`mp_{row.kernel}`" if row.kernel else "no code"
        cells = (row.operator, row.types, kernel, ", ".join(row.isas), ", ".join(row.encodings))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
