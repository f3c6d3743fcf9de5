"""Models that are refused as a whole: the one sentence, and the way out for what people really try."""

from __future__ import annotations

from collections.abc import Collection, Sequence

CUSTOM = "CUSTOM"
FLOAT_TYPES = ("FLOAT32", "FLOAT16", "BFLOAT16", "FLOAT64")

_SHOWN_KINDS = 5
_QUANTIZE_HINT = "quantize it to int8 first: mcuprune quantize MODEL.keras --data D -o OUT.tflite"
_INT8_HINT = "convert it to int8 in full: inference_input_type, inference_output_type and all operators in int8"
_LEAVE_OUT = "end the model before it, and do what it does in code of your own"
_COMPILED = "take the .tflite that went into the compiler for the {}, this is what came out"
_CUSTOM_HINTS = {
    "ethos-u": _COMPILED.format("Ethos-U"),
    "edgetpu-custom-op": _COMPILED.format("Edge TPU"),
    "Flex": "convert the model without SELECT_TF_OPS",
    "Signal": "begin the model behind the features, and compute them in code of your own",
}
"""By how the name of a custom operator begins."""


def custom_kind(name: str) -> str:
    """How a custom operator is called, cut where its name is long."""
    return f"{CUSTOM} '{name[:80]}'"


def unsupported(kinds: Sequence[str], known: Collection[str]) -> tuple[int, str, str] | None:
    """The first operator that is not supported, what is wrong and what to do; None where there is none.

    Args:
        kinds: TFLite's names of the operators, those of custom_kind() among them, in the file's order.
        known: those that are supported.
    """
    missing = [(place, kind) for place, kind in enumerate(kinds) if kind not in known]
    if not missing:
        return None
    place, first = missing[0]
    names = list(dict.fromkeys(kind for _, kind in missing))
    if len(names) == 1:
        return place, f"operator {first} is not supported", _operator_hint(first)
    more = len(names) - _SHOWN_KINDS
    rest = f" and {more} more kind{'s' if more > 1 else ''}" if more > 0 else ""
    return place, f"operators {', '.join(names[:_SHOWN_KINDS])}{rest} are not supported", _operator_hint(first)


def _operator_hint(kind: str) -> str:
    if not kind.startswith(CUSTOM):
        return f"`mcuprune ops` lists those that are; {_LEAVE_OUT}, or take another layer in its place"
    name = kind.removeprefix(f"{CUSTOM} '")
    return next((hint for start, hint in _CUSTOM_HINTS.items() if name.startswith(start)), _LEAVE_OUT)


def not_int8(kind: str, types: Sequence[str], others: Collection[str]) -> tuple[str, str] | None:
    """Why an operator that knows integers only is refused, and what to do; None where its types are none of these.

    Args:
        kind: TFLite's name.
        types: element types of its output and its inputs, the data first; "" of those that are absent.
        others: element types of the outputs of all the model's operators.
    """
    output, data, *parameters = types
    if output in FLOAT_TYPES or data in FLOAT_TYPES:
        computes = f"{kind} computes in float32"
        if "INT8" in parameters:
            return f"this model has int8 weights but float activations (dynamic range): {computes}", _QUANTIZE_HINT
        if "INT8" in others:
            return f"{computes}, in a model of int8", f"{_INT8_HINT}; or {_LEAVE_OUT}"
        return f"this is a float model: {computes}", _QUANTIZE_HINT
    if "UINT8" in (output, data, *parameters):
        what = f"{kind} computes in uint8, the quantization that TFLite had before int8"
        return what, "convert the model again by a converter of today (TensorFlow 2)"
    return None
