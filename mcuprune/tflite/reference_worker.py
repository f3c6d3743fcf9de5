"""Child process that runs LiteRT's reference kernels: `python -m mcuprune.tflite.reference_worker`.

It reads requests from stdin and answers on stdout, one frame each way (see wire.py), and ends at the end of stdin. A
model on which LiteRT crashes takes only this process down.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from mcuprune.tflite.wire import Frame, read_frame, write_frame

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask Linux to kill this process when the parent ends; elsewhere the end of stdin does it."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


class Session:
    """One loaded model: `results` are the tensors that layers are, in order, `kept` the channels (last
    dimension) of each that count; None: all."""

    def __init__(self, content: bytes, results: list[int], kept: list[list[int] | None]) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self.interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
            num_threads=1,
        )
        self.interpreter.allocate_tensors()
        self.results = list(zip(results, kept, strict=True))
        self.inputs = [d["index"] for d in self.interpreter.get_input_details()]
        self.outputs = [d["index"] for d in self.interpreter.get_output_details()]

    def run(self, frame: Frame) -> Frame:
        """Run once; the frame's `want` chooses what comes back: outputs, layers, crcs."""
        for index, value in zip(self.inputs, frame.arrays, strict=True):
            self.interpreter.set_tensor(index, value)
        self.interpreter.invoke()
        wanted: list[str] = frame.header["want"]
        arrays: list[np.ndarray[Any, Any]] = []
        if "outputs" in wanted:
            arrays += [self.interpreter.get_tensor(i) for i in self.outputs]
        if "layers" in wanted:
            arrays += self._layers()
        crcs = [zlib.crc32(array.tobytes()) for array in self._layers()] if "crcs" in wanted else []
        return Frame({"crcs": crcs}, arrays)

    def _layers(self) -> Iterator[np.ndarray[Any, Any]]:
        for index, kept in self.results:
            array = self.interpreter.get_tensor(index)
            yield array if kept is None else array[..., kept]


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer requests until the end of the input; a Python exception is answered by its text."""
    session: Session | None = None
    while (frame := read_frame(source)) is not None:
        try:
            if frame.header["do"] == "load":
                session = Session(frame.arrays[0].tobytes(), frame.header["results"], frame.header["kept"])
                answer = Frame({"loaded": True}, [])
            else:
                assert session is not None
                answer = session.run(frame)
        except (RuntimeError, ValueError) as error:
            answer = Frame({"error": str(error)}, [])
        write_frame(sink, answer)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(int(sys.argv[1]))
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what LiteRT prints must not mix with the frames
    serve(source, sink)


if __name__ == "__main__":
    main()
