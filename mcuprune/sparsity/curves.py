"""What a sensitivity analysis found, as data: to show, to keep as JSON, and to share a budget by. Needs no Keras."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from mcuprune.errors import UsageError
from mcuprune.masks import Budget, parse_budget

Metric = Literal["accuracy", "loss"]


@dataclass(frozen=True, slots=True)
class LayerSensitivity:
    """One layer pruned alone: the metric at each sparsity; None where the pattern does not fit, as `note` says."""

    index: int
    name: str
    op: str
    size: int
    values: tuple[float | None, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How a model fares when one layer alone is pruned at once, without training.

    metric: `accuracy` (0..1) or `loss` (mean cross-entropy). sparsities: of the values of each layer, rising.
    dense: the metric of the model as it is, on the same `samples` samples.
    """

    metric: Metric
    pattern: str
    sparsities: tuple[float, ...]
    dense: float
    samples: int
    layers: tuple[LayerSensitivity, ...]
    notes: tuple[str, ...] = ()

    def costs(self, layer: LayerSensitivity) -> tuple[float | None, ...]:
        """What pruning a layer costs at each sparsity: accuracy lost, or loss that came on top."""
        sign = -1 if self.metric == "accuracy" else 1
        return tuple(None if value is None else sign * (value - self.dense) for value in layer.values)

    def budget(self) -> Budget:
        """The budget that shares a sparsity so that these costs together are least."""
        curves = {}
        for layer in self.layers:
            found = zip(self.sparsities, self.costs(layer), strict=True)
            curve = {sparsity: cost for sparsity, cost in found if cost is not None}
            if curve:
                curves[layer.name] = {0.0: 0.0, **curve}
        return Budget("sensitivity", curves=curves)

    def worst(self) -> tuple[LayerSensitivity, float, float] | None:
        """The layer that costs most, the sparsity where it does, and the cost; None where nothing was measured."""
        found = [
            (cost, i, sparsity)
            for i, layer in enumerate(self.layers)
            for sparsity, cost in zip(self.sparsities, self.costs(layer), strict=True)
            if cost is not None
        ]
        if not found:
            return None
        cost, i, sparsity = max(found, key=lambda entry: (entry[0], -entry[1], -entry[2]))
        return self.layers[i], sparsity, cost

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def as_budget(budget: Budget | Sensitivity | str | None) -> Budget | None:
    """A budget in any of its forms.

    Raises:
        UsageError: a text that is none, or `sensitivity`, which says nothing of what was measured.
    """
    if budget == "sensitivity":
        raise UsageError(
            "a budget by sensitivity needs measurements",
            hint="budget=sparsity.sensitivity(model, xv, yv, metric='loss')",
        )
    if isinstance(budget, str):
        return parse_budget(budget)
    if budget is not None and not isinstance(budget, (Budget, Sensitivity)):
        raise UsageError(
            f"budget is a text, a Budget or what sensitivity() found, got {budget!r}",
            hint="Pruner(0.8, budget='global')",
        )
    return budget.budget() if isinstance(budget, Sensitivity) else budget


def read_sensitivity(path: Path) -> Sensitivity:
    """What `mcuprune sensitivity --json` printed into a file.

    Raises:
        UsageError: the file is missing or holds something else.
    """
    hint = "mcuprune sensitivity MODEL.keras --data D --json > FILE.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise UsageError(f"the sensitivity cannot be read: {fault.strerror}", where=str(path), hint=hint) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as fault:
        raise UsageError(f"the sensitivity is not JSON: {fault}", where=str(path), hint=hint) from None
    try:
        return _parse(found)
    except (KeyError, TypeError, ValueError) as fault:
        what = f"the file holds no sensitivity: {type(fault).__name__} {fault}"
        raise UsageError(what, where=str(path), hint=hint) from None


def _parse(found: Any) -> Sensitivity:
    """Checked as far as the code relies on it.

    Raises:
        KeyError, TypeError, ValueError: a key is missing, or its value is of another kind.
    """
    sparsities = tuple(_number(s) for s in found["sparsities"])
    if found["metric"] not in ("accuracy", "loss") or not all(0 < s < 1 for s in sparsities):
        raise ValueError("metric or sparsities")
    layers = tuple(
        LayerSensitivity(
            int(layer["index"]),
            str(layer["name"]),
            str(layer["op"]),
            int(layer["size"]),
            tuple(None if value is None else _number(value) for value in layer["values"]),
            str(layer["note"]),
        )
        for layer in found["layers"]
    )
    if any(len(layer.values) != len(sparsities) for layer in layers):
        raise ValueError("a layer has too many or too few values")
    notes = tuple(str(note) for note in found["notes"])
    dense, samples = _number(found["dense"]), int(found["samples"])
    return Sensitivity(found["metric"], str(found["pattern"]), sparsities, dense, samples, layers, notes)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)
