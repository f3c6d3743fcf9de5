"""LiteRT's reference interpreter for tests of many small models: one child process serves them all."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import contextmanager

from mcuprune.tflite.reference import ReferenceInterpreter

_child: list[ReferenceInterpreter] = []  # one at most


@contextmanager
def reference_of(content: bytes) -> Iterator[ReferenceInterpreter]:
    """The child with a model in the place of the last; whatever goes wrong, the next model gets a new child."""
    try:
        if _child:
            _child[0].load(content)
        else:
            _child.append(ReferenceInterpreter(content))
        yield _child[0]
    except BaseException:
        _close()
        raise


def _close() -> None:
    while _child:
        _child.pop().close()


atexit.register(_close)
