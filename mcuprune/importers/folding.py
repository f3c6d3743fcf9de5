"""Operators that need not run: those whose data are constant, which the interpreter computes, and those nobody reads.

This is part of reading a file rather than a pass, because parameters of later operators may come from such tensors: the
shape of a RESHAPE out of SHAPE, STRIDED_SLICE and PACK must be constant before RESHAPE can be read. Operators stand in
the order in which they run, so one walk from the first to the last folds whole chains, and what is left has constant
parameters or a clear error. Models whose recurrent layers the converter unrolled lose most of their operators here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mcuprune.errors import ModelError
from mcuprune.importers.operators import PARSERS, OpContext, OpParser
from mcuprune.importers.operators.lookups import LOOKUP
from mcuprune.importers.operators.weighted import PRODUCT
from mcuprune.ir.graph import Graph, Op, Quant, Tensor
from mcuprune.ir.interpreter import run_op
from mcuprune.ir.operators import OPERATORS

MAX_FOLDED_BYTES = 2**28
"""Of all constants that one file may make."""
_OF_SHAPES = ("SHAPE",)
"""Operators whose output depends on the shapes of their inputs alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One operator of the graph to be: output number `place` of the file's operator `index`, and its new states."""

    index: int
    file_kind: str
    inputs: tuple[int, ...]
    output: int
    place: int
    outputs: int
    options: Any
    states: tuple[int, ...] = ()
    intermediates: tuple[Quant | None, ...] = ()
    read_as: OpParser | None = None  # in the place of the kind's own

    @property
    def parser(self) -> OpParser:
        return self.read_as or PARSERS[self.file_kind]

    @property
    def kind(self) -> str:
        """Name of the graph's operator."""
        return self.parser.kind or self.file_kind

    def context(self, where: str, tensors: Mapping[int, Tensor]) -> OpContext:
        """What the parser sees."""
        inputs = tuple(tensors[t] if t >= 0 else None for t in self.inputs)
        output = tensors[self.output]
        return OpContext(where, self.options, inputs, output, self.place, self.outputs, self.intermediates)

    def read_by(self, wanted: Collection[int]) -> bool:
        """Whether something that it makes is among tensors."""
        return any(tensor in wanted for tensor in (self.output, *self.states))


def steps_of(
    numbers: Sequence[int],
    kinds: Sequence[str],
    wiring: Sequence[tuple[tuple[int, ...], tuple[int, ...]]],
    options: Sequence[Any],
    intermediates: Sequence[tuple[Quant | None, ...]],
) -> list[Step]:
    """The graph's operators, one for each output of the file's, which have these numbers there."""
    steps = []
    rows = zip(numbers, kinds, wiring, options, intermediates, strict=True)
    for number, kind, (ins, outs), given, middle in rows:
        inputs = PARSERS[kind].ordered(ins)
        parts, states = (outs, ()) if PARSERS[kind].splits else (outs[:1], outs[1:])
        for place, out in enumerate(parts):
            steps.append(Step(number, kind, inputs, out, place, len(outs), given, states, middle))
    return steps


def fold(steps: Sequence[Step], tensors: dict[int, Tensor], outputs: Collection[int]) -> list[Step]:
    """The operators that are left; `tensors` gets the data of those that are computed.

    What makes one of `outputs`, the model's and its states', stays, so that it is written when the model runs.

    Raises:
        ModelError: an operator on constants has no meaning, or constants would fill too much memory.
    """
    left, folded = [], 0
    for step in (_chosen(step, tensors) for step in steps):
        if step.read_by(outputs) or not _is_constant(step, tensors):
            left.append(step)
            continue
        folded += tensors[step.output].nbytes
        if folded > MAX_FOLDED_BYTES:
            raise ModelError(
                f"operators on constants make more than {MAX_FOLDED_BYTES} bytes of constants",
                where=f"op {step.index} {step.file_kind}",
            )
        tensors[step.output] = _computed(step, tensors)
    return wanted_steps(left, outputs)


_COMPUTED = {"FULLY_CONNECTED": PRODUCT, "GATHER": LOOKUP}
"""What an operator is read as whose second input, weights or positions, is computed."""


def _chosen(step: Step, tensors: Mapping[int, Tensor]) -> Step:
    """The operator that a step is, where that depends on which of its inputs are constant."""
    other = _COMPUTED.get(step.file_kind)
    if other is None or step.inputs[1] < 0:
        return step
    known = tensors[step.inputs[1]].data is not None and not getattr(step.options, "batchDims", 0)
    return step if known else replace(step, read_as=other)


def _is_constant(step: Step, tensors: Mapping[int, Tensor]) -> bool:
    data = step.inputs[: OPERATORS[step.kind].data_inputs]
    if not data:
        return step.kind in _OF_SHAPES
    return all(i >= 0 and tensors[i].data is not None for i in data)


def _computed(step: Step, tensors: Mapping[int, Tensor]) -> Tensor:
    """The output as a constant: a graph of this one operator, checked and run."""
    where = f"op {step.index} {step.file_kind}"
    attrs = step.parser.parse(step.context(where, tensors))
    used = sorted({*step.inputs, step.output} - {-1})
    place = {tensor: i for i, tensor in enumerate(used)} | {-1: -1}
    op = Op(step.index, step.kind, where, tuple(place[i] for i in step.inputs), (place[step.output],), attrs)
    graph = Graph(tuple(tensors[i] for i in used), (op,), (), op.outputs, "", "")
    try:
        OPERATORS[step.kind].check(graph, op)
    except ModelError as error:
        error.where = error.where or where
        raise
    data = run_op(graph, op, {})
    data.flags.writeable = False
    return replace(tensors[step.output], data=data)


def wanted_steps(steps: Sequence[Step], outputs: Collection[int]) -> list[Step]:
    """Without operators whose output nobody reads."""
    wanted, kept = set(outputs), []
    for step in reversed(steps):
        if step.read_by(wanted):
            wanted.update(step.inputs)
            kept.append(step)
    return kept[::-1]
