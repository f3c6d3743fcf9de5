"""LiteRT's reference interpreter (BUILTIN_REF) in a child process: the oracle that everything here must equal.

LiteRT crashes on some malformed models; a crash of the child becomes a ModelError.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

import mcuprune
from mcuprune.errors import ModelError
from mcuprune.tflite import schema
from mcuprune.tflite.wire import Frame, read_frame, write_frame

Array = npt.NDArray[Any]
AHEAD = 8  # samples on their way to the child while the caller works on an earlier answer


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """What the reference gave for one sample; empty where it was not wanted.

    outputs: the model's outputs. crcs: zlib.crc32 of each layer.
    """

    outputs: list[Array]
    crcs: list[int]


class ReferenceInterpreter:
    """Context manager around one child process with one model.

    Leaving the context ends the child. It ignores Ctrl-C, and ends by itself when its stdin does or, on Linux, when the
    thread ends that made this object.

    Args:
        model: path of a `.tflite` file, or its bytes.
        source: name for errors; default the file's name.
        layers: the tensors that layers are, by index; default every operator's outputs, in the file's order.
        kept: by tensor index the channels (last dimension) that layers and their CRCs are cut to; default whole.
        subgraph: the function that is run, of several.
    Raises:
        ModelError: the file is broken, or LiteRT refuses it or crashes on it.
    """

    def __init__(
        self,
        model: str | Path | bytes,
        source: str | None = None,
        layers: Sequence[int] | None = None,
        kept: Mapping[int, Sequence[int]] | None = None,
        subgraph: int = 0,
    ) -> None:
        self.source = ""
        self.results: list[int] = []
        self._pending = 0
        self._answers: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self._child = _start(self._errors)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.load(model, source, layers, kept, subgraph)
        except BaseException:
            self.close()
            raise

    def load(
        self,
        model: str | Path | bytes,
        source: str | None = None,
        layers: Sequence[int] | None = None,
        kept: Mapping[int, Sequence[int]] | None = None,
        subgraph: int = 0,
    ) -> None:
        """Put another model in the place of the first; the child stays. Arguments and errors as of the class."""
        self._drain()
        content = model if isinstance(model, bytes) else schema.read_file(Path(model))
        self.source = source or ("model" if isinstance(model, bytes) else Path(model).name)
        self.results = _outputs(content, self.source, subgraph) if layers is None else list(layers)
        cuts = [list(kept[i]) if kept and i in kept else None for i in self.results]
        header = {"do": "load", "results": self.results, "kept": cuts, "subgraph": subgraph}
        self._send(Frame(header, [np.frombuffer(content, np.uint8)]))
        self._receive()

    def __enter__(self) -> ReferenceInterpreter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child; may be called twice."""
        self._child.kill()
        self._child.wait()
        self._reader.join()
        for stream in (self._child.stdin, self._child.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def run(self, inputs: Sequence[Array], earlier: Sequence[Sequence[Array]] = ()) -> list[Array]:
        """Model outputs for one array for each model input.

        Args:
            earlier: inputs of calls before this one, of a model that keeps state; the first one starts anew.
        """
        return self._ask(inputs, ["outputs"], earlier).arrays

    def run_layers(self, inputs: Sequence[Array], earlier: Sequence[Sequence[Array]] = ()) -> dict[int, Array]:
        """Every layer, by tensor index, cut to what is kept."""
        return dict(zip(self.results, self._ask(inputs, ["layers"], earlier).arrays, strict=True))

    def layer_crcs(self, inputs: Sequence[Array], earlier: Sequence[Sequence[Array]] = ()) -> list[int]:
        """zlib.crc32 of every layer, cut to what is kept."""
        return cast("list[int]", self._ask(inputs, ["crcs"], earlier).header["crcs"])

    def stream(
        self, samples: Iterable[Sequence[Array]], want: str = "outputs+crcs", sequence: int = 1
    ) -> Iterator[Reply]:
        """Replies to samples in their order; the child works ahead while the caller uses a reply.

        Args:
            samples: each one array for each model input.
            want: "outputs", "crcs" or "outputs+crcs".
            sequence: so many samples in a row keep the model's state; the first of them starts anew.
        """
        self._drain()
        wanted = want.split("+")
        for number, sample in enumerate(samples):
            self._send(Frame({"do": "run", "want": wanted, "reset": number % sequence == 0}, list(sample)))
            if self._pending > AHEAD:
                yield self._reply()
        while self._pending:
            yield self._reply()

    def _reply(self) -> Reply:
        frame = self._receive()
        return Reply(frame.arrays, frame.header["crcs"])

    def _ask(self, inputs: Sequence[Array], want: list[str], earlier: Sequence[Sequence[Array]]) -> Frame:
        self._drain()
        for number, before in enumerate(earlier):
            self._send(Frame({"do": "run", "want": [], "reset": number == 0}, list(before)))
            self._receive()
        self._send(Frame({"do": "run", "want": want, "reset": not earlier}, list(inputs)))
        return self._receive()

    def _drain(self) -> None:
        """Drop answers that an abandoned stream left."""
        while self._pending:
            self._receive()

    def _send(self, frame: Frame) -> None:
        try:
            write_frame(cast(BinaryIO, self._child.stdin), frame)
        except OSError:
            raise self._death() from None
        self._pending += 1

    def _receive(self) -> Frame:
        frame = self._answers.get()
        self._pending -= 1
        if frame is None:
            raise self._death()
        if "error" in frame.header:
            raise ModelError(f"LiteRT refuses the model: {frame.header['error'].strip()}", where=self.source)
        return frame

    def _read(self) -> None:
        """Thread: collect answers, so that a child that writes never waits for a parent that writes."""
        stream = cast(BinaryIO, self._child.stdout)
        frame: Frame | None = Frame({}, [])
        while frame is not None:
            frame = read_frame(stream)
            self._answers.put(frame)

    def _death(self) -> ModelError:
        """What ended the child."""
        self._pending = 0
        code = self._child.wait()
        self._answers.put(None)  # a later call must not wait for ever
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        self._errors.seek(0)
        last = self._errors.read()[-500:].decode("utf-8", "replace").strip().splitlines()
        detail = f": {last[-1]}" if last else ""
        return ModelError(
            f"LiteRT's interpreter died on this model ({how}){detail}",
            where=self.source,
            hint="the model file is broken",
        )


def _outputs(content: bytes, source: str, subgraph: int) -> list[int]:
    """Output tensors of the operators of a subgraph."""
    model = schema.parse_model(content, source)
    subgraphs = model.subgraphs or []
    if not 0 <= subgraph < len(subgraphs):
        raise ModelError(f"the model has no subgraph {subgraph}", where=source)
    results: list[int] = []
    for operator in subgraphs[subgraph].operators or []:
        outputs = [int(i) for i in schema.numbers(operator.outputs)]
        if not all(0 <= i < len(subgraphs[subgraph].tensors or []) for i in outputs):
            raise ModelError("an operator has no output tensor", where=source)
        results += outputs
    return results


def _start(errors: BinaryIO) -> subprocess.Popen[bytes]:
    """Start the child with this package importable and its messages in `errors`."""
    root = str(Path(mcuprune.__file__).parents[1])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mcuprune.tflite.reference_worker", str(os.getpid())]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=cast(Any, errors), env=environment
    )
