"""Choosing layers by index, name or glob: what LAYER means on the command line."""

from __future__ import annotations

from fnmatch import fnmatchcase

from mcuprune.errors import UsageError
from mcuprune.ir.graph import Graph, Op


def select_ops(graph: Graph, pattern: str) -> tuple[Op, ...]:
    """Operators that a LAYER names: an index (`4`), a name (`ds_1_pw`) or a glob (`ds_*_pw`).

    Raises:
        UsageError: nothing matches; the hint lists the names.
    """
    if pattern.isascii() and pattern.isdigit():
        chosen = tuple(op for op in graph.ops if op.index == int(pattern))
    else:
        chosen = tuple(op for op in graph.ops if fnmatchcase(op.name, pattern))
    if not chosen:
        names = ", ".join(f"{op.index}={op.name}" for op in graph.ops)
        raise UsageError(f"no layer matches '{pattern}'", where=graph.source, hint=f"one of {names}")
    return chosen
