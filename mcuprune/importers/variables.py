"""Variables of a model file, resolved: what is read before it is assigned is state, the rest are names of tensors.

The file's READ_VARIABLE and ASSIGN_VARIABLE reach a variable by a handle. In the graph there are no handles: a read
before the first assignment is the tensor that holds the kept value, a read after one is the assigned tensor, and the
value that the last assignment gave is kept. CALL_ONCE runs a subgraph before the first call; here it says the initial
values, which must be constants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.errors import ModelError
from mcuprune.ir.graph import DType, State, Tensor
from mcuprune.tflite import schema

VARIABLE_KINDS = {"VAR_HANDLE": (0, 1), "READ_VARIABLE": (1, 1), "ASSIGN_VARIABLE": (2, 0), "CALL_ONCE": (0, 0)}
"""Operators that reach variables, with how many inputs and outputs they have."""

KindOf = Callable[[Any, str], str]
"""Kind of an operator of the file, which errors name so."""

Constant = Callable[[int, int], npt.NDArray[Any] | None]
"""Data of tensor number two of subgraph number one; None where it is no constant."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A variable that is read before it is assigned, by tensors of the file. written: None where nothing assigns it."""

    name: str
    read: int
    written: int | None
    initial: npt.NDArray[Any]


@dataclass(slots=True)
class Variables:
    """What is left once variables are resolved. operators: those that compute, as the file counts; names: the tensor
    that a reading of a variable stands for."""

    operators: list[int] = field(default_factory=list)
    names: dict[int, int] = field(default_factory=dict)
    kept: list[Kept] = field(default_factory=list)

    def name(self, tensor: int) -> int:
        return self.names.get(tensor, tensor)


@dataclass(slots=True)
class _Walk:
    """The walk through one subgraph: variables by tensor of their handle, their values so far, their first readings."""

    handles: dict[int, str] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    initial: dict[str, npt.NDArray[Any]] = field(default_factory=dict)


def resolve_variables(
    subgraphs: Sequence[Any],
    numbers: Sequence[Sequence[int]],
    number: int,
    kinds: Sequence[str],
    kind_of: KindOf,
    constant: Constant,
) -> Variables:
    """Resolve the variables of one subgraph.

    Args:
        numbers: of each subgraph's operators, as the file counts them.
        number: of the subgraph.
        kinds: of its operators.
        kind_of: gives the kind of an operator of any subgraph.
        constant: gives the data of constants.
    Raises:
        ModelError: a handle or an initial value is missing or computed.
    """
    found, walk = Variables(), _Walk()
    for index, operator, kind in zip(numbers[number], subgraphs[number].operators, kinds, strict=True):
        if kind not in VARIABLE_KINDS:
            found.operators.append(index)
            continue
        where = f"op {index} {kind}"
        inputs, outputs = _wires(operator, kind, len(subgraphs[number].tensors or []), where)
        if kind == "VAR_HANDLE":
            walk.handles[outputs[0]] = _variable(operator, where)
        elif kind == "CALL_ONCE":
            called = _init_subgraph(operator, len(subgraphs), where)
            walk.initial |= _initial_values(subgraphs[called], numbers[called], called, kind_of, constant)
        elif kind == "READ_VARIABLE":
            variable = _of_handle(walk.handles, inputs[0], where)
            if variable in walk.values:
                found.names[outputs[0]] = walk.values[variable]
            else:
                walk.first[variable] = walk.values[variable] = outputs[0]
        else:
            walk.values[_of_handle(walk.handles, inputs[0], where)] = found.name(inputs[1])
    for variable, read in walk.first.items():
        if variable not in walk.initial:
            raise ModelError(
                f"variable '{variable}' is read before it has a value",
                hint="export the model with its variables' initial values (CALL_ONCE)",
            )
        last = walk.values[variable]
        found.kept.append(Kept(variable, read, None if last == read else last, walk.initial[variable]))
    return found


def _wires(operator: Any, kind: str, tensors: int, where: str) -> tuple[list[int], list[int]]:
    inputs, outputs = ([int(i) for i in schema.numbers(v)] for v in (operator.inputs, operator.outputs))
    if (len(inputs), len(outputs)) != VARIABLE_KINDS[kind]:
        raise ModelError(f"{len(inputs)} inputs and {len(outputs)} outputs do not fit {kind}", where=where)
    for index in (*inputs, *outputs):
        if not 0 <= index < tensors:
            raise ModelError(f"it names tensor {index}, the subgraph has {tensors}", where=where)
    return inputs, outputs


