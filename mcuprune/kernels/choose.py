"""Which kernel and encoding each layer gets."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mcuprune.encodings import ENCODINGS, Encoded
from mcuprune.errors import ModelError
from mcuprune.ir.graph import Op
from mcuprune.kernels.catalog import Kernel, kernels_for
from mcuprune.kernels.params import LayerParams


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What one layer became. `kernel`, `params` and `encoded` are None for operators that cost nothing (RESHAPE)."""

    op: Op
    params: LayerParams | None
    kernel: Kernel | None
    encoded: Encoded | None
    why: str = ""
    smallest_flash_bytes: int = 0  # of all candidates

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


def choose(op: Op, params: LayerParams | None, isas: tuple[str, ...], forced: str | None = None) -> Choice:
    """The kernel of one layer for a core that runs `isas`.

    Raises:
        ModelError: no kernel serves this kind of layer.
    """
    if params is None:
        return Choice(op, None, None, None)
    candidates = [k for k in kernels_for(params.family, isas) if forced is None or k.encoding == forced]
    if not candidates:
        raise ModelError(f"no kernel for {params.family}", where=f"op {op.index} {op.kind} {op.name!r}")
    kernel = candidates[0]
    encoded = ENCODINGS[kernel.encoding].encode(params.rows) if params.rows is not None else None
    choice = Choice(op, params, kernel, encoded)
    return replace(choice, smallest_flash_bytes=choice.flash_bytes)
