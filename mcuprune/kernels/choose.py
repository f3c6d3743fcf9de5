"""Which kernel and encoding each layer gets: the cheapest under the user's objective, never worse than dense."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mcuprune.boards import Core
from mcuprune.encodings import ENCODINGS
from mcuprune.errors import EncodingError, ModelError
from mcuprune.ir.graph import Op
from mcuprune.kernels.catalog import kernels_for
from mcuprune.kernels.cost import NO_COST, Cost, measured, predict
from mcuprune.kernels.kernel import Kernel, Packed
from mcuprune.kernels.params import LayerParams

DENSE = "dense"


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What one layer became. `params`, `kernel` and `packed` are None for operators that cost nothing (RESHAPE).

    encoding: name of it; "" for layers without encoded weights. cost: predicted, zeros where nothing is known. why: the
    choice in words. found: all candidates, this one among them.
    """

    op: Op
    params: LayerParams | None = None
    kernel: Kernel | None = None
    packed: Packed | None = None
    encoding: str = ""
    cost: Cost = NO_COST
    why: str = ""
    found: tuple[Choice, ...] = ()

    @property
    def smallest_flash_bytes(self) -> int:
        """Of all candidates."""
        return min((choice.flash_bytes for choice in self.found), default=self.flash_bytes)

    @property
    def workspace_bytes(self) -> int:
        if self.kernel is None or self.params is None:
            return 0
        return self.kernel.workspace(self.params.geometry)

    @property
    def in_place(self) -> bool:
        """Whether the output may start where an input does that is not smaller."""
        return self.kernel is not None and self.params is not None and self.kernel.in_place(self.params)

    @property
    def flash_bytes(self) -> int:
        """Values, indices, row tables and parameters of the layer in flash, without the struct that points to them."""
        return self.packed.flash_bytes if self.packed else 0

    @property
    def table_bytes(self) -> int:
        """flash_bytes with what the struct needs for pointers."""
        return self.packed.table_bytes if self.packed else 0

    @property
    def label(self) -> str:
        """Encoding and instruction-set level."""
        return f"{self.encoding or '-'}/{self.kernel.isa if self.kernel else '-'}"


def candidates(op: Op, params: LayerParams, core: Core) -> list[Choice]:
    """Every kernel and encoding that gives this layer's bytes on a core.

    Raises:
        ModelError: no kernel serves this kind of layer.
    """
    found = []
    for kernel in kernels_for(params.family, core.isas):
        if kernel.obstacle(params) is not None:
            continue
        if params.rows is None:
            found.append(Choice(op, params, kernel, kernel.pack(params, None)))
            continue
        for encoding in ENCODINGS.values():
            if not kernel.serves(encoding):
                continue
            try:
                packed = kernel.pack(params, encoding)
            except EncodingError:
                continue
            cost = predict(kernel, core.name, encoding.name, params.geometry, packed)
            found.append(Choice(op, params, kernel, packed, encoding.name, cost))
    if not found:
        raise ModelError(f"no kernel for {params.family} on {core.name}", where=op.place)
    return found


def choose(op: Op, params: LayerParams | None, core: Core, forced: str | None = None) -> Choice:
    """The kernel and encoding of one layer by the objective `speed`: never slower than our own dense kernels.

    Other objectives look at all layers together: budget.py.

    Args:
        forced: name of an encoding; the fastest of its kernels is taken.
    Raises:
        ModelError: no kernel serves this kind of layer.
        EncodingError: the forced encoding does not serve it.
    """
    if params is None:
        return Choice(op)
    found = candidates(op, params, core)
    open_to, why = eligible(found, core, forced)
    if len(open_to) == 1 or forced is not None:
        best = min(open_to, key=lambda c: (c.cost is NO_COST, c.cost.effort, c.flash_bytes))
        return replace(best, why=why, found=tuple(found))
    dense = dense_of(open_to)
    ranked = sorted((c for c in open_to if as_fast(c, dense)), key=lambda c: (c.cost.effort, c.table_bytes))
    return replace(ranked[0], why=explain(ranked, dense, "speed"), found=tuple(found))


