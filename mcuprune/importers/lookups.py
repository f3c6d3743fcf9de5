"""GATHER with computed positions, as Keras has it: positions below 0 count from the end.

The converter writes that as SELECT(x < 0, x + n, x) in front of GATHER. It is read as one operator.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from mcuprune.importers.folding import Step, wanted_steps
from mcuprune.importers.operators.lookups import FROM_END
from mcuprune.ir.graph import DType, Tensor


def join_from_end(steps: Sequence[Step], tensors: Mapping[int, Tensor], outputs: Collection[int]) -> list[Step]:
    """The operators with every such GATHER on what the user gives; what nobody reads any more goes."""
    makers = {step.output: step for step in steps}
    joined = []
    for step in steps:
        if step.file_kind == "GATHER" and step.kind == "LOOKUP":
            found = _wrapped(step, makers, tensors)
            step = step if found is None else replace(step, inputs=(step.inputs[0], found), read_as=FROM_END)
        joined.append(step)
    return wanted_steps(joined, outputs)


def _wrapped(gather: Step, makers: Mapping[int, Step], tensors: Mapping[int, Tensor]) -> int | None:
    """x, where the positions of a GATHER are SELECT(x < 0, x + n, x) and n is the size of its dimension."""
    select = makers.get(gather.inputs[1])
    if select is None or select.file_kind not in ("SELECT", "SELECT_V2"):
        return None
    condition, shifted, x = select.inputs
    less, add = makers.get(condition), makers.get(shifted)
    if less is None or add is None or less.file_kind != "LESS" or add.file_kind != "ADD" or tensors[x].data is not None:
        return None
    places = [i for i in add.inputs if i != x]
    shape, axis = tensors[gather.inputs[0]].shape, int(getattr(gather.options, "axis", 0))
    if less.inputs[0] != x or len(places) != 1 or not -len(shape) <= axis < len(shape):
        return None
    whole = tensors[x].dtype in (DType.INT32, DType.INT64) and not getattr(add.options, "fusedActivationFunction", 1)
    same = tensors[x].shape == tensors[condition].shape == tensors[shifted].shape == tensors[gather.inputs[1]].shape
    fits = _all(tensors[less.inputs[1]], 0) and _all(tensors[places[0]], shape[axis])
    return x if whole and same and fits else None


def _all(tensor: Tensor, value: int) -> bool:
    """A constant whose every element is the value."""
    return tensor.data is not None and bool((tensor.data == value).all())
