"""Functions of a file that are not run. Their form is checked, since runtimes refuse a file for it; what they mean is
not: a function that trains the model, say, may have operators that nothing here knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mcuprune.errors import ModelError
from mcuprune.importers.tensors import TensorReader
from mcuprune.tflite import schema


def check_beside(
    model: Any, numbers: Sequence[Sequence[int]], run: int, reader_of: Callable[[int], TensorReader]
) -> tuple[str, ...]:
    """Check every subgraph but one.

    Args:
        numbers: of each subgraph's operators, as the file counts them.
        run: the subgraph that is left out.
        reader_of: gives the reader of a subgraph's tensors.
    Returns:
        What runtimes may refuse the file for.
    Raises:
        ModelError: a tensor, or what refers to one, is broken.
    """
    notes: list[str] = []
    for number, subgraph in enumerate(model.subgraphs):
        if number == run:
            continue
        try:
            reader = reader_of(number)
            for index in range(len(subgraph.tensors)):
                reader.check_unused(index)
            _check_references(model, subgraph, numbers[number])
        except ModelError as error:
            error.where = f"subgraph {number}" + (f", {error.where}" if error.where else "")
            error.hint = error.hint or schema.BROKEN_HINT
            raise
        notes += [f"subgraph {number}, {note}" for note in reader.notes]
    return tuple(notes)


def _check_references(model: Any, subgraph: Any, numbers: Sequence[int]) -> None:
    """What operators and ends name is in the file; -1 stands for nothing."""
    codes, tensors = len(model.operatorCodes or []), len(subgraph.tensors)
    ends: list[tuple[str | None, Any]] = [(None, subgraph.inputs), (None, subgraph.outputs)]
    for number, operator in zip(numbers, subgraph.operators or [], strict=True):
        code = int(operator.opcodeIndex)
        if not 0 <= code < codes:
            raise ModelError(f"operator code {code} is not in the file's {codes}", where=f"op {number}")
        ends += [(f"op {number}", vector) for vector in (operator.inputs, operator.outputs)]
    for where, vector in ends:
        for index in schema.numbers(vector):
            if not -1 <= index < tensors:
                raise ModelError(f"it names tensor {index}, the subgraph has {tensors}", where=where)
