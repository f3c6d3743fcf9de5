"""Which function of a model file is meant: signatures by name, and the subgraph of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mcuprune.errors import ModelError
from mcuprune.tflite import schema

DEFAULT = "serving_default"
"""The signature that is taken where several are there and none is named."""


@dataclass(frozen=True, slots=True)
class Function:
    """A subgraph by its number, and the signature that names it; "" where the file has none."""

    subgraph: int = 0
    signature: str = ""


def choose_function(model: Any, signature: str | None) -> Function:
    """The function that a signature names; without a name, the only one, or DEFAULT.

    A file without signatures has one function, its first subgraph.

    Raises:
        ModelError: there is no such signature, or none is named and several are there; both list them.
    """
    subgraphs = model.subgraphs or []
    if not subgraphs:
        raise ModelError("the model has no subgraph")
    named = {schema.text(entry.signatureKey): int(entry.subgraphIndex) for entry in model.signatureDefs or []}
    wanted = signature
    if wanted is None:
        wanted = DEFAULT if DEFAULT in named else next(iter(named), "")
        if len(named) > 1 and wanted != DEFAULT:
            raise ModelError(
                f"the model has {len(named)} signatures: {', '.join(sorted(named))}", hint="name one by --signature"
            )
    if not named and not wanted:
        return Function()
    if wanted not in named:
        listed = f"it has {', '.join(sorted(named))}" if named else "it has none: leave --signature out"
        raise ModelError(f"the model has no signature {wanted[:80]!r}", hint=listed)
    if not 0 <= named[wanted] < len(subgraphs):
        raise ModelError(f"signature {wanted[:80]!r} names subgraph {named[wanted]}, the file has {len(subgraphs)}")
    return Function(named[wanted], wanted)
