"""Reader of `.tflite` files: bytes to the schema's object tree, or a ModelError.

A tree that comes out of here has only the file's outer form checked (structure.py); the importer checks the rest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as generated

from mcuprune.errors import ModelError
from mcuprune.tflite.structure import check_structure

MAX_FILE_BYTES = 2**28  # far more than any microcontroller's flash
FILE_IDENTIFIER = b"TFL3"
BROKEN_HINT = "is this a .tflite file, and was it copied whole?"

BUILTIN_NAMES: dict[int, str] = {v: k for k, v in vars(generated.BuiltinOperator).items() if isinstance(v, int)}
TENSOR_TYPE_NAMES: dict[int, str] = {v: k for k, v in vars(generated.TensorType).items() if isinstance(v, int)}


def read_file(path: Path) -> bytes:
    """Bytes of a model file.

    Raises:
        ModelError: the file is missing, too large, or cannot be read.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ModelError(
                f"the model file of {path.stat().st_size} bytes is larger than {MAX_FILE_BYTES}", where=str(path)
            )
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
        raise ModelError("the model file is empty", where=where, hint=BROKEN_HINT)
    if len(content) < 8 or content[4:8] != FILE_IDENTIFIER:
        raise ModelError("not a TFLite model: the file identifier TFL3 is missing", where=where, hint=BROKEN_HINT)
    try:
        check_structure(content)
        model = generated.ModelT.InitFromPackedBuf(content, 0)
    except ModelError as error:
        error.where, error.hint = where, BROKEN_HINT
        raise
    except Exception as error:  # the generated reader raises whatever a wild offset in an operator's options leads to
        what = f"the TFLite file of {len(content)} bytes is broken or cut: {error}"
        raise ModelError(what, where=where, hint=BROKEN_HINT) from None
    if model.version != 3:
        raise ModelError(
            f"the file has TFLite schema version {model.version}, only 3 is supported", where=where, hint=BROKEN_HINT
        )
    return model


def builtin_code(operator_code: Any) -> int:
    """Builtin operator of an operator code; old files use the 8-bit field, new ones both."""
    return max(int(operator_code.builtinCode), int(operator_code.deprecatedBuiltinCode))


def type_name(tensor: Any) -> str:
    """Element type of a tensor of the file."""
    number = int(tensor.type)
    return TENSOR_TYPE_NAMES.get(number, f"number {number}")


def text(value: bytes | str | None) -> str:
    """A name of the file as text; what is not UTF-8 or cannot be printed is replaced."""
    if value is None:
        return ""
    name = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)


def numbers(vector: Any) -> list[Any]:
    """Elements of a vector of the file as Python numbers; a missing vector is empty."""
    if vector is None:
        return []
    return [item.item() if hasattr(item, "item") else item for item in vector]