def eligible(found: Sequence[Choice], core: Core, forced: str | None) -> tuple[list[Choice], str]:
    """The candidates among which an objective may choose, and why it is so where that says it all.

    Raises:
        EncodingError: the forced encoding does not serve the layer.
    """
    params = found[0].params
    alone = params is None or params.rows is None or all(c.encoding == DENSE and c.cost is NO_COST for c in found)
    alone = alone or len(found) == 1
    if params is None or (alone and forced in (None, DENSE)):  # nothing to choose: the fastest level
        return [found[0]], ""
    if forced is None:
        return _comparable(found), ""
    fitting = [c for c in found if c.encoding == forced]
    if not fitting:
        op = found[0].op
        names = ", ".join(dict.fromkeys(c.encoding for c in found if c.encoding))
        raise EncodingError(
            f"encoding {forced} cannot serve this layer on {core.name}: {_refusal(params, core, forced)}",
            where=op.place,
            hint=f"one of: {names}" if names else "it has no weights to encode",
        )
    return fitting, f"forced: {forced}"


def _refusal(params: LayerParams, core: Core, forced: str) -> str:
    """Why no kernel of a core takes a layer in an encoding: what its fastest kernel for that says."""
    encoding = ENCODINGS[forced]
    for kernel in kernels_for(params.family, core.isas):
        if not kernel.serves(encoding):
            continue
        obstacle = kernel.obstacle(params)
        if obstacle is not None:
            return obstacle
        try:
            kernel.pack(params, encoding)
        except EncodingError as fault:
            return fault.what
    return f"no kernel for {params.family} reads it"


def _comparable(found: Sequence[Choice]) -> list[Choice]:
    """Candidates whose cost is known; where not even dense was measured, dense of the fastest level alone."""
    known = [choice for choice in found if choice.cost.effort > 0]
    if any(choice.encoding == DENSE for choice in known):
        return known
    return [choice for choice in found if choice.encoding == DENSE][:1]


def dense_of(found: Sequence[Choice]) -> Choice:
    """The fastest dense candidate whose cost is known: what the others are held against."""
    return min((c for c in found if c.encoding == DENSE), key=lambda c: (c.cost is NO_COST, c.cost.effort))


def choose_fast(
    layers: Sequence[tuple[Op, LayerParams | None]], core: Core, forced: Mapping[int, str]
) -> tuple[Choice, ...]:
    """choose() for every layer.

    Args:
        forced: encodings by index of the operator.
    """
    return tuple(choose(op, params, core, forced.get(op.index)) for op, params in layers)


def code_of(kernel: Kernel, core: Core) -> Mapping[str, int]:
    """Bytes of the source files that a kernel brings along, as measured; kernels share files."""
    found = [measured(kernel, core.name, e.name) for e in ENCODINGS.values() if kernel.serves(e)]
    return next((known.code for known in found if known is not None), {})


def code_bytes(kernels: Iterable[Kernel], core: Core) -> int:
    """Flash that the code of several kernels takes together."""
    files: dict[str, int] = {}
    for kernel in kernels:
        files |= code_of(kernel, core)
    return sum(files.values())


def as_fast(choice: Choice, dense: Choice) -> bool:
    """Whether it is as fast as dense even where the predictions err."""
    return choice is dense or choice.cost.high <= dense.cost.low


def explain(ranked: list[Choice], dense: Choice, objective: str) -> str:
    """The best beside the runner-up, both measured in dense."""

    def told(choice: Choice) -> str:
        speed = choice.cost.effort / dense.cost.effort
        flash = choice.table_bytes / dense.table_bytes
        return f"{choice.label} {speed:.2f}x {choice.cost.unit} {flash:.2f}x flash"

    text = f"{objective}: {told(ranked[0])} of {dense.label}"
    return f"{text}; next {told(ranked[1])}" if len(ranked) > 1 else f"{text}; nothing else keeps the promise"