def _variable(operator: Any, where: str) -> str:
    """The variable that a VAR_HANDLE stands for: container and name together."""
    options = operator.builtinOptions
    if not hasattr(options, "sharedName"):
        raise ModelError("options VarHandleOptions are missing", where=where)
    container, name = schema.text(options.container), schema.text(options.sharedName)
    return f"{container}/{name}" if container else name


def _of_handle(handles: Mapping[int, str], tensor: int, where: str) -> str:
    if tensor not in handles:
        raise ModelError(f"tensor {tensor} is no handle of a variable", where=where)
    return handles[tensor]


def _init_subgraph(operator: Any, subgraphs: int, where: str) -> int:
    number = int(getattr(operator.builtinOptions, "initSubgraphIndex", -1))
    if not 0 < number < subgraphs:
        raise ModelError(f"it calls subgraph {number}, the file has {subgraphs}", where=where)
    return number


def _initial_values(
    subgraph: Any, numbers: Sequence[int], number: int, kind_of: KindOf, constant: Constant
) -> dict[str, npt.NDArray[Any]]:
    """The constants that an initializing subgraph assigns."""
    handles: dict[int, str] = {}
    values: dict[str, npt.NDArray[Any]] = {}
    for index, operator in zip(numbers, subgraph.operators or [], strict=True):
        place = f"subgraph {number}, op {index}"
        kind = kind_of(operator, place)
        where = f"{place} {kind}"
        if kind not in ("VAR_HANDLE", "ASSIGN_VARIABLE"):
            raise ModelError(f"initial values that {kind} computes are not supported, only constants", where=where)
        inputs, outputs = _wires(operator, kind, len(subgraph.tensors or []), where)
        if kind == "VAR_HANDLE":
            handles[outputs[0]] = _variable(operator, where)
            continue
        data = constant(number, inputs[1])
        if data is None:
            raise ModelError(
                f"the initial value of '{_of_handle(handles, inputs[0], where)}' is no constant", where=where
            )
        values[_of_handle(handles, inputs[0], where)] = np.asarray(data)
    return values


Wires = tuple[tuple[int, ...], tuple[int, ...]]
"""Inputs and outputs of an operator, as tensors."""


def keep(
    tensors: dict[int, Tensor],
    variables: Variables,
    wiring: Sequence[Wires],
    names: Sequence[str],
    places: Sequence[tuple[int, ...]],
    variable: Callable[[int], bool],
    count: int,
) -> tuple[list[Wires], tuple[State, ...]]:
    """What the graph keeps between calls: resolved variables, and variable tensors of recurrent operators.

    Args:
        tensors: by index; gets new values of variable tensors, and the data of variables that nothing assigns.
        names: of the operators, for errors.
        places: of each operator, the inputs that are variable tensors.
        variable: whether the file calls a tensor variable.
        count: tensors of the file.
    Returns:
        The wiring, in which recurrent operators have their states behind the first input and new values of them behind
        the output; and the states.
    """
    states = []
    for kept in variables.kept:
        if kept.read not in tensors:
            continue  # nobody reads it
        if kept.written is None:
            tensors[kept.read] = replace(tensors[kept.read], data=kept.initial)
        else:
            states.append(State(kept.name, kept.read, kept.written, kept.initial))
    users = [t for inputs, _ in wiring for t in inputs if t >= 0]
    rewired = []
    for (inputs, outputs), where, mine in zip(wiring, names, places, strict=True):
        reads = [inputs[place] if place < len(inputs) else -1 for place in mine]
        for read in reads:
            if read < 0 or not variable(read) or tensors[read].data is not None or users.count(read) > 1:
                raise ModelError("its state must be a variable tensor of its own", where=where)
            new = replace(tensors[read], index=count, name=f"{tensors[read].name} (new)")
            tensors[new.index], count = new, count + 1
            states.append(State(tensors[read].name, read, new.index, _at_first(tensors[read])))
            outputs = (*outputs, new.index)
        rest = (t for place, t in enumerate(inputs[1:], 1) if place not in mine)
        for tensor in (*(t for place, t in enumerate(inputs) if place not in mine), *outputs[:1]):
            if tensor >= 0 and variable(tensor):
                name = tensors[tensor].name
                raise ModelError(f"variable tensor {tensor} '{name}' is no operator's state", where=where)
        rewired.append(((*inputs[:1], *reads, *rest), outputs))
    return rewired, tuple(states)


def _at_first(tensor: Tensor) -> npt.NDArray[Any]:
    """What a variable tensor holds before the first call: the zero point of int8, else 0.

    Source: Subgraph::ResetVariableTensors in TensorFlow Lite, core/subgraph.cc.
    """
    zero = tensor.quant.zero_point if tensor.quant is not None and tensor.dtype is DType.INT8 else 0
    return np.full(tensor.shape, zero, tensor.dtype.numpy)
