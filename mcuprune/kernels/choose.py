"""Which kernel and encoding each layer gets: the cheapest under the user's objective, never worse than dense."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from mcuprune.boards import Core
from mcuprune.encodings import ENCODINGS, Encoded
from mcuprune.errors import EncodingError, ModelError
from mcuprune.ir.graph import Op
from mcuprune.kernels.catalog import Kernel, kernels_for
from mcuprune.kernels.cost import instructions
from mcuprune.kernels.params import LayerParams

DENSE = "dense"


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What one layer became. `kernel`, `params` and `encoded` are None for operators that cost nothing (RESHAPE).

    cost: executed instructions predicted, 0 where there was nothing to choose. why: the choice in words.
    smallest_flash_bytes: of all candidates.
    """

    op: Op
    params: LayerParams | None
    kernel: Kernel | None
    encoded: Encoded | None
    cost: float = 0.0
    why: str = ""
    smallest_flash_bytes: int = 0

    @property
    def workspace_bytes(self) -> int:
        if self.kernel is None or self.params is None:
            return 0
        return self.kernel.workspace(self.params.geometry)

    @property
    def flash_bytes(self) -> int:
        """Values, indices, row tables and parameters of the layer in flash, without the struct that points to them."""
        own = sum(array.flash_bytes for array in self.params.arrays) if self.params else 0
        return own + (self.encoded.flash_bytes if self.encoded else 0)

    @property
    def label(self) -> str:
        """Encoding and instruction-set level."""
        return f"{self.encoded.encoding if self.encoded else '-'}/{self.kernel.isa if self.kernel else '-'}"


def candidates(op: Op, params: LayerParams, core: Core) -> list[Choice]:
    """Every kernel and encoding that gives this layer's bytes on a core."""
    found = []
    for kernel in kernels_for(params.family, core.isas):
        if params.rows is None:
            found.append(Choice(op, params, kernel, None))
            continue
        if kernel.obstacle(params) is not None:
            continue
        for encoding in ENCODINGS.values():
            if encoding.c_name != kernel.encoding:
                continue
            try:
                encoded = encoding.encode(params.rows)
            except EncodingError:
                continue
            cost = instructions(kernel, core.name, params.geometry, encoded)
            found.append(Choice(op, params, kernel, encoded, cost))
    return found


def choose(
    op: Op, params: LayerParams | None, core: Core, objective: str = "balanced", forced: str | None = None
) -> Choice:
    """The kernel and encoding of one layer.

    Args:
        objective: `speed` is never slower than our own dense kernel, `flash` never larger, `balanced` neither.
        forced: name of an encoding; the objective then chooses among its kernels.
    Raises:
        ModelError: no kernel serves this kind of layer.
        EncodingError: the forced encoding does not serve it.
    """
    if params is None:
        return Choice(op, None, None, None)
    where = f"op {op.index} {op.kind} {op.name!r}"
    found = candidates(op, params, core)
    if not found:
        raise ModelError(f"no kernel for {params.family} on {core.name}", where=where)
    smallest = min(c.flash_bytes for c in found)
    if len(found) == 1 and forced in (None, DENSE):
        return replace(found[0], smallest_flash_bytes=smallest)
    if forced is not None:
        fitting = [c for c in found if c.encoded is not None and c.encoded.encoding == forced]
        if not fitting:
            names = dict.fromkeys(c.encoded.encoding for c in found if c.encoded is not None)
            raise EncodingError(
                f"encoding {forced} cannot serve this layer on {core.name}",
                where=where,
                hint=f"one of: {', '.join(names)}",
            )
        best = min(fitting, key=lambda c: (c.cost, c.flash_bytes))
        return replace(best, why=f"forced: {forced}", smallest_flash_bytes=smallest)
    dense = min((c for c in found if c.encoded and c.encoded.encoding == DENSE), key=lambda c: c.cost)
    ranked = sorted(_allowed(found, dense, objective), key=_ranking(dense, objective))
    return replace(ranked[0], why=_why(ranked, dense, objective), smallest_flash_bytes=smallest)


def _allowed(found: list[Choice], dense: Choice, objective: str) -> list[Choice]:
    """Candidates that keep the objective's promise; dense always does."""
    promises: Mapping[str, Callable[[Choice], bool]] = {
        "speed": lambda c: c.cost <= dense.cost,
        "flash": lambda c: c.flash_bytes <= dense.flash_bytes,
        "balanced": lambda c: c.cost <= dense.cost and c.flash_bytes <= dense.flash_bytes,
    }
    return [c for c in found if promises[objective](c)]


def _ranking(dense: Choice, objective: str) -> Callable[[Choice], tuple[float, float]]:
    """Sort key, the best first. `balanced` weighs instructions and flash alike: the least product of their ratios."""
    keys: Mapping[str, Callable[[Choice], tuple[float, float]]] = {
        "speed": lambda c: (c.cost, c.flash_bytes),
        "flash": lambda c: (c.flash_bytes, c.cost),
        "balanced": lambda c: (c.cost / dense.cost * c.flash_bytes / dense.flash_bytes, c.cost),
    }
    return keys[objective]


def _why(ranked: list[Choice], dense: Choice, objective: str) -> str:
    """The best beside the runner-up, both measured in dense."""

    def told(choice: Choice) -> str:
        speed, size = choice.cost / dense.cost, choice.flash_bytes / dense.flash_bytes
        return f"{choice.label} {speed:.2f}x instructions {size:.2f}x flash"

    text = f"{objective}: {told(ranked[0])} of {dense.label}"
    return f"{text}; next {told(ranked[1])}" if len(ranked) > 1 else f"{text}; nothing else keeps the promise"
