"""What a profile says: figures by layer and by function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MODELLED, MEASURED = "modelled", "measured"


@dataclass(frozen=True, slots=True)
class Baseline:
    """Another implementation's figures for the same work."""

    instructions: int | None
    cycles: int | None


@dataclass(frozen=True, slots=True)
class LayerProfile:
    """One layer in one inference.

    nnz_macs: multiplications by weights that are not zero. instructions: None where a board only measures time.
    nnz, stream_bytes, bound_bytes: weights that are not zero, values and indices alone, and the least they could take;
    0 for layers without encoded weights.
    cycles: None where neither a model of the core nor a counter tells.
    """

    index: int
    op: str
    name: str
    macs: int
    nnz_macs: int
    instructions: int | None
    cycles: int | None
    encoding: str
    kernel: str
    flash_bytes: int
    workspace_bytes: int
    baseline: Baseline | None = None
    nnz: int = 0
    stream_bytes: int = 0
    bound_bytes: int = 0

    @property
    def per_mac(self) -> float | None:
        """Cycles, where there are none instructions, of one multiplication."""
        return ratio(self.cost, self.macs)

    @property
    def per_nnz_mac(self) -> float | None:
        return ratio(self.cost, self.nnz_macs)

    @property
    def bytes_per_nonzero(self) -> float | None:
        """All flash of the layer over its nonzeros."""
        return ratio(self.flash_bytes, self.nnz)

    @property
    def over_bound(self) -> float | None:
        return over_bound(self.stream_bytes, self.bound_bytes)

    @property
    def cost(self) -> int | None:
        return self.cycles if self.cycles is not None else self.instructions


@dataclass(frozen=True, slots=True)
class FunctionProfile:
    """One function of the image in one inference."""

    name: str
    instructions: int
    cycles: int | None


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of the image. code_bytes: kernels and model code alone."""

    weight_flash_bytes: int
    code_bytes: int
    flash_bytes: int
    ram_bytes: int
    arena_bytes: int


@dataclass(frozen=True, slots=True)
class Profile:
    """One inference of a folder's model on its board.

    cycles: MODELLED or MEASURED, what `cycles` of layers are; "" where they are None.
    """

    board: str
    core: str
    cycles: str
    layers: tuple[LayerProfile, ...]
    functions: tuple[FunctionProfile, ...]
    memory: Memory
    against: str = ""  # whose figures the baselines are
    baseline: Baseline | None = None  # of all layers

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def nnz_macs(self) -> int:
        return sum(layer.nnz_macs for layer in self.layers)

    @property
    def stream_bytes(self) -> int:
        """Values and indices of all layers."""
        return sum(layer.stream_bytes for layer in self.layers)

    @property
    def bound_bytes(self) -> int:
        return sum(layer.bound_bytes for layer in self.layers)

    @property
    def instructions(self) -> int | None:
        return total([layer.instructions for layer in self.layers])

    @property
    def total_cycles(self) -> int | None:
        return total([layer.cycles for layer in self.layers])

    @property
    def cost(self) -> int:
        return sum(layer.cost or 0 for layer in self.layers)

    def to_json(self) -> dict[str, Any]:
        """See docs/json.md."""
        key = "measured_cycles" if self.cycles == MEASURED else "modelled_cycles"
        memory = self.memory
        return {
            "board": self.board,
            "core": self.core,
            "layers": [
                {
                    "index": layer.index,
                    "op": layer.op,
                    "name": layer.name,
                    "macs": layer.macs,
                    "nnz_macs": layer.nnz_macs,
                    "instructions": layer.instructions,
                    key: layer.cycles,
                    "encoding": layer.encoding,
                    "kernel": layer.kernel,
                    "flash_bytes": layer.flash_bytes,
                    "workspace_bytes": layer.workspace_bytes,
                    "bytes_per_nonzero": layer.bytes_per_nonzero,
                    "over_bound": layer.over_bound,
                    **self._against(layer.baseline, layer.instructions, layer.cycles),
                }
                for layer in self.layers
            ],
            "totals": {
                "macs": self.macs,
                "nnz_macs": self.nnz_macs,
                "instructions": self.instructions,
                key: self.total_cycles,
                "weight_flash_bytes": memory.weight_flash_bytes,
                "code_bytes": memory.code_bytes,
                "flash_bytes": memory.flash_bytes,
                "ram_bytes": memory.ram_bytes,
                "arena_bytes": memory.arena_bytes,
                "stream_bytes": self.stream_bytes,
                "bound_bytes": self.bound_bytes,
                **self._against(self.baseline, *self.compared()),
            },
            "functions": [{"name": f.name, "instructions": f.instructions, key: f.cycles} for f in self.functions],
        }

    def compared(self) -> tuple[int | None, int | None]:
        """Instructions and cycles of the layers that have a baseline."""
        those = [layer for layer in self.layers if layer.baseline is not None]
        return total([layer.instructions for layer in those]), total([layer.cycles for layer in those])

    def _against(self, baseline: Baseline | None, instructions: int | None, cycles: int | None) -> dict[str, Any]:
        if not self.against:
            return {}
        if baseline is None:
            return {"against": None}
        return {
            "against": {
                "instructions": baseline.instructions,
                "cycles": baseline.cycles,
                "instructions_ratio": ratio(baseline.instructions, instructions),
                "cycles_ratio": ratio(baseline.cycles, cycles),
            }
        }


def ratio(over: int | None, under: int | None) -> float | None:
    """over / under; None where one is missing or there is nothing to divide by."""
    return round(over / under, 4) if over is not None and under else None


def total(values: list[int | None]) -> int | None:
    """Their sum; None where one is missing."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def over_bound(stream_bytes: int, bound_bytes: int) -> float | None:
    """How much more than the bound, as a share of it; None where there is none."""
    return round(stream_bytes / bound_bytes - 1, 4) if bound_bytes else None
