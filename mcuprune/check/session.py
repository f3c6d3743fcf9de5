"""A session with a board that runs the model it should run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mcuprune.errors import LinkError
from mcuprune.ir.graph import Graph
from mcuprune.link.client import LinkClient, Timing
from mcuprune.link.protocol import Hello
from mcuprune.link.transport import Transport

Opener = Callable[[], Transport]
"""Powers a board up and gives the byte stream to it; closing the stream powers it down."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """build_id: the image that must run there, None where any build of the model will do."""

    build_id: bytes | None = None
    hello_timeout_s: float = 10.0
    timing: Timing | None = None


@contextmanager
def session(opener: Opener, graph: Graph, options: SessionOptions) -> Iterator[LinkClient]:
    """Open the board, greet it, and see that it runs this model, and this build where one is named.

    Raises:
        LinkError: no board, another build or another model.
    """
    with LinkClient(opener(), options.timing) as client:
        require_model(client.hello(options.hello_timeout_s), graph, options.build_id, client.transport.name)
        yield client


def require_model(hello: Hello, graph: Graph, build_id: bytes | None, where: str) -> None:
    """Refuse a board that runs another build or another model."""
    if build_id is not None and hello.build_id != build_id:
        raise LinkError(
            f"the board runs another build: {_short(hello.build_id)} of '{hello.model_name}', not {_short(build_id)}",
            where=where,
            hint="`mcuprune flash` with this folder, and the same --port, puts this build onto the board",
        )
    if hello.model_sha256.hex() != graph.sha256:
        raise LinkError(
            f"the board runs another model: '{hello.model_name}' (sha256 {_short(hello.model_sha256)}), "
            f"not {graph.source} (sha256 {graph.sha256[:12]})",
            where=where,
            hint="generate, build and flash this model",
        )
    sizes = (hello.input_bytes, hello.output_bytes, hello.layers)
    expected = (
        sum(graph.tensor(i).nbytes for i in graph.inputs),
        sum(graph.tensor(i).nbytes for i in graph.outputs),
        len(graph.ops),
    )
    if sizes != expected:
        raise LinkError(
            f"input bytes, output bytes and layers are {sizes} on the board and {expected} in {graph.source}",
            where=where,
            hint="generate, build and flash the model again with this version of mcuprune",
        )


def _short(digest: bytes) -> str:
    return digest.hex()[:12] if any(digest) else "none"
