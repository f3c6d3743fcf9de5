"""Reader of `.tflite` files: bytes to the schema's object tree, or a ModelError.

A tree that comes out of here has only the file's outer form checked; the importer checks everything else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError

FILE_IDENTIFIER = b"TFL3"
_HINT = "is this a .tflite file, and was it copied whole?"

BUILTIN_NAMES: dict[int, str] = {v: k for k, v in vars(generated.BuiltinOperator).items() if isinstance(v, int)}
TENSOR_TYPE_NAMES: dict[int, str] = {v: k for k, v in vars(generated.TensorType).items() if isinstance(v, int)}


def read_file(path: Path) -> bytes:
    """Bytes of a model file.

    Raises:
        ModelError: the file is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError("no such model file", where=str(path), hint="check the path") from None
    except OSError as error:
        raise ModelError(f"the model file cannot be read: {error.strerror}", where=str(path)) from None


def parse_model(content: bytes, where: str) -> Any:
    """Object tree (ModelT) of a model's bytes.

    Args:
        content: the whole file.
        where: the file's name, for errors.
    Raises:
        ModelError: empty, not a TFLite file, cut or broken.
    """
    if not content:
        raise ModelError("the model file is empty", where=where, hint=_HINT)
    if len(content) < 8 or content[4:8] != FILE_IDENTIFIER:
        raise ModelError("not a TFLite model: the file identifier TFL3 is missing", where=where, hint=_HINT)
    try:
        model = generated.ModelT.InitFromPackedBuf(content, 0)
    except Exception as error:  # the generated reader raises whatever a wild offset leads to
        what = f"the TFLite file of {len(content)} bytes is broken or cut: {error}"
        raise ModelError(what, where=where, hint=_HINT) from None
    if model.version != 3:
        raise ModelError(f"TFLite schema version {model.version} is not supported, only 3", where=where)
    return model


def builtin_code(operator_code: Any) -> int:
    """Builtin operator of an operator code; old files use the 8-bit field, new ones both."""
    return max(int(operator_code.builtinCode), int(operator_code.deprecatedBuiltinCode))


def text(value: bytes | str | None) -> str:
    """A name of the file as text; bytes that are not UTF-8 are replaced."""
    if value is None:
        return ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def numbers(vector: Any) -> list[Any]:
    """Elements of a vector of the file as Python numbers; a missing vector is empty."""
    if vector is None:
        return []
    return [item.item() if hasattr(item, "item") else item for item in vector]
